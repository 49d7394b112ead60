"""How one thing stands that an alert watches, in words and numbers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hpcjobs.identity.policy import Identity, visibility
from hpcjobs.model.alert import AlertKind, AlertRequest, AlertScope, Fact
from hpcjobs.model.sample import BUCKET_S
from hpcjobs.model.storage import StorageState
from hpcjobs.model.tenant import BudgetState, ProjectQuota
from hpcjobs.reports.idling import Idling
from hpcjobs.reports.shown import lasting, share
from hpcjobs.sending.turn import Found
from hpcjobs.tenants.storage import size

THRESHOLDS: Final = {AlertKind.IDLE: 0.05, AlertKind.QUOTA: 0.9, AlertKind.FORECAST: None}
FOR_S: Final = {AlertKind.IDLE: 3600, AlertKind.QUOTA: 0, AlertKind.FORECAST: 0}
"""What holds where nobody says otherwise."""
STALE_S: Final = 6 * BUCKET_S
"""Of a job that was not sampled for so long nothing is known now."""
DAY_S: Final = 86_400.0
FILES_DAYS: Final = 30.0
"""Files have no period that ends: so far ahead a forecast counts, where nobody says otherwise."""


def threshold_of(asked: AlertRequest) -> float | None:
    """What is compared with."""
    return THRESHOLDS[asked.kind] if asked.threshold is None else asked.threshold


def for_s_of(asked: AlertRequest) -> int:
    """How long it must be so, in seconds."""
    return FOR_S[asked.kind] if asked.for_s is None else asked.for_s


def concerns(asked: AlertRequest, who: Identity, one: Idling) -> bool:
    """Whether a job is among those that an alert is about, and its owner may see it. Pure."""
    return (
        visibility(who).covers(one.user, one.cluster, one.project)
        and one.gpus >= asked.min_gpus
        and asked.cluster in ("", one.cluster)
        and (asked.scope is not AlertScope.OWN or one.user == who.user)
        and (asked.scope is not AlertScope.PROJECT or one.project == asked.project)
    )


def idle(one: Idling, asked: AlertRequest, now: float) -> Found:
    """How one job stands. Pure.

    It is idle from its last busy five minutes on; the time that counts is what was sampled, not until now.
    """
    busy = one.busy or 0.0
    text = (
        f"Job {one.slurm_job_id} of {one.user} on {one.cluster}: {one.gpus:g} GPUs allocated, {share(busy)} busy, "
        f"{lasting(one.lasting_s)} (since {_moment(one.since)}; {share(one.coverage)} of that was sampled)."
    )
    numbers: dict[str, float | int] = {
        "slurm_job_id": one.slurm_job_id, "gpus": one.gpus, "busy": busy, "lasting_s": one.lasting_s,
        "coverage": one.coverage,
    }  # fmt: skip
    about = f"{one.cluster} job {one.slurm_job_id} of {one.start_time}"
    fact = Fact(about, text, one.cluster, one.project, one.user, one.since, numbers)
    if one.until is None or now - one.until > STALE_S:
        return Found(fact, None)
    if one.lasting_s < for_s_of(asked) or one.lasting_s == 0:
        return Found(fact, holds=False)
    return Found(fact, True if one.coverage >= asked.coverage else None)


def budget(quota: ProjectQuota, state: BudgetState, asked: AlertRequest, now: float) -> Found:
    """How one budget stands. Pure; before accounting was read it is not known, and one without an end is never used."""
    declared = state.budget
    bound = declared.hard_h if declared.hard_h is not None else declared.soft_h
    of_h = None if bound is None else bound + state.carried_h
    used = _share(state.used_h, of_h)
    what = f"{of_h or 0:.1f} GPU-hours of {declared.kind or 'all'} GPUs ({declared.period.value})"
    text = f"Project {quota.project} on {quota.cluster}: {share(used)} of {what} are used"
    about = f"{declared.kind} {declared.period.value} {state.first}"
    numbers = {"used_h": state.used_h, "of_h": of_h or 0.0, "share": used}
    fact = _fact(quota, asked, about, text, numbers, state.exhausted_at, now)
    return Found(fact, _holds(used, state.exhausted_at, asked, now) if quota.read_until else None)


def files(quota: ProjectQuota, state: StorageState, asked: AlertRequest, now: float) -> Found:
    """How a project's quota of bytes stands. Pure; what was not measured as it should be is not known."""
    declared = quota.tenant.quota
    of_bytes = declared.storage_bytes if declared.storage_bytes is not None else declared.storage_soft_bytes
    used = _share(state.used_bytes or 0, of_bytes)
    text = f"Project {quota.project} on {quota.cluster}: files use {share(used)} of {size(of_bytes or 0)}"
    numbers = {"used_bytes": state.used_bytes or 0, "of_bytes": of_bytes or 0, "share": used}
    fact = _fact(quota, asked, "files", text, numbers, state.exhausted_at, now)
    holds = _holds(used, state.exhausted_at, asked, now, FILES_DAYS)
    return Found(fact, None if state.used_bytes is None or state.why else holds)


def _share(used: float, of: float | None) -> float:
    """How much of a quota is used; of nothing, all as soon as something is."""
    if of is None:
        return 0.0
    return used / of if of else float(used > 0)


def _fact(
    quota: ProjectQuota,
    asked: AlertRequest,
    about: str,
    text: str,
    numbers: dict[str, float | int],
    exhausted_at: int | None,
    now: float,
) -> Fact:
    if exhausted_at is not None:
        numbers = {**numbers, "exhausted_at": exhausted_at}
        text += f"; at the rate of late nothing is left on {_moment(exhausted_at)}"
    about = f"{quota.cluster} {asked.kind.value} {quota.project} {about}"[:200]
    return Fact(about, f"{text}.", quota.cluster, quota.project, "", int(now), numbers)


def _holds(used: float, exhausted_at: int | None, asked: AlertRequest, now: float, days: float | None = None) -> bool:
    """Whether what an alert watches is so of a quota.

    Args:
        used: Which share of it is used.
        exhausted_at: Unix seconds when nothing will be left; None: never.
        asked: The alert.
        now: Unix seconds.
        days: How far ahead it counts, where the alert does not say; None: however far.
    """
    limit = threshold_of(asked)
    if asked.kind is AlertKind.QUOTA:
        return used >= (limit or 0.0)
    ahead = days if limit is None else limit
    return exhausted_at is not None and (ahead is None or exhausted_at <= now + ahead * DAY_S)


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"

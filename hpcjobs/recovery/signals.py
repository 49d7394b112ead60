"""What speaks against nodes, out of what the house has written down anyway. Pure; what is made of it: lemons.py."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

from hpcjobs.model.cluster import ClusterView, Failure
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import FailureClass, Sureness
from hpcjobs.model.job import Fate
from hpcjobs.model.recovery import Recovery
from hpcjobs.model.suspicion import LemonRules, Signal, SignalKind

ON_PURPOSE: Final = re.compile(r"MAINT|REBOOT|POWER|FUTURE|PLANNED")
"""Flags of nodes that somebody, or Slurm itself, takes out of use for a while."""
SURE: Final = frozenset({FailureClass.DEVICE, FailureClass.NODE, FailureClass.LAUNCH})
WEAK: Final = frozenset({FailureClass.FABRIC, FailureClass.HANG})
"""Classes of failures that are of nodes: which of them, a diagnosis of the second can seldom tell."""
BAD_ENDS: Final = frozenset({Fate.FAILED, Fate.NODE_FAIL, Fate.BOOT_FAIL})


def of_event(event: Event, rules: LemonRules) -> Signal | None:
    """What an event says against a node; None: nothing.

    A node that somebody drains for a reason of their own, or that is restarted, is under no suspicion, nor is one that
    we have drained: the reason that we give is none of a health check.

    Args:
        event: Any.
        rules: Which reasons say what.
    """
    data = event.data
    node, reason = str(data.get("node")), str(data.get("reason") or "")
    if event.kind is EventKind.NODE_FAILED:
        number = data.get("slurm_job_id")
        job = number if isinstance(number, int) else 0
        return Signal(node=node, kind=SignalKind.NODE_FAILED, at=event.at, slurm_job_id=job, said=reason)
    state = str(data.get("raw_state") or "")
    if event.kind is not EventKind.NODE_STATE or data.get("usable") or ON_PURPOSE.search(state):
        return None
    kind = None
    if _says(rules.health_check, reason):
        kind = SignalKind.HEALTH_CHECK
    elif state.endswith("*") or "NOT_RESPONDING" in state or _says(rules.not_responding, reason):
        kind = SignalKind.NOT_RESPONDING
    return None if kind is None else Signal(node=node, kind=kind, at=event.at, said=reason or state)


def of_recovery(recovery: Recovery) -> list[Signal]:
    """What the diagnosis of a run says against nodes.

    Args:
        recovery: What was decided of the run, and why.
    """
    diagnosis = recovery.diagnosis
    if diagnosis.failure not in SURE | WEAK:
        return []
    nodes = sorted({suspect.node for suspect in diagnosis.suspects if suspect.node})
    sure = diagnosis.failure in SURE and diagnosis.sure is Sureness.STRONG
    kind = SignalKind.DIAGNOSED if sure else SignalKind.DIAGNOSED_WEAKLY
    return [
        Signal(
            node=name,
            kind=kind,
            at=recovery.at,
            slurm_job_id=recovery.slurm_job_id,
            among=len(nodes),
            said=diagnosis.sentence,
        )
        for name in nodes
    ]


def of_view(view: ClusterView, known: Collection[tuple[str, int]], now: float) -> Iterator[Signal]:
    """What a listing says by itself: nodes that listed jobs have lost, and nodes where several users' jobs ended badly.

    One user's script is no fault of a node, so the first user of each counts for nothing.

    Args:
        view: The listing.
        known: Nodes and jobs that lost them, by Slurm's number, of which is known already.
        now: Unix seconds.
    """
    users: dict[str, dict[str, tuple[float, int]]] = {}
    for job in view.jobs.values():
        number, at = job.slurm_job_id, min(now, float(job.end_time or job.submit_time or now))
        lost = job.particulars.failed_node
        if lost and (lost, number) not in known:
            yield Signal(node=lost, kind=SignalKind.NODE_FAILED, at=at, slurm_job_id=number)
        if job.fate in BAD_ENDS and job.nodes == 1 and job.node_list:
            users.setdefault(job.node_list, {})[job.user] = at, number
    for name, several in users.items():
        for at, number in sorted(several.values())[1:]:
            yield Signal(node=name, kind=SignalKind.SEVERAL_USERS, at=at, slurm_job_id=number)


def of_failure(failure: Failure) -> Signal:
    """What a node that failed under a job says."""
    return Signal(node=failure.node, kind=SignalKind.NODE_FAILED, at=failure.at, slurm_job_id=failure.slurm_job_id)


def _says(patterns: tuple[str, ...], reason: str) -> bool:
    return bool(reason) and any(_compiled(one).search(reason) for one in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)

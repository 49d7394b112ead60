"""Fair: each account has a quota of GPUs, lends what it does not use, and has it back when it needs it.

An account below its quota comes first with as many of its waiting jobs as the quota has room for. One above it uses
what is idle, like anybody. When a job within its account's quota waits for room, jobs that may be requeued make it:
those of the account furthest above its quota first, of these the youngest, no more than the job needs, and no account
comes below its own quota by it. Accounts without a quota are left alone.

What it does to Slurm: Nice of waiting jobs, and requeue of jobs whose hints say ``preemptible`` and not ``pinned``.
When not to use it: where preemption by quality of service (PreemptType) with limits in Slurm's accounting does the
same, because Slurm decides that within a second; and it does not replace fair share, which looks at the past.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.steering import Action, Prefer, Requeue
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.moving import age, furthest, taken_off
from hpcjobs_plugins.policies.queue import first, gpus_of, movable, waits_for_room

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        quotas: GPUs by account.
        points: Points of priority more for a job within its account's quota; more than the site's whole priority.
        wait_s: How long such a job has waited before others make room for it, in seconds.
        ran_s: How long a job has run before it is requeued, in seconds.
        ahead: Jobs that room is made for at a time, those of the highest priority.
        per_tick: After so many requeues room is made for no further job until the policy is asked again.
    """

    quotas: dict[str, Annotated[int, msgspec.Meta(ge=0)]]
    points: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 3)] = 500_000
    wait_s: Seconds = 60.0
    ran_s: Seconds = 120.0
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 16
    per_tick: Annotated[int, msgspec.Meta(ge=1)] = 100


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    use: Counter[str] = Counter()
    for job in view.jobs.values():
        if job.state in (State.RUNNING, State.SUSPENDED) and job.account in settings.quotas:
            use[job.account] += gpus_of(job)
    mine = entitled(settings, view, use, now)
    for job in mine:
        why = f"{job.account} is within its quota of {settings.quotas[job.account]} GPUs."
        yield Prefer(job.slurm_job_id, settings.points, why)
    yield from _reclaim(settings, view, mine, use, now)


def entitled(settings: Settings, view: ClusterView, use: Counter[str], now: float) -> list[JobRecord]:
    """Waiting jobs that their accounts have room for within their quotas, in the order of the queue.

    Args:
        settings: See Settings.
        view: The last listing.
        use: GPUs that accounts have now.
        now: Unix seconds.
    """
    planned = Counter(use)
    found = []
    for job in first(job for job in view.jobs.values() if job.account in settings.quotas and waits_for_room(job, now)):
        gpus = gpus_of(job)
        if gpus and planned[job.account] + gpus <= settings.quotas[job.account]:
            planned[job.account] += gpus
            found.append(job)
    return found


def _reclaim(
    settings: Settings, view: ClusterView, mine: list[JobRecord], use: Counter[str], now: float
) -> Iterator[Requeue]:
    """Make room for those that have none, each beside what the ones before it will have."""
    over = Counter({account: use[account] - quota for account, quota in settings.quotas.items()})
    lent = sorted((job for job in movable(view, settings.ran_s, now) if over[job.account] > 0), key=age)
    if not lent:
        return
    board, requeued = Board.of(view, view.nodes.keys() - reserved(view)), 0
    for job in mine[: settings.ahead]:
        ask = ask_of(job, view)
        if ask is None or board.place(ask) or now - job.eligible_time < settings.wait_s:
            continue
        if requeued >= settings.per_tick:
            return
        good = {name for name, node in board.nodes.items() if ask.may_use(node)}
        here = (one for one in lent if one.slurm_job_id not in board.gone)
        useful = (one for one in here if not good.isdisjoint(board.where.get(one.slurm_job_id, ())))
        for one in taken_off(ask, board, furthest(useful, over)) or ():
            over[one.account] -= gpus_of(one)
            requeued += 1
            yield Requeue(one.slurm_job_id, f"{one.account} is above its quota, and {job.account} takes back its own.")
        board.place(ask)


PLUGIN = policy("fair", Settings, tick)

"""Counts what jobs of projects have now, of the listing of a cluster. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from hpcjobs.model.held import Held
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.spans import count_together

_HOLDING: Final = (State.RUNNING, State.SUSPENDED, State.COMPLETING)


def by_account(jobs: Iterable[JobRecord]) -> dict[str, Held]:
    """What each account's own jobs have.

    Args:
        jobs: All of a cluster.
    """
    amounts: dict[str, Counter[str]] = {}
    gpus: dict[str, Counter[str]] = {}
    for job in jobs:
        if job.state is State.FINISHED:
            continue
        mine = amounts.setdefault(job.account, Counter())
        mine["submitted_jobs"] += _tasks(job)
        if job.state in _HOLDING:
            mine.update(running_jobs=1, cpus=job.cpus, mem_bytes=job.mem_bytes)
            gpus.setdefault(job.account, Counter()).update(job.gpus)
    return {account: Held(dict(gpus.get(account, {})), **mine) for account, mine in amounts.items()}


def _tasks(job: JobRecord) -> int:
    """How many jobs one is that Slurm lists: tasks of an array that wait together are listed once, the last cut off."""
    return (count_together(job.array_task) or 1) if job.array_task else 1


def together(projects: Collection[str], held: Mapping[str, Held]) -> Held:
    """What the jobs of some accounts have together.

    Args:
        projects: Which.
        held: By account.
    """
    all_of = [held[project] for project in projects if project in held]
    gpus: Counter[str] = Counter()
    for one in all_of:
        gpus.update(one.gpus)
    return Held(
        {**gpus, "": gpus.total()},
        sum(one.cpus for one in all_of),
        sum(one.mem_bytes for one in all_of),
        sum(one.running_jobs for one in all_of),
        sum(one.submitted_jobs for one in all_of),
    )

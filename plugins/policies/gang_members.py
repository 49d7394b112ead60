"""Which jobs are a gang together. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord, State
from hpcjobs_plugins.policies.room import ON_NODES

WAITING: Final = frozenset({State.PENDING, State.HELD})
PREFIX: Final = "hpcjobs_gang_"
"""Begins the name of a gang's reservation, by which its members are known as its members once they have it."""


class Gang(NamedTuple):
    """One gang: the name of its reservation, and its members that have not ended, by number."""

    name: str
    members: list[JobRecord]

    @property
    def waiting(self) -> list[JobRecord]:
        """The members that wait."""
        return [job for job in self.members if job.state in WAITING]

    @property
    def running(self) -> list[JobRecord]:
        """The members that have nodes."""
        return [job for job in self.members if job.state in ON_NODES]


def gangs_of(view: ClusterView) -> list[Gang]:
    """The gangs that are complete, or have been, in the order of their first members."""
    named: dict[tuple[str, str, int], list[JobRecord]] = defaultdict(list)
    for number in sorted(view.hints.keys() & view.jobs.keys()):
        hints, job = view.hints[number], view.jobs[number]
        if hints.gang_size > 1 and job.state is not State.FINISHED:
            named[job.user, hints.gang, hints.gang_size].append(job)
    found = []
    for (_, _, size), jobs in named.items():
        together: dict[str, list[JobRecord]] = defaultdict(list)
        fresh, begun = [], []
        for job in jobs:
            if job.particulars.reservation.startswith(PREFIX):
                together[job.particulars.reservation].append(job)
            elif job.state in WAITING and not job.restarts:
                fresh.append(job)
            else:
                begun.append(job)
        for at in range(0, len(fresh) - size + 1, size):
            part = fresh[at : at + size]
            together[f"{PREFIX}{part[0].slurm_job_id}"] = part
        for at in range(0, len(begun), size):
            part = begun[at : at + size]
            together[f"{PREFIX}{part[0].slurm_job_id}_{part[0].restarts}"] += part
        found += [Gang(name, members) for name, members in together.items()]
    return sorted(found, key=lambda gang: gang.members[0].slurm_job_id)

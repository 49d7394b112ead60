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
    """The gangs that are complete, or have been, in the order of their first members.

    Jobs that have begun, or have a place in a gang's reservation, are one gang where they are no more than it has jobs.
    Those that have neither are gangs of their own, as many as they fill, whatever of their name runs.
    """
    named: dict[tuple[str, str, int], list[JobRecord]] = defaultdict(list)
    for number in sorted(view.hints.keys() & view.jobs.keys()):
        hints, job = view.hints[number], view.jobs[number]
        if hints.gang_size > 1 and job.state is not State.FINISHED:
            named[job.user, hints.gang, hints.gang_size].append(job)
    found = []
    for (_, _, size), jobs in named.items():
        fresh = [job for job in jobs if job.state in WAITING and not job.restarts and not reservation_of(job)]
        begun = [job for job in jobs if job not in fresh]
        parts = [fresh[at : at + size] for at in range(0, len(fresh) - size + 1, size)]
        parts += [begun] if len(begun) <= size else _by_reservation(begun, size)
        found += [Gang(_name(members), members) for members in parts if members]
    return sorted(found, key=lambda gang: gang.members[0].slurm_job_id)


def reservation_of(job: JobRecord) -> str:
    """The gang's reservation that a job is in, or ``""``."""
    name = job.particulars.reservation
    return name if name.startswith(PREFIX) else ""


def _by_reservation(jobs: list[JobRecord], size: int) -> list[list[JobRecord]]:
    """Several gangs of one name: by the reservation that they have, the others by their numbers."""
    inside: dict[str, list[JobRecord]] = defaultdict(list)
    for job in jobs:
        inside[reservation_of(job)].append(job)
    rest = inside.pop("", [])
    return [*inside.values(), *(rest[at : at + size] for at in range(0, len(rest), size))]


def _name(members: list[JobRecord]) -> str:
    """The name of its reservation: that which its waiting members have, else one that it has not had before."""
    there = [reservation_of(job) for job in members if job.state in WAITING and reservation_of(job)]
    return there[0] if there else f"{PREFIX}{members[0].slurm_job_id}_{max(job.restarts for job in members)}"

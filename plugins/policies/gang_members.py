"""Which jobs are a gang together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import WAITING, JobRecord, State
from hpcjobs_plugins.policies.queue import ON_NODES

PREFIX: Final = "hpcjobs_gang_"
"""Begins the name of a gang's reservation, by which its members are known as its members once they have it."""


class Gang(NamedTuple):
    """One gang.

    Attributes:
        members: Those that have not ended, by number.
        missing: How many of it have not come yet, or are held by their owner; it does not start before. None is
            missing of a gang that has begun: who is not there has ended.
    """

    members: list[JobRecord]
    missing: int = 0

    @property
    def waiting(self) -> list[JobRecord]:
        """The members that wait."""
        return [job for job in self.members if job.state in WAITING]

    @property
    def running(self) -> list[JobRecord]:
        """The members that have nodes."""
        return [job for job in self.members if job.state in ON_NODES]

    @property
    def since(self) -> int:
        """Unix seconds from which it waits: since the last member came, and while some are missing, the first."""
        came = [job.submit_time for job in self.members]
        return min(came) if self.missing else max(came)

    def turn(self, deadline_s: float, now: float) -> int:
        """How many deadlines it has passed since then."""
        return max(0, int((now - self.since) // deadline_s))

    @property
    def had(self) -> str:
        """The reservation that its waiting members have, or ``""``."""
        return next((name for job in self.waiting if (name := reservation_of(job))), "")

    def name(self, turn: int = 0) -> str:
        """The name of its reservation: that of its waiting members, else one that it has not had before.

        Args:
            turn: How many deadlines it has passed: what it had before is not its own any more.
        """
        if self.had and (self.running or turn_of(self.had) == turn):
            return self.had
        new = f"{PREFIX}{self.members[0].slurm_job_id}_{max(job.restarts for job in self.members)}"
        return f"{new}_{turn}" if turn else new


def gangs_of(view: ClusterView) -> list[Gang]:
    """The gangs in the order of their first members.

    Jobs of one name that have begun, or have a place in a reservation in which one of them has, are one gang where
    they are no more than it has jobs. Those that wait for their first start are gangs of their own, whatever of their
    name runs or has run: nobody who came later makes whole a gang that has begun. The last may lack members.
    """
    named: dict[tuple[str, str, int], list[JobRecord]] = defaultdict(list)
    for number in sorted(number for number, hints in view.hints.items() if hints.gang_size > 1 and number in view.jobs):
        hints, job = view.hints[number], view.jobs[number]
        named[job.user, hints.gang, hints.gang_size].append(job)
    found = []
    for (_, _, size), jobs in named.items():
        left = [job for job in jobs if job.state is not State.FINISHED]
        entered = {reservation_of(job) for job in jobs if job.node_list or job.restarts} - {""}
        fresh = [job for job in left if not _has_begun(job) and reservation_of(job) not in entered]
        begun = [job for job in left if job not in fresh]
        for members in [begun] if len(begun) <= size else _by_reservation(begun, size):
            found += [Gang(members)] if members else []
        for members in _filled(fresh, size):
            ready = sum(job.state is State.PENDING for job in members)
            found.append(Gang(members, max(0, size - ready)))
    return sorted(found, key=lambda gang: gang.members[0].slurm_job_id)


def reservation_of(job: JobRecord) -> str:
    """The gang's reservation that a job is in, or ``""``."""
    name = job.particulars.reservation
    return name if name.startswith(PREFIX) else ""


def _has_begun(job: JobRecord) -> bool:
    return job.state not in WAITING or bool(job.restarts)


def _places(jobs: Sequence[JobRecord]) -> tuple[list[list[JobRecord]], list[JobRecord]]:
    """Jobs by the reservation that they have, and those that have none."""
    inside: dict[str, list[JobRecord]] = defaultdict(list)
    for job in jobs:
        inside[reservation_of(job)].append(job)
    rest = inside.pop("", [])
    return list(inside.values()), rest


def _filled(jobs: Sequence[JobRecord], size: int) -> list[list[JobRecord]]:
    """Gangs of jobs that wait: those with a reservation, filled up with others, and the others among themselves."""
    placed, rest = _places(jobs)
    parts = []
    for members in placed:
        lacking = max(0, size - len(members))
        parts.append(sorted([*members, *rest[:lacking]], key=lambda job: job.slurm_job_id))
        rest = rest[lacking:]
    return parts + [rest[at : at + size] for at in range(0, len(rest), size)]


def _by_reservation(jobs: Sequence[JobRecord], size: int) -> list[list[JobRecord]]:
    """Several gangs of one name: by the reservation that they have, the others by their numbers."""
    placed, rest = _places(jobs)
    return [*placed, *(rest[at : at + size] for at in range(0, len(rest), size))]


def turn_of(name: str) -> int:
    """After how many deadlines a reservation was made."""
    parts = name.removeprefix(PREFIX).split("_")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdecimal() else 0

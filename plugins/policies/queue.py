"""What several policies ask of a view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import JobRecord, State

KEPT: Final = "ReqNodeNotAvail, May be reserved for other job"
"""Slurm's reason of a job of which some nodes are kept for others, also where it could not have all the rest."""
FOR_ROOM: Final = frozenset({"", "None", "Resources", "Priority", KEPT})
"""Slurm's reasons of jobs that would start if there were room."""


def waiting(view: ClusterView) -> Iterator[tuple[JobRecord, Hints]]:
    """Jobs that wait and are not held, with their hints, in the order of their numbers."""
    for number in sorted(view.jobs):
        job = view.jobs[number]
        if job.state is State.PENDING:
            yield job, view.hints.get(number, NO_HINTS)


def gpus_of(job: JobRecord) -> int:
    """GPUs of the whole job."""
    return sum(job.gpus.values())


def may_use(job: JobRecord, node: Node) -> bool:
    """Whether a job may run on a node as far as its partitions go."""
    return not job.partition or bool(set(job.partition.split(",")) & set(node.partitions))


def is_idle(node: Node) -> bool:
    """Whether a node is usable and nothing runs on it."""
    return node.usable and not node.cpus_alloc and not any(node.gpus_alloc.values())


def waits_for_room(job: JobRecord, now: float) -> bool:
    """Whether nothing but what runs there, or jobs before it, keeps a job from starting."""
    return job.state is State.PENDING and 0 < job.eligible_time <= now and job.reason in FOR_ROOM


def first(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    """Jobs in the order in which Slurm looks at them."""
    return sorted(jobs, key=lambda job: (-job.priority, job.slurm_job_id))


def movable(view: ClusterView, ran_s: float, now: float) -> list[JobRecord]:
    """Running jobs that may be requeued for others' sake, alone, and have run for so many seconds."""
    found = []
    for number in sorted(view.hints.keys() & view.jobs.keys()):
        hints, job = view.hints[number], view.jobs[number]
        willing = hints.preemptible and not hints.pinned and hints.gang_size < 2
        can = job.state is State.RUNNING and job.particulars.requeue and not job.het_job_id
        if willing and can and now - job.start_time >= ran_s:
            found.append(job)
    return found

"""What several policies ask of a view. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import JobRecord, State


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

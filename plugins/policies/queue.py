"""What several policies ask of a view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import JobRecord, State
from hpcjobs.sbatch.hostlists import expand_hostlist

KEPT: Final = "ReqNodeNotAvail, May be reserved for other job"
"""Slurm's reason of a job of which some nodes are kept for others, also where it could not have all the rest."""
ON_NODES: Final = frozenset({State.RUNNING, State.SUSPENDED, State.COMPLETING})
"""States of jobs that have nodes."""
LESS: Final = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
"""Slurm's words for Resources where what is in use leaves too few nodes, be it for jobs of a higher priority."""
FOR_ROOM: Final = frozenset({"", "None", "Resources", "Priority", KEPT, LESS})
"""Slurm's reasons of jobs that would start if there were room."""


def waiting(view: ClusterView) -> Iterator[tuple[JobRecord, Hints]]:
    """Jobs that wait and are not held, with their hints, in the order of their numbers."""
    for number in sorted(number for number, job in view.jobs.items() if job.state is State.PENDING):
        yield view.jobs[number], view.hints.get(number, NO_HINTS)


def hosts_of(job: JobRecord) -> tuple[str, ...]:
    """Names of the nodes that a job has."""
    return _names(job.node_list) if job.node_list else ()


def gpus_of(job: JobRecord) -> int:
    """GPUs of the whole job."""
    return sum(job.gpus.values())


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
    for number, hints in view.hints.items():
        job = view.jobs.get(number)
        if job is None or job.state is not State.RUNNING or now - job.start_time < ran_s:
            continue
        willing = hints.preemptible and not hints.pinned and hints.gang_size < 2
        if willing and job.particulars.requeue and not job.het_job_id:
            found.append(job)
    return sorted(found, key=lambda job: job.slurm_job_id)


@lru_cache(maxsize=2**14)
def _names(hostlist: str) -> tuple[str, ...]:
    """Those of a hostlist: most of them stay from one listing to the next."""
    return tuple(expand_hostlist(hostlist))

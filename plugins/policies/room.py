"""Where and when so many nodes could be free together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.shards import share_of, shared_gpus_of
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.policies.queue import gpus_of, is_idle, may_use

ON_NODES = frozenset({State.RUNNING, State.SUSPENDED, State.COMPLETING})


class Room(NamedTuple):
    """Nodes for jobs that start together.

    Attributes:
        nodes: Names, sorted.
        start: Unix seconds from which all of them are free, as far as the limits of what runs there say.
    """

    nodes: tuple[str, ...]
    start: float


class Free(NamedTuple):
    """When a node is free, as far as the limits of what runs there say.

    Attributes:
        at: Unix seconds; 0.0 is now.
        node: The node.
    """

    at: float
    node: Node


def busy_until(view: ClusterView) -> dict[str, float]:
    """Unix seconds at which what runs on a node has reached its limit, by name of node; idle ones are left out."""
    until: dict[str, float] = {}
    for job in view.jobs.values():
        if job.state in ON_NODES and job.node_list:
            end = float(job.end_time) if job.end_time else float("inf")
            for name in expand_hostlist(job.node_list):
                until[name] = max(until.get(name, 0.0), end)
    return until


def freed(view: ClusterView) -> list[Free]:
    """The usable nodes that will be free, the first first; those of equal time in the order of the view."""
    until = busy_until(view)
    found = [
        Free(until.get(name, 0.0 if is_idle(node) else float("inf")), node)
        for name, node in view.nodes.items()
        if node.usable
    ]
    return sorted((free for free in found if free.at < float("inf")), key=lambda free: free.at)


def fits(job: JobRecord, node: Node) -> bool:
    """Whether an empty node gives a job its part: CPUs, GPUs of each kind or a share of one, evenly over its nodes."""
    nodes = max(1, job.nodes)
    if node.cpus * nodes < job.cpus or sum(node.gpus.values()) * nodes < gpus_of(job):
        return False
    share = share_of(job)
    return (
        may_use(job, node)
        and all(
            (node.gpus.get(kind, 0) if kind else sum(node.gpus.values())) * nodes >= count
            for kind, count in job.gpus.items()
        )
        and (share is None or bool(share.room([gpu.back() for gpu in shared_gpus_of(node)])))
    )


def kinds(jobs: Iterable[JobRecord]) -> list[JobRecord]:
    """One job of each kind: those that fit the same nodes."""
    found = {(job.nodes, job.cpus, job.partition, frozenset(job.gpus.items()), share_of(job)): job for job in jobs}
    return [*found.values()]


def room_for(jobs: Iterable[JobRecord], nodes: Iterable[Free], taken: Collection[str], now: float) -> Room | None:
    """The earliest room for jobs that start together, each with nodes of its own.

    Args:
        jobs: The jobs; each on nodes that fit all of them.
        nodes: See freed.
        taken: Names of nodes that are not to be counted on.
        now: Unix seconds.

    Returns:
        Nodes and time; None: there will never be so many.
    """
    jobs = list(jobs)
    needed = sum(max(1, job.nodes) for job in jobs)
    different = kinds(jobs)
    found: list[str] = []
    for at, node in nodes:
        if node.name not in taken and all(fits(job, node) for job in different):
            found.append(node.name)
            if len(found) == needed:
                return Room(tuple(sorted(found)), max(now, at))
    return None

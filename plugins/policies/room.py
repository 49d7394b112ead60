"""Where and when so many nodes could be free together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf
from operator import itemgetter
from typing import NamedTuple

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.shards import share_of, shared_gpus_of
from hpcjobs_plugins.policies.queue import gpus_of, hosts_of, is_idle, may_use

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
        if job.node_list and job.state in ON_NODES:
            end = float(job.end_time) if job.end_time else inf
            for name in hosts_of(job):
                if end > until.get(name, -1.0):
                    until[name] = end
    return until


def freed(view: ClusterView) -> list[Free]:
    """The usable nodes that will be free, the first first; those of equal time in the order of the view."""
    until = busy_until(view)
    found = []
    for name, node in view.nodes.items():
        at = until.get(name)
        if at is None:
            at = 0.0 if is_idle(node) else inf
        if at < inf and node.usable:
            found.append(Free(at, node))
    return sorted(found, key=itemgetter(0))


class Part:
    """What a job asks of each of its nodes: CPUs, GPUs of each kind or a share of one, evenly over its nodes.

    Args:
        job: The job.
    """

    def __init__(self, job: JobRecord) -> None:
        self._job = job
        self._nodes = max(1, job.nodes)
        self._typed = [(kind, count) for kind, count in job.gpus.items() if kind]
        self._any = gpus_of(job) if "" in job.gpus else 0
        self._share = share_of(job)

    def fits(self, node: Node) -> bool:
        """Whether a node gives it that when it is empty."""
        nodes = self._nodes
        for kind, count in self._typed:
            if node.gpus.get(kind, 0) * nodes < count:
                return False
        if node.cpus * nodes < self._job.cpus:
            return False
        if self._any and sum(node.gpus.values()) * nodes < self._any:
            return False
        share = self._share
        return may_use(self._job, node) and (
            share is None or bool(share.room([gpu.back() for gpu in shared_gpus_of(node)]))
        )


def fits(job: JobRecord, node: Node) -> bool:
    """Whether an empty node gives a job its part."""
    return Part(job).fits(node)


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
    parts = [Part(job) for job in kinds(jobs)]
    found: list[str] = []
    for at, node in nodes:
        if node.name in taken:
            continue
        for part in parts:
            if not part.fits(node):
                break
        else:
            found.append(node.name)
            if len(found) == needed:
                return Room(tuple(sorted(found)), max(now, at))
    return None

"""Where and when so many nodes could be free together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf
from operator import itemgetter
from typing import NamedTuple

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.sbatch.asks import Ask
from hpcjobs_plugins.policies.queue import ON_NODES, hosts_of, is_idle


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


def kinds(asks: Iterable[Ask]) -> list[Ask]:
    """One of each kind: those that fit the same nodes."""
    return [*{ask.kind: ask for ask in asks}.values()]


def room_for(asks: Collection[Ask], nodes: Iterable[Free], taken: Collection[str], now: float) -> Room | None:
    """The earliest room for jobs that start together, each with nodes of its own.

    Args:
        asks: What the jobs ask for; each on nodes that fit all of them.
        nodes: See freed.
        taken: Names of nodes that are not to be counted on.
        now: Unix seconds.

    Returns:
        Nodes and time; None: there will never be so many.
    """
    needed = sum(ask.nodes for ask in asks)
    each = kinds(asks)
    found: list[str] = []
    for at, node in nodes:
        if node.name in taken:
            continue
        for ask in each:
            if not ask.fits(node):
                break
        else:
            found.append(node.name)
            if len(found) == needed:
                return Room(tuple(sorted(found)), max(now, at))
    return None

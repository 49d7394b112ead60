"""Cables that have one end where it was: which of those that are gone is which of those that are new. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

from hpcjobs_plugins.topology.matching import Both

Port = tuple[str, Both, int]
"""One end of a cable: ``switch`` or ``adapter``, its names before and after, and the port."""

Link = tuple[Port, Port]
"""A cable: the adapter, if there is one, first."""


def order(port: Port) -> tuple[str, list[str], int]:
    """What to sort ends by so that it is the same with before and after exchanged."""
    kind, names, number = port
    return kind, sorted(names), number


def replugged(lost: Iterable[Link], found: Iterable[Link]) -> list[tuple[Link, Link]]:
    """Pairs of a cable that is gone and a new one in the same switch port; as many as there can be.

    An end is in at most one lost and one found cable, so cables that share ends make chains and rings. A chain is
    taken up from its ends.

    Args:
        lost: Cables of before.
        found: Cables of after; none is in ``lost``.
    """
    at = {end: link for link in found for end in link if end[0] == "switch"}
    shared = [
        (order(end), link, at[end])
        for link in lost
        for end in link
        if end in at and end[0] == "switch" and at[end][0][0] == link[0][0]
    ]
    shared.sort(key=lambda one: one[0])
    touching: dict[Link, set[int]] = defaultdict(set)
    for index, (_, old, new) in enumerate(shared):
        touching[old].add(index)
        touching[new].add(index)
    heap = [(min(len(touching[old]), len(touching[new])), index) for index, (_, old, new) in enumerate(shared)]
    heapq.heapify(heap)
    pairs: list[tuple[Link, Link]] = []
    done: set[int] = set()
    while heap:
        _, index = heapq.heappop(heap)
        if index in done:
            continue
        _, old, new = shared[index]
        pairs.append((old, new))
        taken = touching[old] | touching[new]
        done |= taken
        for other in taken - {index}:
            for link in shared[other][1:]:
                touching[link].discard(other)
                for left in touching[link] - done:
                    heapq.heappush(heap, (1, left))
    return pairs

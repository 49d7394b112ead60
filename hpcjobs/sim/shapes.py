"""How a number of GPUs becomes nodes of a fleet: classes of like nodes, and what of them a job asks for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from hpcjobs.sim.workload import SimNode

MOST_OF_CLASS: Final = 0.75
"""A job gets no larger part of a class, so that it can start though some nodes are down."""


class NodeClass(NamedTuple):
    """Nodes of one type of GPU and with as many of them.

    Attributes:
        gpu_type: The type.
        gpus: GPUs of a node.
        cpus: CPUs of the node that has fewest.
        nodes: How many they are.
    """

    gpu_type: str
    gpus: int
    cpus: int
    nodes: int

    @property
    def most_nodes(self) -> int:
        """As many nodes as a job may have."""
        return max(1, int(self.nodes * MOST_OF_CLASS))


class Shape(NamedTuple):
    """What a job asks for.

    Attributes:
        nodes: Nodes.
        gpus_per_node: GPUs on each.
        cpus_per_node: CPUs on each.
        gpu_types: Types that will do; empty: any.
        most_nodes: As many nodes as it may have at all.
    """

    nodes: int
    gpus_per_node: int
    cpus_per_node: int
    gpu_types: tuple[str, ...]
    most_nodes: int


def classes_of(nodes: Sequence[SimNode]) -> tuple[NodeClass, ...]:
    """The classes of a fleet's nodes with GPUs, in the order in which they first stand there."""
    counted = Counter((node.gpu_type, node.gpus) for node in nodes if node.gpus)
    return tuple(
        NodeClass(kind, gpus, min(node.cpus for node in nodes if (node.gpu_type, node.gpus) == (kind, gpus)), count)
        for (kind, gpus), count in counted.items()
    )


def shape_of(gpus: int, classes: Sequence[NodeClass], rng: Random) -> Shape | None:
    """Nodes for a number of GPUs; None: no class can hold them.

    A single GPU may be of any type. For more, a class is drawn by its GPUs, so that the work that is offered is spread
    over the fleet as its GPUs are: which jobs would fit which type in reality, no file tells.

    Args:
        gpus: How many, 1 or more.
        classes: Of the fleet.
        rng: Where chance is from.
    """
    if gpus == 1 and classes:
        cpus = min(one.cpus // one.gpus for one in classes)
        return Shape(1, 1, max(1, cpus), (), 1)
    able, weights = _able(gpus, tuple(classes))
    if not able:
        return None
    (chosen,) = rng.choices(able, weights)
    nodes = -(-gpus // chosen.gpus)
    on_each = -(-gpus // nodes)
    types = (chosen.gpu_type,) if chosen.gpu_type else ()
    return Shape(nodes, on_each, max(1, chosen.cpus * on_each // chosen.gpus), types, chosen.most_nodes)


@lru_cache(maxsize=256)
def _able(gpus: int, classes: tuple[NodeClass, ...]) -> tuple[list[NodeClass], list[int]]:
    """The classes that can hold so many GPUs, and how many GPUs they have."""
    able = [one for one in classes if -(-gpus // one.gpus) <= one.most_nodes]
    return able, [one.gpus * one.nodes for one in able]

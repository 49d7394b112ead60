"""Nodes under as few leaf switches as can be."""

from __future__ import annotations

import numpy as np

from hpcjobs.sim.choosers import tightest_gpu
from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.placed import Ints, Need
from hpcjobs.sim.workload import SimNode


class FewestLeaves:
    """Nodes under the lowest switch that has enough of them, and there under the fewest leaf switches.

    Among several switches of that kind, the one with the fewest nodes with room is taken, as Slurm's topology/tree
    does. Under it, leaves with most nodes with room are used up first, which is the fewest there can be, and the last
    one is that with the least room that is enough. Nodes of which no switch is known stand each for itself.
    """

    def __init__(self) -> None:
        self._nodes: tuple[SimNode, ...] | None = None
        self._levels: list[Ints] = []

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        levels = self._levels_of(fleet)
        for level in levels:
            groups = level[nodes]
            sizes = np.bincount(groups)
            if sizes.max() >= count:
                return _from_fewest(levels[0], nodes[groups == _tightest(sizes, count)], count)
        return _from_fewest(levels[0], nodes, count)

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """As said by Chooser."""
        return tightest_gpu(fleet, need, nodes)

    def _levels_of(self, fleet: Fleet) -> list[Ints]:
        """For each tier from the leaves up, the number of the switch above each node."""
        if self._nodes is not fleet.nodes:
            highest = max((len(node.switches) for node in fleet.nodes), default=0)
            self._levels = [_tier(fleet.nodes, tier) for tier in range(max(highest, 1))]
            self._nodes = fleet.nodes
        return self._levels


def _tier(nodes: tuple[SimNode, ...], tier: int) -> Ints:
    """Number of the switch of one tier above each node; a number of its own where there is none."""
    numbers: dict[str | int, int] = {}
    return np.array(
        [
            numbers.setdefault(node.switches[tier] if tier < len(node.switches) else index, len(numbers))
            for index, node in enumerate(nodes)
        ],
        dtype=np.int64,
    )


def _tightest(sizes: Ints, count: int) -> int:
    """The smallest group that is large enough."""
    return int(np.where(sizes >= count, sizes, np.iinfo(np.int64).max).argmin())


def _from_fewest(leaves: Ints, nodes: Ints, count: int) -> Ints:
    """So many of the nodes, under the fewest leaves."""
    groups = leaves[nodes]
    sizes = np.bincount(groups)
    order = np.argsort(-sizes, kind="stable")
    full = int(np.searchsorted(sizes[order].cumsum(), count))  # leaves that are used up before the last
    rest = count - int(sizes[order[:full]].sum())
    in_full = np.isin(groups, order[:full])
    others = np.where(in_full, 0, sizes[groups])
    last = groups[_tightest(others, rest)]
    return np.concatenate((nodes[in_full], nodes[groups == last][:rest]))

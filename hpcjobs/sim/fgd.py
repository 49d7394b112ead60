"""Fragmentation gradient descent: a task goes where it makes the fewest free GPUs useless for what usually comes.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX
ATC 2023, section 4. Of the free GPUs of node n, a task of type m cannot use

    F_n(m) = all that is free of them                           where m does not fit on n for its CPUs, GPUs or type,
             the sum of R_g over GPUs g with R_g < D_m          else,

with R_g what is free of GPU g and D_m what m needs of a GPU, at most a whole one. With the popularity p_m of type m,
the fragmentation of a node is F_n = sum over m of p_m F_n(m), and a task goes to the node, and a share to the GPU,
where F_n grows least. As in the paper, memory plays no part in F. Tasks that need no GPU are not counted among the
types: they would add the same to each choice.

What m can use depends on n's type of GPU, on its free CPUs, and on what is free of each GPU, one by one (tasks of up
to one GPU) or on the number of whole ones (tasks of several). So the sum over m is read from two tables of summed
popularity, and a change of one node costs as much as that node, whatever the number of types.

Between nodes, growth is rounded, and the first node in the fleet's order is taken among equals: a hundredth of a GPU
of expected loss is not worth beginning another node. The paper's own scheduler rounds as well (its scores are whole
percents of a logistic function of the growth: 0.04 GPU where it grows little), and how coarsely matters; what was
measured stands in tests/bench/packing.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.choosers import least
from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.placed import Floats, Ints, Need
from hpcjobs.sim.workload import WHOLE_GPU, SimJob

GRAIN_MILLI: Final = 100
"""Thousandths of a GPU to which growth is rounded between nodes."""
MOST_REMEMBERED: Final = 512
"""Needs whose growth is remembered for each node of a fleet, before all of them are forgotten."""


class _Tables(NamedTuple):
    """Summed popularity of the types that fit.

    Attributes:
        cpu_levels: CPUs that types ask for, ascending; a node with so many of them or more is at the level above.
        milli_level: Level of each number of free thousandths of a GPU; shape (1001,).
        single: Of types of up to one GPU, by type of GPU, level of CPUs and level of thousandths.
        several: Of types of two GPUs and more, by type of GPU, level of CPUs and number of whole free GPUs.
    """

    cpu_levels: Ints
    milli_level: Ints
    single: Floats
    several: Floats


class _Growth(NamedTuple):
    """Growth of F by one need on each node, rounded, as of one version of the fleet."""

    by_node: Floats
    version: int


class Fgd:
    """Nodes on which the job makes fragmentation grow least, and for a share the GPU likewise.

    Args:
        mix: How often each need occurs among the tasks that are to be expected; those without GPUs do not count.
        grain_milli: Growth is rounded to multiples of so many thousandths of a GPU between nodes; 0: it is not.

    Raises:
        Refused: No need in the mix has a GPU.
    """

    def __init__(self, mix: Mapping[Need, float], *, grain_milli: int = GRAIN_MILLI) -> None:
        total = sum(count for need, count in mix.items() if need.gpu_milli)
        if total <= 0:
            raise Refused([Refusal("mix", "no job of the mix needs a GPU, so that there is nothing to fragment")])
        self.popularity = {need: count / total for need, count in mix.items() if need.gpu_milli}
        self.grain_milli = grain_milli
        self._tables: dict[tuple[tuple[str, ...], int], _Tables] = {}

    @classmethod
    def of(cls, jobs: Iterable[SimJob], *, grain_milli: int = GRAIN_MILLI) -> Fgd:
        """For the mix of some jobs; one on several nodes counts as so many."""
        mix: Counter[Need] = Counter()
        for job in jobs:
            mix[Need.of(job)] += job.nodes
        return cls(mix, grain_milli=grain_milli)

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """As said by Chooser."""
        key = (self, need)
        known = fleet.memory.get(key)
        if isinstance(known, _Growth):
            by_node = known.by_node
            stale = np.flatnonzero(fleet.changed > known.version)
        else:
            if len(fleet.memory) >= MOST_REMEMBERED:
                fleet.memory.clear()
            by_node = np.zeros(len(fleet))
            stale = np.arange(len(fleet))
        if stale.size:
            growth = self.growth(fleet, need, stale).min(axis=1)
            by_node[stale] = np.round(growth / self.grain_milli) if self.grain_milli else growth
        fleet.memory[key] = _Growth(by_node, fleet.version)
        return least(by_node[nodes], nodes, count)

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """As said by Chooser."""
        gpus: Ints = self.growth(fleet, need, nodes).argmin(axis=1)
        return gpus

    def fragmentation(self, fleet: Fleet) -> float:
        """F of all nodes together, in GPUs."""
        nodes = np.arange(len(fleet))
        tables = self._tables_for(fleet)
        rows = self._rows(tables, fleet, nodes, fleet.free_cpus)
        usable = _singles(tables, rows[:, None], fleet.free_milli).sum(axis=1)
        usable += _several(tables, rows, fleet.free_gpus)
        return float((fleet.left_milli - usable).sum()) / WHOLE_GPU

    def growth(self, fleet: Fleet, need: Need, nodes: Ints) -> Floats:
        """By how much F grows.

        Args:
            fleet: The fleet as it is.
            need: What is asked of each node.
            nodes: Indices of nodes.

        Returns:
            Growth in thousandths of a GPU for each node and, for a share, each GPU it could be of, infinite where
            there is no room on it; shape (nodes, GPUs) for a share, else (nodes, 1).
        """
        tables = self._tables_for(fleet)
        free, whole = fleet.free_milli[nodes], fleet.free_gpus[nodes]
        before = self._rows(tables, fleet, nodes, fleet.free_cpus[nodes])
        usable = _singles(tables, before[:, None], free).sum(axis=1) + _several(tables, before, whole)
        if need.exclusive:
            lost: Floats = (usable - fleet.left_milli[nodes])[:, None]
            return lost
        after = self._rows(tables, fleet, nodes, fleet.free_cpus[nodes] - need.cpus)
        single = _singles(tables, after[:, None], free)
        still = single.sum(axis=1)
        if not need.milli:
            whole_gpu = _singles(tables, after, np.full(nodes.size, WHOLE_GPU))
            still = still - need.gpus * whole_gpu + _several(tables, after, np.maximum(whole - need.gpus, 0))
            growth: Floats = (usable - still - need.gpu_milli)[:, None]
            return growth
        rest = np.maximum(free - need.milli, 0)
        each = still[:, None] - single + _singles(tables, after[:, None], rest)
        each += _several(tables, after[:, None], np.maximum(whole[:, None] - (free == WHOLE_GPU), 0))
        return np.where(free >= need.milli, usable[:, None] - each - need.milli, np.inf)

    def _rows(self, tables: _Tables, fleet: Fleet, nodes: Ints, free_cpus: Ints) -> Ints:
        """The row of each node in both tables."""
        levels = tables.cpu_levels.size + 1
        return fleet.gpu_type[nodes] * levels + tables.cpu_levels.searchsorted(free_cpus, side="right")

    def _tables_for(self, fleet: Fleet) -> _Tables:
        widest = fleet.free_milli.shape[1]
        tables = self._tables.get((fleet.types, widest))
        if tables is None:
            tables = self._tables[fleet.types, widest] = _tables(self.popularity, fleet.types, widest)
        return tables


def _tables(popularity: Mapping[Need, float], types: tuple[str, ...], widest: int) -> _Tables:
    cpu_levels = np.unique([need.cpus for need in popularity])
    milli_levels = np.unique([need.milli or WHOLE_GPU for need in popularity])
    single = np.zeros((len(types), cpu_levels.size + 1, milli_levels.size + 1))
    several = np.zeros((len(types), cpu_levels.size + 1, widest + 1))
    for need, part in popularity.items():
        cpus = int(cpu_levels.searchsorted(need.cpus)) + 1
        fits = [number for number, name in enumerate(types) if not need.gpu_types or name in need.gpu_types]
        if need.gpus <= 1:
            milli = int(milli_levels.searchsorted(need.milli or WHOLE_GPU)) + 1
            single[fits, cpus:, milli:] += part
        elif need.gpus <= widest:
            several[fits, cpus:, need.gpus :] += part
    milli_level = milli_levels.searchsorted(np.arange(WHOLE_GPU + 1), side="right")
    return _Tables(
        cpu_levels,
        milli_level,
        single.reshape(-1, single.shape[-1]),
        several.reshape(-1, several.shape[-1]),
    )


def _singles(tables: _Tables, rows: Ints, free: Ints) -> Floats:
    """Thousandths of each GPU that types of up to one GPU can use, weighted by their popularity."""
    usable: Floats = free * tables.single[rows, tables.milli_level[free]]
    return usable


def _several(tables: _Tables, rows: Ints, whole: Ints) -> Floats:
    """Thousandths of each node's whole GPUs that types of several GPUs can use, weighted by their popularity."""
    usable: Floats = WHOLE_GPU * whole * tables.several[rows, whole]
    return usable

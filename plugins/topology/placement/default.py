"""What Slurm would do by itself: which nodes it gives a job, and in which order it lays tasks on them.

Modelled after Slurm 26.05 (slurm-26.05 at 531c4b2e), for whole, equal, idle nodes of one Weight:

- topology/tree (``_eval_nodes_topo`` in topology/tree/eval_nodes_tree.c): below the highest switch that has enough
  nodes, leaves one after the other: the tightest of those that hold what is still wanted, else the one with most nodes;
  leaves that do not hold it are compared by the switches above them, and one nearer to those taken goes first where it,
  or what is above it, holds the rest;
- topology/block: blocks.py;
- topology/flat (``_eval_nodes_consec`` in topology/common/eval_nodes.c): runs of nodes that follow each other in the
  node table, the tightest that holds the rest, else the longest;
- a job of one node gets the first of the node table since 26.05, whatever the topology (``_get_one_res`` in
  select/cons_tres/job_test.c).

Tasks are laid on nodes by leaf or block and in it by name (``topology_p_get_rank``, ``_task_layout_topo``). By name
alone with topology/flat, up to 25.11 everywhere, and where a step has no more tasks than nodes, as with torchrun: srun
then asks for --distribution=cyclic, where it asks for block else, and cyclic and plane do not look at the topology.

All of this was compared with real controllers of 26.05 and 24.11: tests/slurm/test_topology_ranks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.engines.model import Release
from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.placement.blocks import Blocks, in_blocks
from hpcjobs_plugins.topology.placement.distance import Cell, Distances
from hpcjobs_plugins.topology.placement.grouping import Path


class Slurm(StrEnum):
    """What Slurm knows of the fabric."""

    TREE = "tree"  # topology/tree: leaf groups under pods under a root for each fabric (engines/tree.py)
    BLOCK = "block"  # topology/block: NVLink domains, or leaf groups where a site has none
    FLAT = "flat"  # nothing


RANKS_SINCE: Final[Release] = (26, 5)
"""Since this release tasks are laid by leaf or block, and a job of one node has a way of its own."""


def in_default_order(
    site: Site,
    distances: Distances,
    usable: Iterable[str],
    count: int,
    slurm: Slurm,
    segment: int = 0,
    *,
    tasks_each: int = 8,
    release: Release = RANKS_SINCE,
    blocks: Blocks | None = None,
) -> list[str] | None:
    """The nodes that Slurm would give a job, in the order of ranks.

    Args:
        site: Whose hosts are in the node table.
        distances: That know the usable nodes.
        usable: Names.
        count: Nodes wanted.
        slurm: What it knows of the fabric.
        segment: --segment; for blocks only.
        tasks_each: Tasks of a node.
        release: Of Slurm.
        blocks: That Slurm knows; None: those that engines/block.py makes of the site.

    Returns:
        The nodes; None where Slurm would let the job wait.
    """
    found = _chosen(site, distances, usable, count, slurm, segment, release, blocks)
    if found is None or (release >= RANKS_SINCE and tasks_each > 1):
        return found
    return sorted(found, key=natural)


def _chosen(
    site: Site,
    distances: Distances,
    usable: Iterable[str],
    count: int,
    slurm: Slurm,
    segment: int,
    release: Release,
    blocks: Blocks | None,
) -> list[str] | None:
    """The nodes by leaf or block."""
    names = sorted(set(usable), key=natural)
    if count == 1 and release >= RANKS_SINCE:
        return names[:1] or None
    if slurm is Slurm.BLOCK:
        return in_blocks(blocks or Blocks.of_site(site), names, count, segment, release)
    if slurm is Slurm.FLAT:
        table = {host for fabric in site.fabrics for host in fabric.hosts} | set(names)
        return _flat(sorted(table, key=natural), set(names), count)
    leaves = _bins(distances, names, lambda cell: cell.group if cell.fabric else None)
    return _Tree(leaves).choose(count)


def block_of(distances: Distances) -> Callable[[Cell], Path | None]:
    """What a cell's block is: its NVLink domain, or its leaf group where no host has a domain; None: in no block."""
    if any(cell.domain for cell in distances.cells):
        return lambda cell: cell.path[-1:] if cell.domain else None
    return lambda cell: cell.group if cell.fabric else None


def _bins(distances: Distances, names: Sequence[str], of: Callable[[Cell], Path | None]) -> dict[Path, list[str]]:
    found: dict[Path, list[str]] = {}
    for name in names:
        path = of(distances.cells[distances.cell[name]])
        if path is not None:
            found.setdefault(path, []).append(name)
    return dict(sorted(found.items()))


def _flat(table: Sequence[str], usable: set[str], count: int) -> list[str] | None:
    runs: list[list[str]] = [[]]
    for name in table:
        if name in usable:
            runs[-1].append(name)
        elif runs[-1]:
            runs.append([])
    chosen: set[str] = set()
    while len(chosen) < count:
        best = _tightest([len(run) for run in runs], count - len(chosen))
        if best is None:
            return None
        chosen.update(runs[best][: count - len(chosen)])
        runs[best] = []
    return [name for name in table if name in chosen]


def _tightest(sizes: Sequence[int], wanted: int) -> int | None:
    """The smallest that holds what is wanted, else the largest; of equal ones the first."""
    best = None
    for index, size in enumerate(sizes):
        if not size:
            continue
        if best is None:
            best = index
            continue
        fits, fitted = size >= wanted, sizes[best] >= wanted
        better = fits - fitted if fits != fitted else (sizes[best] - size if fits else size - sizes[best])
        if better > 0:
            best = index
    return best


class _Tree:
    """Switches of topology/tree: leaves first, then what is above them."""

    def __init__(self, leaves: dict[Path, list[str]]) -> None:
        self.leaves = list(leaves.values())
        paths = list(leaves)
        for size in range(len(paths[0]) - 1 if paths else 0, 0, -1):
            paths += sorted({path[:size] for path in leaves})
        at = {path: index for index, path in enumerate(paths)}
        self.depth = [len(path) for path in paths]
        self.parent = [at.get(path[:-1], -1) for path in paths]
        self.paths = paths
        self.count = [0] * len(paths)
        for path, names in leaves.items():
            for size in range(1, len(path) + 1):
                self.count[at[path[:size]]] += len(names)

    def choose(self, wanted: int) -> list[str] | None:
        """The nodes for a job, by leaf."""
        tops = [index for index, nodes in enumerate(self.count) if nodes >= wanted]
        if not tops:
            return None
        least = min(self.depth[index] for index in tops)
        top = self.paths[max(index for index in tops if self.depth[index] == least)]
        far: list[float] = [0.0 if path[: len(top)] == top else float("inf") for path in self.paths[: len(self.leaves)]]
        taken: dict[int, list[str]] = {}
        while wanted > 0:
            best = self._best(far, wanted)
            if best is None:
                return None
            taken[best] = self.leaves[best][:wanted]
            wanted -= len(taken[best])
            far = [each + self._steps(best, index) for index, each in enumerate(far)]
            self._forget(best)
        return [name for index in sorted(taken) for name in taken[index]]

    def _best(self, far: Sequence[float], wanted: int) -> int | None:
        best = None
        for index, away in enumerate(far):
            if not self.count[index] or away == float("inf"):
                continue
            if best is None:
                best = index
                continue
            better, fits = self._compared(index, best, wanted)
            if (away < far[best] and fits) or (away == far[best] and better > 0):
                best = index
        return best

    def _compared(self, a: int, b: int, wanted: int) -> tuple[int, bool]:
        """Whether a is better (above 0) or b (below 0), and whether a, or what is above it, holds what is wanted."""
        while True:
            one, other = self.count[a], self.count[b]
            if one >= wanted or other >= wanted:
                if one >= wanted and other >= wanted:
                    return other - one, True
                return (1, True) if one >= wanted else (-1, False)
            if self.parent[a] == self.parent[b] or -1 in (self.parent[a], self.parent[b]):
                return one - other, False
            a, b = self.parent[a], self.parent[b]

    def _steps(self, a: int, b: int) -> float:
        one, other = self.paths[a], self.paths[b]
        same = next((size for size in range(len(one), 0, -1) if one[:size] == other[:size]), 0)
        return 2.0 * (len(one) - same) if same else float("inf")

    def _forget(self, leaf: int) -> None:
        nodes, index = self.count[leaf], leaf
        while index >= 0:
            self.count[index] -= nodes
            index = self.parent[index]

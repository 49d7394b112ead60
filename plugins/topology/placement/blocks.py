"""What topology/block does with a job by itself: which blocks hold it, and which of their nodes it takes.

Modelled after ``eval_nodes_block`` (topology/block/eval_nodes_block.c, slurm-26.05 at 531c4b2e) for whole, equal nodes
of one Weight, without --consolidate-segments and --spread-segments, and compared with controllers of 26.05 and 24.11
(tests/slurm/test_topology_ranks.py). Sizes are counted in base blocks:

- a job lies in one block of the smallest size that is said and holds its base blocks, or anywhere if none does;
- and there in as few parts of the next smaller size as could hold it if they were idle: a job of 8 nodes never lies on
  three base blocks of 4. Where idle nodes are spread wider than that, it waits;
- of the blocks that can take it, the one with the fewest idle nodes, of equal ones the last;
- in it base blocks one after the other: of a part that is begun, else of the tightest part that holds the rest, else
  of the fullest; and of these the tightest, else the fullest, of equal ones the last.

A segment is placed as a job by itself, one after the other. Up to 25.05 it may not be larger than a base block, and up
to 25.11 not larger than the job.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.engines.block import By, block
from hpcjobs_plugins.topology.engines.model import Release, Topology
from hpcjobs_plugins.topology.fabric import FabricError, Site

LARGE_SEGMENTS_SINCE: Final[Release] = (25, 11)
"""Since this release a segment may be larger than a base block."""

IGNORED_SINCE: Final[Release] = (26, 5)
"""Since this release a segment that is larger than the job is nothing asked for."""


class Blocks(NamedTuple):
    """The base blocks of a topology.

    Attributes:
        nodes: Of each, in the order of the file.
        base: Nodes of one, as BlockSizes has it first.
        sizes: Of what is joined, in base blocks: powers of two, the smallest first; 1 is always one of them.
    """

    nodes: tuple[tuple[str, ...], ...]
    base: int
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, topology: Topology) -> Blocks:
        """Those of a topology that is written for Slurm."""
        said = topology.block_sizes or (max(len(one.nodes) for one in topology.blocks),)
        return cls(tuple(one.nodes for one in topology.blocks), said[0], tuple(size // said[0] for size in said))

    @classmethod
    def of_site(cls, site: Site) -> Blocks:
        """Those that engines/block.py makes of a site: its NVLink domains, or leaf groups where it has none."""
        by = By.DOMAINS if any(len(nodes) > 1 for nodes in site.domains.values()) else By.LEAVES
        try:
            return cls.of(block(site, by=by).topology)
        except FabricError:
            return cls((), 1, (1,))


def in_blocks(
    blocks: Blocks, usable: Collection[str], count: int, segment: int = 0, release: Release = IGNORED_SINCE
) -> list[str] | None:
    """The nodes that a job gets, by block and in it by name.

    Args:
        blocks: That Slurm knows.
        usable: Names of idle nodes.
        count: Nodes wanted.
        segment: --segment; 0: nothing asked for.
        release: Of Slurm.

    Returns:
        The nodes; None where Slurm would let the job wait.
    """
    left = [sorted(set(names).intersection(usable), key=natural) for names in blocks.nodes]
    piece = count if not segment or (segment > count and release >= IGNORED_SINCE) else segment
    taken: list[tuple[int, str]] = []
    if count % piece or (segment > blocks.base and release < LARGE_SEGMENTS_SINCE):
        return None
    for _ in range(count // piece):
        found = _piece(blocks, [len(names) for names in left], piece)
        if found is None:
            return None
        for index, some in found:
            taken += [(index, name) for name in left[index][:some]]
            left[index] = left[index][some:]
    return [name for _, name in sorted(taken, key=lambda one: (one[0], natural(one[1])))]


def _piece(blocks: Blocks, idle: Sequence[int], wanted: int) -> list[tuple[int, int]] | None:
    """How many nodes of which base blocks a job of one segment gets; None: it does not fit."""
    needed = -(-wanted // blocks.base)
    joined = next((size for size in blocks.sizes if size >= needed), len(idle))
    part = max((size for size in blocks.sizes if size < needed), default=1)
    parts = -(-wanted // (part * blocks.base))
    if part * parts == joined:  # all of its parts may be used: Slurm does not look at them
        part, parts = joined, 1
    free = [sum(idle[first : first + part]) for first in range(0, len(idle), part)]
    best: tuple[int, int] | None = None
    for first in range(0, len(idle), joined):
        inside = sorted(free[first // part : -(-min(first + joined, len(idle)) // part)], reverse=True)
        if sum(inside[:parts]) >= wanted and (best is None or sum(inside) <= best[0]):
            best = (sum(inside), first)
    if best is None:
        return None
    return _filled(idle, free, range(best[1], min(best[1] + joined, len(idle))), wanted, part, parts)


def _filled(
    idle: Sequence[int], free: Sequence[int], inside: range, wanted: int, part: int, parts: int
) -> list[tuple[int, int]] | None:
    """Base blocks of one block, one after the other, until they hold what is wanted."""
    found: dict[int, int] = {}
    begun: set[int] = set()

    def worth(index: int) -> tuple[bool, bool, int, bool, int, int]:
        room, here = free[index // part], idle[index]
        return (
            index // part in begun,
            room >= wanted,
            -room if room >= wanted else room,
            here >= wanted,
            -here if here >= wanted else here,
            index,
        )

    while wanted:
        rest = [index for index in inside if index not in found and idle[index]]
        if not rest:
            return None
        index = max(rest, key=worth)
        if index // part not in begun and len(begun) == parts:
            return None
        begun.add(index // part)
        found[index] = min(wanted, idle[index])
        wanted -= found[index]
    return list(found.items())

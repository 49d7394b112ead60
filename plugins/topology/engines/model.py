"""What Slurm has of a topology: the same data whether we made it, a file said it or a controller shows it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs_plugins.topology.fabric import Notice

Release = tuple[int, int]
"""Of Slurm, as ``(24, 11)``."""

YAML_SINCE: Final[Release] = (25, 5)
"""The first Slurm that reads topology.yaml; older ones know one topology, in topology.conf."""

GAPS_SINCE: Final[Release] = (25, 5)
"""The first Slurm that takes blocks of fewer nodes than the base size, and switches and blocks without any."""

LONGEST_NAME: Final = 64
"""Characters of a switch's name, as topology.conf(5) has it."""

MOST_LEVELS: Final = 16
"""How many powers of two a block size may be above the base: 0 to 15."""

NO_SIZES: Final = tuple(2**level for level in range(5))
"""What Slurm takes for block sizes where none are said, in blocks of the first block's size."""

DEFAULT: Final = "default"
"""What Slurm calls the only topology of topology.conf."""


class Kind(StrEnum):
    """Which of Slurm's plugins makes use of it."""

    TREE = "tree"
    BLOCK = "block"
    FLAT = "flat"


class SwitchLine(msgspec.Struct, frozen=True, gc=False):
    """A switch as Slurm has it.

    Attributes:
        name: Unique in its topology.
        nodes: Nodes that hang on it; then it is a leaf.
        children: Names of the switches below it.
        link_speed: A number that Slurm reads and makes no use of.
    """

    name: str
    nodes: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    link_speed: int = 1


class Block(msgspec.Struct, frozen=True, gc=False):
    """A block as Slurm has it.

    Attributes:
        name: Unique in its topology.
        nodes: Of the block.
    """

    name: str
    nodes: tuple[str, ...] = ()


class Topology(msgspec.Struct, frozen=True):
    """One topology.

    Attributes:
        name: What partitions name it by; ``default`` in topology.conf.
        kind: Which plugin reads it.
        switches: Of a tree, in the order of the file.
        blocks: Of a block topology; Slurm joins neighbours in this order to larger blocks.
        block_sizes: Nodes of the base block, then of larger ones that Slurm keeps together; empty: not said.
        cluster_default: Whether it is for partitions that name none.
        remarks: Comments of the file, a line each without ``#``; they mean nothing to Slurm.
    """

    name: str = DEFAULT
    kind: Kind = Kind.TREE
    switches: tuple[SwitchLine, ...] = ()
    blocks: tuple[Block, ...] = ()
    block_sizes: tuple[int, ...] = ()
    cluster_default: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def nodes(self) -> frozenset[str]:
        """Every node that it places."""
        return frozenset().union(*(line.nodes for line in self.switches), *(block.nodes for block in self.blocks))


class Plan(msgspec.Struct, frozen=True):
    """Everything that Slurm shall know.

    Attributes:
        topologies: One for topology.conf, one or more for topology.yaml; no two of one name.
        partitions: Name of the topology, by partition, for those that do not use the cluster's default.
        notices: What was made of what is odd.
    """

    topologies: tuple[Topology, ...]
    partitions: Mapping[str, str] = {}
    notices: tuple[Notice, ...] = ()

    @property
    def default(self) -> Topology:
        """The one for everything that names none: Slurm takes the first that says so, or else the first."""
        return next((one for one in self.topologies if one.cluster_default), self.topologies[0])


def by_name(switches: Iterable[SwitchLine]) -> dict[str, SwitchLine]:
    """Switches by name; of two with one name the first."""
    found: dict[str, SwitchLine] = {}
    for line in switches:
        found.setdefault(line.name, line)
    return found


def levels(switches: tuple[SwitchLine, ...]) -> dict[str, int]:
    """How high each switch stands: 0 for leaves, else one above the highest child.

    Switches in or above a cycle, and above children that are not there, are left out.
    """
    lines = by_name(switches)
    found = {line.name: 0 for line in lines.values() if line.nodes or not line.children}
    waiting = [line for line in lines.values() if line.name not in found]
    parents: dict[str, list[SwitchLine]] = {}
    missing = {}
    for line in waiting:
        children = set(line.children)
        missing[line.name] = len(children)
        for child in children:
            parents.setdefault(child, []).append(line)
    ready = list(found)
    while ready:
        for parent in parents.get(ready.pop(), ()):
            missing[parent.name] -= 1
            if not missing[parent.name]:
                found[parent.name] = 1 + max(found[child] for child in parent.children)
                ready.append(parent.name)
    return found


def reached(switches: tuple[SwitchLine, ...]) -> dict[str, frozenset[str]]:
    """Every node below each switch that has a level."""
    lines = by_name(switches)
    below: dict[str, frozenset[str]] = {}
    heights = levels(switches)
    for name in sorted(heights, key=heights.__getitem__):
        nodes = frozenset(lines[name].nodes)
        below[name] = nodes or nodes.union(*(below[child] for child in lines[name].children))
    return below


class Graph(msgspec.Struct, frozen=True):
    """What of a topology two of them can be compared by, whatever their order and spelling.

    Attributes:
        kind: Which plugin.
        switches: Level, nodes of a leaf or children of what is above, by name.
        blocks: Nodes of each block, by name, in order.
        joined: Names of blocks that Slurm keeps together, with the size it has of them: base blocks first.
    """

    kind: Kind
    switches: Mapping[str, tuple[int, frozenset[str]]] = {}
    blocks: tuple[tuple[str, frozenset[str]], ...] = ()
    joined: frozenset[tuple[int, frozenset[str]]] = frozenset()


def graph(topology: Topology) -> Graph:
    """What a controller that read this topology has of it."""
    if topology.kind is Kind.BLOCK:
        blocks = tuple((block.name, frozenset(block.nodes)) for block in topology.blocks)
        return Graph(topology.kind, blocks=blocks, joined=frozenset(_joined(topology)))
    heights = levels(topology.switches)
    lines = {
        line.name: (heights.get(line.name, -1), frozenset(line.nodes or line.children)) for line in topology.switches
    }
    return Graph(topology.kind, switches=lines)


def _joined(topology: Topology) -> Iterator[tuple[int, frozenset[str]]]:
    """Which blocks Slurm joins: block_record_validate() of its topology/block plugin."""
    names = [block.name for block in topology.blocks]
    if not names:
        return
    base = topology.block_sizes[0] if topology.block_sizes else len(topology.blocks[0].nodes)
    for name in names:
        yield base, frozenset([name])
    smaller = 1
    for blocks in powers(topology):
        for first in range(0, len(names), blocks):
            left = len(names) - first
            if blocks > 1 and (blocks <= left or smaller < left):
                yield base * blocks, frozenset(islice(names, first, first + blocks))
        smaller = blocks


def powers(topology: Topology) -> list[int]:
    """The block sizes that Slurm makes use of, in base blocks: up to the first that holds all blocks."""
    sizes = topology.block_sizes
    counts = sorted({1, *(size // sizes[0] for size in sizes)}) if sizes else list(NO_SIZES)
    enough = next((index for index, count in enumerate(counts) if count >= len(topology.blocks)), len(counts))
    return counts[: enough + 1]


def differences(wanted: Topology, found: Graph) -> list[str]:
    """What a controller has otherwise than a topology says, a sentence each; empty: it is the same graph."""
    one = graph(wanted)
    if one.kind is not found.kind:
        return [f"topology {wanted.name} is of kind {found.kind}, not {one.kind}"]
    said = list(_of_switches(one.switches, found.switches))
    said += _of_switches(dict(_numbered(one)), dict(_numbered(found)), "block")
    for what, joined in (("does not keep together", one.joined - found.joined), ("joins", found.joined - one.joined)):
        for size, names in sorted(joined, key=lambda join: (join[0], sorted(join[1]))):
            said.append(f"Slurm {what} blocks {fold_hostlist(names)} ({size} nodes)")
    return said


def _numbered(of: Graph) -> Iterator[tuple[str, tuple[int, frozenset[str]]]]:
    return ((name, (index, nodes)) for index, (name, nodes) in enumerate(of.blocks))


def _of_switches(
    wanted: Mapping[str, tuple[int, frozenset[str]]],
    found: Mapping[str, tuple[int, frozenset[str]]],
    what: str = "switch",
) -> Iterator[str]:
    place = "level" if what == "switch" else "index"
    for name, (height, below) in wanted.items():
        if name not in found:
            yield f"{what} {name} is not there"
            continue
        now, under = found[name]
        if height != now:
            yield f"{what} {name} has {place} {now}, not {height}"
        if lost := below - under:
            yield f"{what} {name} is without {fold_hostlist(lost)}"
        if more := under - below:
            yield f"{what} {name} has {fold_hostlist(more)} as well"
    for name in found:
        if name not in wanted:
            yield f"{what} {name} is there and was not asked for"

"""Whatever slurmctld would die of, warn about, or take for something that nobody meant, found before it is asked. Pure.

For what we make, and for files that others wrote (``hpcjobs topology check FILE``). A controller that dies at a
reconfiguration takes the cluster with it, so nothing is written that has a finding which nobody has allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.engines.findings import Fate, Finding, Form, Read, fate_of
from hpcjobs_plugins.topology.engines.model import (
    LONGEST_NAME,
    MOST_LEVELS,
    YAML_SINCE,
    Kind,
    Plan,
    Release,
    SwitchLine,
    Topology,
    by_name,
    levels,
    reached,
)
from hpcjobs_plugins.topology.engines.names import LEGAL
from hpcjobs_plugins.topology.engines.topology_conf import read_conf
from hpcjobs_plugins.topology.engines.topology_yaml import read_yaml
from hpcjobs_plugins.topology.fabric import FabricError

MOST_PASSES: Final = 21
"""How often slurmctld goes through a file to find the levels of its switches, before it says that it is no tree."""


def check(
    data: bytes,
    name: str = "topology.conf",
    *,
    nodes: Collection[str] | None = None,
    release: Release | None = None,
) -> list[Finding]:
    """Everything that is wrong with a file.

    Args:
        data: What is in it.
        name: Its name; one that ends in ``.yaml`` or ``.yml`` is read as topology.yaml.
        nodes: Names of Slurm's nodes; None: not known, and nothing is said of nodes that are not there.
        release: Of Slurm; None: not known, the strictest is taken.

    Raises:
        FabricError: It is no text, or no YAML.
    """
    return judge_read(read_file(data, name, release), nodes=nodes, release=release)


def read_file(data: bytes, name: str, release: Release | None = None) -> Read:
    """What a file says, by its name one of the two.

    Raises:
        FabricError: It is no text, or no YAML.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FabricError(f"this is no text: byte {data[error.start]:#04x}", name, line) from None
    if "\0" in text:
        raise FabricError("this is no text: it holds a zero byte", name, text.count("\n", 0, text.index("\0")) + 1)
    if PurePath(name).suffix not in (".yaml", ".yml"):
        return read_conf(text, release)
    try:
        return read_yaml(text)
    except FabricError as error:
        raise FabricError(error.message, name, error.line) from None


def judge_read(read: Read, *, nodes: Collection[str] | None = None, release: Release | None = None) -> list[Finding]:
    """Everything that is wrong with what was read, in the order of its lines."""
    unread = {finding.line for finding in read.findings if finding.code in ("hostlist", "hostlist-bracket", "syntax")}
    found = [*read.findings, *_judged(read.plan, read.form, read.lines, nodes, release)]
    found = [one for one in found if not (one.line in unread and one.code in ("switch-empty", "block-empty"))]
    return sorted(found, key=lambda finding: finding.line)


def judge(
    plan: Plan, form: Form, *, nodes: Collection[str] | None = None, release: Release | None = None
) -> list[Finding]:
    """Everything that is wrong with a plan, as this file would say it.

    Args:
        plan: What Slurm shall know.
        form: Which file.
        nodes: Names of Slurm's nodes; None: not known.
        release: Of Slurm; None: not known, the strictest is taken.
    """
    lines = tuple((0,) * len(one.switches or one.blocks) for one in plan.topologies)
    return list(_judged(plan, form, lines, nodes, release))


def refusals(findings: Iterable[Finding], allowed: Collection[str] = ()) -> list[Finding]:
    """Those that forbid to write it.

    Args:
        findings: What was found.
        allowed: Codes of what somebody says is meant so; nothing that slurmctld dies of can be allowed.
    """
    return [
        finding
        for finding in findings
        if finding.fate is Fate.DIES or (finding.fate is not Fate.FINE and finding.code not in allowed)
    ]


def _judged(
    plan: Plan,
    form: Form,
    lines: Sequence[Sequence[int]],
    nodes: Collection[str] | None,
    release: Release | None,
) -> Iterator[Finding]:
    known = None if nodes is None else frozenset(nodes)
    for topology, where in zip(plan.topologies, lines, strict=True):
        court = _Court(topology, form, where, known, release)
        for code, text, index, subject in court.faults():
            fate = fate_of(code, form, release)
            if fate is not Fate.FINE or code == "kind-unknown":
                yield Finding(code, text, fate, where[index] if 0 <= index < len(where) else 0, subject)
    yield from _of_plan(plan, form, release)


def _of_plan(plan: Plan, form: Form, release: Release | None) -> Iterator[Finding]:
    names = Counter(topology.name for topology in plan.topologies)
    faults = [
        ("topology-twice", f"topology {name} is there {count} times") for name, count in names.items() if count > 1
    ]
    faults += [
        ("partition-topology", f"partition {partition} is to use topology {name}, which is not there")
        for partition, name in plan.partitions.items()
        if name not in names
    ]
    if form is Form.CONF and (len(plan.topologies) > 1 or plan.partitions):
        faults.append(("kind-unknown", "topology.conf holds one topology: several need topology.yaml"))
    if form is Form.YAML and release is not None and release < YAML_SINCE:
        faults.append(("form-too-new", f"Slurm {release[0]}.{release[1]:02} does not read topology.yaml"))
    for code, text in faults:
        yield Finding(code, text, fate_of(code, form, release))


_Fault = tuple[str, str, int, str]
"""Code, text, index of the switch or block, subject."""


class _Court:
    """One topology and what it is measured by."""

    def __init__(
        self,
        topology: Topology,
        form: Form,
        lines: Sequence[int],
        nodes: frozenset[str] | None,
        release: Release | None,
    ) -> None:
        self.topology = topology
        self.form = form
        self.lines = lines
        self.nodes = nodes
        self.release = release

    def faults(self) -> Iterator[_Fault]:
        """Everything, the deadly first."""
        match self.topology.kind:
            case Kind.TREE:
                yield from self._names("switch", [line.name for line in self.topology.switches])
                yield from self._tree(self.topology.switches)
                yield from self._nodes([line.nodes for line in self.topology.switches])
            case Kind.BLOCK:
                yield from self._names("block", [block.name for block in self.topology.blocks])
                yield from self._blocks()
                yield from self._nodes([block.nodes for block in self.topology.blocks])
            case Kind.FLAT:
                return

    def _at(self, index: int) -> str:
        line = self.lines[index]
        return f" (line {line})" if line else ""

    def _names(self, what: str, names: Sequence[str]) -> Iterator[_Fault]:
        if not names:
            yield "nothing-there", f"there is no {what}", -1, ""
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in first:
                yield f"{what}-twice", f"{what} {name} is there already{self._at(first[name])}", index, name
            first.setdefault(name, index)
            if len(name.encode()) > LONGEST_NAME and what == "switch":
                text = f"{what} {name[:20]}… has a name of {len(name.encode())} characters, more than {LONGEST_NAME}"
                yield "name-too-long", text, index, name
            if name and not LEGAL.fullmatch(name):
                yield (
                    "name-illegal",
                    f"{what} {name!r} has other characters than letters, digits, . _ and -",
                    index,
                    name,
                )
            if self.nodes is not None and name in self.nodes:
                yield "name-of-node", f"{what} {name} is called as a node is", index, name

    def _tree(self, switches: Sequence[SwitchLine]) -> Iterator[_Fault]:
        names = {line.name for line in switches}
        for index, line in enumerate(switches):
            name = line.name
            if line.nodes and line.children:
                yield "nodes-and-switches", f"switch {name} has both nodes and switches below it", index, name
            if not line.nodes and not line.children:
                yield "switch-empty", f"switch {name} has nothing below it", index, name
            if unknown := [child for child in line.children if child not in names]:
                text = f"switch {name} is to be above {fold_hostlist(unknown)}, which is not there"
                yield "child-unknown", text, index, name
            for child, count in Counter(line.children).items():
                if count > 1:
                    yield "child-twice", f"switch {name} is {count} times above {child}", index, name
        yield from self._heights(switches)
        yield from self._roots(switches)

    def _heights(self, switches: Sequence[SwitchLine]) -> Iterator[_Fault]:
        index = {line.name: number for number, line in enumerate(switches)}
        for cycle in _cycles(switches):
            text = f"switch {cycle[0]} is below itself: {' above '.join([*cycle, cycle[0]][:9])}"
            yield "cycle", text, index[cycle[0]], cycle[0]
        if len(levels(tuple(switches))) == len(index) and (needed := _passes(switches)) > MOST_PASSES:
            text = f"slurmctld goes {MOST_PASSES} times through the switches to find their levels, and needs {needed}"
            yield "too-deep", f"{text}: name children before parents", -1, ""

    def _roots(self, switches: Sequence[SwitchLine]) -> Iterator[_Fault]:
        below = reached(tuple(switches))
        every = self.nodes if self.nodes is not None else self.topology.nodes
        placed = frozenset().union(*below.values()) & every
        if not below or any(placed <= nodes for nodes in below.values()):
            return
        tops = set(below).difference(child for line in switches for child in line.children if not line.nodes)
        text = f"no switch reaches all nodes: {fold_hostlist(tops)} have nothing in common, no job can span them"
        yield "no-common-root", text, -1, min(tops, default="")

    def _nodes(self, places: Sequence[Sequence[str]]) -> Iterator[_Fault]:
        tree = self.topology.kind is Kind.TREE
        what = "switch" if tree else "block"
        items = self.topology.switches or self.topology.blocks
        home: dict[str, int] = {}
        for index, members in enumerate(places):
            name = items[index].name
            counts = Counter(members)
            if twice := [node for node, count in counts.items() if count > 1]:
                yield "node-twice", f"{what} {name} has {fold_hostlist(twice)} more than once", index, name
            shared: dict[int, list[str]] = {}
            for node in counts:
                if home.setdefault(node, index) != index:
                    shared.setdefault(home[node], []).append(node)
            for other, common in shared.items():
                code = "host-under-several-leaves" if tree else "node-in-two-blocks"
                text = f"{fold_hostlist(common)} are under {what} {items[other].name}{self._at(other)} and under {name}"
                yield code, text, index, name
            if self.nodes is not None and (unknown := counts.keys() - self.nodes):
                text = f"{what} {name} has {fold_hostlist(unknown)}, which slurm.conf does not know"
                yield "node-unknown", text, index, name
        if self.nodes is not None and (nowhere := self.nodes - home.keys()):
            text = f"{fold_hostlist(nowhere)} of slurm.conf are in no {what}"
            yield "node-nowhere", text, -1, min(nowhere, key=natural)

    def _blocks(self) -> Iterator[_Fault]:
        sizes, blocks = self.topology.block_sizes, self.topology.blocks
        if sizes and (wrong := _wrong_sizes(sizes)):
            yield "block-sizes", wrong, -1, ""
        elif len(set(sizes)) < len(sizes):
            yield "block-sizes-twice", f"block sizes {','.join(map(str, sizes))} name one twice", -1, ""
        base = sizes[0] if sizes else next((len(block.nodes) for block in blocks if block.nodes), 0)
        for index, block in enumerate(blocks):
            if not block.nodes:
                yield "block-empty", f"block {block.name} has no nodes", index, block.name
            elif len(set(block.nodes)) < base:
                text = f"block {block.name} has {len(set(block.nodes))} nodes, fewer than the base size of {base}"
                yield "block-below-base", text, index, block.name


def _cycles(switches: Sequence[SwitchLine]) -> Iterator[list[str]]:
    """Ways from a switch down to itself; at least one for each bundle of cycles."""
    lines = by_name(switches)
    known = tuple(
        SwitchLine(name, line.nodes, tuple(lines.keys() & set(line.children))) for name, line in lines.items()
    )
    heights = levels(known)
    below = {
        line.name: [child for child in line.children if child not in heights]
        for line in known
        if line.name not in heights
    }  # each has a child here, for whatever is above no cycle has a height
    seen: set[str] = set()
    for name in below:
        way: dict[str, int] = {}
        current = name
        while current not in way and current not in seen:
            way[current] = len(way)
            current = below[current][0]
        if current in way:
            yield list(way)[way[current] :]
        seen.update(way)


def _passes(switches: Sequence[SwitchLine]) -> int:
    """How often slurmctld goes through switches that are a tree until each has its level: in order, each time."""
    heights = levels(tuple(switches))
    left = [line for line in by_name(switches).values() if heights.get(line.name)]
    done = heights.keys() - {line.name for line in left}
    passes = 0
    while left:
        passes += 1
        waiting = []
        for line in left:  # each pass resolves at least the lowest
            if done.issuperset(line.children):
                done.add(line.name)
            else:
                waiting.append(line)
        left = waiting
    return passes


def _wrong_sizes(sizes: Sequence[int]) -> str:
    """Why Slurm refuses block sizes; ``""``: it takes them."""
    base = sizes[0]
    if base < 1:
        return f"a base size of {base} nodes is none"
    for size in sizes:
        count = size // base
        if size < 1 or size % base or count & (count - 1):
            return f"block size {size} is not the base size of {base} times a power of two"
        if count >= 1 << MOST_LEVELS:
            return f"block size {size} is more than 2^{MOST_LEVELS - 1} times the base size of {base}"
    return ""

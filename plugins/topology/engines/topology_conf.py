"""topology.conf: written and read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs.slurmconf.lines import Line, Pair, included, lines_of, pairs_of
from hpcjobs_plugins.topology.engines.findings import Finding, Form, Read, fate_of
from hpcjobs_plugins.topology.engines.model import Block, Kind, Plan, Release, SwitchLine, Topology
from hpcjobs_plugins.topology.fabric import FabricError

HEADER: Final = (
    "Written by hpcjobs (docs/TOPOLOGY.md). It will be written again: say by hand elsewhere what is to stay."
)
"""First comment of every file that we write."""

_UINT32: Final = 2**32 - 1


def write_conf(topology: Topology) -> str:
    """The file's text.

    Args:
        topology: A tree or blocks, under any name: the file says none.

    Raises:
        FabricError: It is flat, which needs no file.
    """
    if topology.kind is Kind.FLAT:
        raise FabricError("a flat topology has no topology.conf: TopologyPlugin=topology/flat says all")
    said = [f"# {remark}" for remark in (HEADER, *topology.remarks)]
    for line in topology.switches:
        speed = f" LinkSpeed={line.link_speed}" if line.link_speed != 1 else ""
        nodes = f" Nodes={fold_hostlist(line.nodes)}" if line.nodes else ""
        children = f" Switches={fold_hostlist(line.children)}" if line.children else ""
        said.append(f"SwitchName={line.name}{speed}{nodes}{children}")
    said += [
        f"BlockName={block.name}" + (f" Nodes={fold_hostlist(block.nodes)}" if block.nodes else "")
        for block in topology.blocks
    ]
    if topology.block_sizes:
        said.append(f"BlockSizes={','.join(map(str, topology.block_sizes))}")
    return "\n".join(said) + "\n"


def read_conf(text: str, release: Release | None = None) -> Read:
    """What a text says. What cannot be read of it is a finding; the rest is read on.

    Args:
        text: Of the file.
        release: Of Slurm, for what becomes of a finding; None: not known.
    """
    reader = _Reader(release)
    for line in lines_of(text):
        reader.line(line)
    kind = Kind.BLOCK if reader.blocks or reader.sizes else Kind.TREE
    if reader.blocks and reader.switches:
        reader.fault("syntax", "switches and blocks are in one file: each of Slurm's plugins refuses the other's", 0)
    topology = Topology(
        kind=kind,
        switches=tuple(reader.switches) if kind is Kind.TREE else (),
        blocks=tuple(reader.blocks),
        block_sizes=reader.sizes,
    )
    where = tuple(reader.on_line[kind])
    return Read(Plan((topology,)), Form.CONF, (where,), tuple(reader.findings))


def hostlist_fault(hostlist: str) -> str:
    """Which fault a hostlist is that cannot be read: a bracket too many at an end is part of a name to Slurm."""
    return "hostlist-bracket" if hostlist.count("]") > hostlist.count("[") else "hostlist"


class _Reader:
    def __init__(self, release: Release | None) -> None:
        self.release = release
        self.switches: list[SwitchLine] = []
        self.blocks: list[Block] = []
        self.sizes: tuple[int, ...] = ()
        self.on_line: dict[Kind, list[int]] = {Kind.TREE: [], Kind.BLOCK: []}
        self.findings: list[Finding] = []

    def fault(self, code: str, text: str, line: int, subject: str = "") -> None:
        self.findings.append(Finding(code, text, fate_of(code, Form.CONF, self.release), line, subject))

    def line(self, line: Line) -> None:
        if name := included(line.text):
            self.fault("include", f"{name} is included, and is not looked at here", line.number)
            return
        pairs, rest = pairs_of(line.text)
        if rest or not pairs:
            self.fault("syntax", f"{(rest or line.text.strip())[:60]!r} is no key with a value", line.number)
        if not pairs:
            return
        first, *more = pairs
        match first.key.lower():
            case "switchname":
                self._switch(
                    line.number, first.value, dict(self._known(line, more, ("nodes", "switches", "linkspeed")))
                )
            case "blockname":
                said = dict(self._known(line, more, ("nodes",)))
                self.blocks.append(Block(first.value, self._names(line.number, said.get("nodes", ""), first.value)))
                self.on_line[Kind.BLOCK].append(line.number)
            case "blocksizes":
                self._sizes(line.number, first.value)
                for extra in more:
                    self.fault("syntax", f"{extra.key} has no place behind BlockSizes", line.number)
            case _:
                self.fault("key-unknown", f"{first.key} is nothing that topology.conf knows", line.number)

    def _known(self, line: Line, pairs: list[Pair], keys: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for pair in pairs:
            if pair.key.lower() in keys:
                yield pair.key.lower(), pair.value
            else:
                self.fault("key-unknown", f"{pair.key} has no place in this line", line.number)

    def _switch(self, number: int, name: str, said: dict[str, str]) -> None:
        speed = said.get("linkspeed", "1")
        if not (speed.isascii() and speed.isdigit() and len(speed) <= 10 and int(speed) <= _UINT32):
            self.fault("syntax", f"LinkSpeed={speed[:20]} is no number", number, name)
            speed = "1"
        nodes = self._names(number, said.get("nodes", ""), name)
        children = self._names(number, said.get("switches", ""), name)
        self.switches.append(SwitchLine(name, nodes, children, int(speed)))
        self.on_line[Kind.TREE].append(number)

    def _names(self, number: int, hostlist: str, subject: str) -> tuple[str, ...]:
        try:
            return tuple(expand_hostlist(hostlist))
        except ValueError as error:
            self.fault(hostlist_fault(hostlist), str(error), number, subject)
            return ()

    def _sizes(self, number: int, text: str) -> None:
        words = text.split(",")
        if self.sizes:
            self.fault("syntax", "BlockSizes stands here for the second time", number)
        if all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
            self.sizes = tuple(map(int, words))
        else:
            self.fault("block-sizes", f"BlockSizes={text[:60]} are no numbers", number)

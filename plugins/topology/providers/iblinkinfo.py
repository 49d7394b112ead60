"""What ``iblinkinfo`` prints, by node or with each link on one line (``-l``), as a Dump. Pure.

By node, a port says of its other end the LID, not the GUID: LIDs are looked up, with the descriptions, as without a
subnet manager all are 0. On one line, the kind of node is not said: what speaks for one port is an adapter, what speaks
for several is a switch. The GUID of an adapter's port stands for the adapter, as it does in adapters that have one
port. With ``-l --switches-only`` what does not speak is an adapter.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final, NamedTuple

from hpcjobs_plugins.topology.fabric import Adapter, Chip, Dump, FabricError, Network
from hpcjobs_plugins.topology.providers.ends import End, Ends, cables, outside
from hpcjobs_plugins.topology.providers.text import Oddities, decoded

_HEAD: Final = re.compile(r"(Switch): 0x([0-9a-f]{16})(?: (.*))?:|(CA|Router):(?: (.*))?:")
_LINK: Final = re.compile(
    r'(?:0x([0-9a-f]{16})\s+(?:"(.*?)"\s+)?)?([0-9]+)\s+([0-9]{1,3})\[\s*[0-9]*\s*\]\s*==\((.*)\)\s*==>\s*(.*)'
)
_REMOTE: Final = re.compile(r'(?:0x([0-9a-f]{16})\s+)?([0-9]+)\s+([0-9]{1,3})\[\s*[0-9]*\s*\]\s*"(.*)"\s*\(.*\)')
_NONE: Final = re.compile(r'\[\s*\]\s*""\s*\(.*\)|"Port not available"')
_RATE: Final = re.compile(r"\s*([0-9]{1,2})X\s+([0-9.]+) Gbps(?: \((FDR10)\))?\s.*")
_SPEEDS: Final = {
    "2.5": "SDR",
    "5.0": "DDR",
    "10.0": "QDR",
    "14.0625": "FDR",
    "25.78125": "EDR",
    "53.125": "HDR",
    "106.25": "NDR",
    "212.5": "XDR",
}
MOST_ADAPTER_PORTS: Final = 4
"""A node that speaks for one port with a higher number is a switch."""


class _Said(NamedTuple):
    """One line of a port."""

    guid: str
    description: str
    lid: int
    port: int
    rate: str
    far: str
    far_description: str
    far_lid: int
    far_port: int
    line: int


def read(data: bytes, source: str) -> Dump:
    """The Dump of an output.

    Args:
        data: What the tool printed.
        source: What it is called in messages.

    Raises:
        FabricError: It is no such output, contradicts itself, or was cut off.
    """
    reader = _Reader(source)
    reader.read(decoded(data, source))
    return reader.dump()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.odd = Oddities()
        self.said: list[_Said] = []
        self.kinds: dict[str, str] = {}
        """``Switch``, ``CA`` or ``Router`` by GUID, where it is said."""
        self.most: Counter[str] = Counter()
        """Highest port that a node speaks of."""
        self.lines: dict[str, tuple[str, int]] = {}
        self.last = 0

    def read(self, text: str) -> None:
        kind, guid, description = "", "", ""
        lines = text.rstrip().split("\n")
        self.last = len(lines)
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if not line:
                continue
            if head := _HEAD.fullmatch(line):
                kind, guid = head[1] or head[4], head[2] or ""
                description = (head[3] or head[5] or "").strip()
                if guid:
                    self.know(guid, kind, description, number)
            elif link := _LINK.fullmatch(line):
                own = link[1] or guid
                named = description if link[2] is None else link[2].strip()
                if not own or (link[2] is None and not kind):
                    raise FabricError("the line of a port stands below no node", self.source, number)
                self.know(own, kind if link[2] is None else "", named, number)
                self.take(own, named, link, number)
            elif re.match(r"0x|[0-9]+\s+[0-9]+\[|(?:Switch|CA|Router):", line):
                cut = ": the output ends there" if number == self.last else ""
                raise FabricError(f"no line of a port: {line[:80]!r}{cut}", self.source, number)
            else:
                self.odd.add("line-unread", f"not understood, left out: {line[:80]!r}", number)

    def know(self, guid: str, kind: str, description: str, number: int) -> None:
        if kind and self.kinds.setdefault(guid, kind) != kind:
            raise FabricError(f"{guid} is {kind} and {self.kinds[guid]}", self.source, number)
        before = self.lines.setdefault(guid, (description, number))
        if before[0] != description:
            raise FabricError(f"{guid} has another description than in line {before[1]}", self.source, number)

    def take(self, guid: str, description: str, link: re.Match[str], number: int) -> None:
        port = int(link[4])
        self.most[guid] = max(self.most[guid], port)
        rest = link[6].strip()
        if _NONE.fullmatch(rest):
            self.said.append(_Said(guid, description, int(link[3]), port, "", "", "", 0, 0, number))
            return
        remote = _REMOTE.fullmatch(rest)
        if remote is None:
            cut = ": the output ends there" if number == self.last else ""
            raise FabricError(f"no other end after ==>: {rest[:80]!r}{cut}", self.source, number)
        rate = _RATE.fullmatch(link[5])
        words = f"{rate[1]}x{rate[3] or _SPEEDS.get(rate[2], '???')}" if rate else "???"
        far = (remote[1] or "", remote[4].strip(), int(remote[2]), int(remote[3]))
        self.said.append(_Said(guid, description, int(link[3]), port, words, *far, number))

    def dump(self) -> Dump:
        if not self.said:
            raise FabricError("no port is in it: is it the output of iblinkinfo?", self.source)
        chips, adapters = self.nodes()
        ends = self.ends(chips, adapters)
        kept, hosts = outside(ends, chips, adapters, self.odd)
        found = cables(kept, chips, hosts, self.odd, self.source)
        return Dump(self.source, Network.INFINIBAND, chips, hosts, found, self.odd.notices())

    def nodes(self) -> tuple[dict[str, Chip], dict[str, Adapter]]:
        chips: dict[str, Chip] = {}
        adapters: dict[str, Adapter] = {}
        count = Counter(said.guid for said in self.said)
        for guid, (description, line) in self.lines.items():
            kind, most = self.kinds.get(guid), self.most[guid]
            if kind == "Switch" or (not kind and (count[guid] > 1 or most > MOST_ADAPTER_PORTS)):
                chips[guid] = Chip(guid, description, most, line=line)
            else:
                adapters[guid] = Adapter(guid, description, most, line=line, router=kind == "Router")
        if not adapters:
            self.silent(chips, adapters)
        return chips, adapters

    def silent(self, chips: dict[str, Chip], adapters: dict[str, Adapter]) -> None:
        """Adapters that only switches speak of."""
        for said in self.said:
            if not said.far or said.far in chips:
                continue
            if said.far in adapters or said.far_port > MOST_ADAPTER_PORTS:
                raise self.cut(said, said.far)
            adapters[said.far] = Adapter(said.far, said.far_description, said.far_port, line=said.line)

    def cut(self, said: _Said, whom: str) -> FabricError:
        text = f"port {said.port} of {said.guid} leads to {whom}, which is not described: the output was cut off"
        return FabricError(text, self.source, said.line)

    def ends(self, chips: dict[str, Chip], adapters: dict[str, Adapter]) -> Ends:
        lids: dict[tuple[int, str, int], set[str]] = {}
        for said in self.said:
            port = said.port if said.guid in adapters else 0
            lids.setdefault((said.lid, said.description, port), set()).add(said.guid)
        ends: Ends = {}
        lines: dict[tuple[str, int], int] = {}
        for said in self.said:
            near = (said.guid, said.port)
            if lines.setdefault(near, said.line) != said.line:
                text = f"port {said.port} of {said.guid} stands in line {lines[near]} already"
                raise FabricError(text, self.source, said.line)
            if not said.far_port:
                continue
            far = said.far or self.by_lid(said, lids)
            if far not in chips and far not in adapters:
                raise self.cut(said, far)
            ends[near] = End(far, said.far_port, said.rate, said.line)
            if far not in self.lines:  # only switches speak
                ends[far, said.far_port] = End(*near, said.rate, said.line)
        block = self.said[-1].guid
        for end in ends.values():
            if end.guid == block and (block, end.port) not in lines:
                text = f"port {end.port} of {block} has a cable, which line {end.line} says: the output was cut off"
                raise FabricError(text, self.source, self.last)
        return ends

    def by_lid(self, said: _Said, lids: dict[tuple[int, str, int], set[str]]) -> str:
        ways = [(said.far_lid, said.far_description, port) for port in (0, said.far_port)]
        known = set[str]().union(*(lids.get(way, ()) for way in ways))
        if len(known) > 1:
            both = " and ".join(sorted(known)[:2])
            text = f"LID {said.far_lid} and {said.far_description!r} are those of {both}: use iblinkinfo -l"
            raise FabricError(text, self.source, said.line)
        if not known:
            raise self.cut(said, f"LID {said.far_lid}")
        return next(iter(known))

"""What ``ibnetdiscover`` prints, plain or grouped (``-g``), as a Dump. Pure.

A node is a block: ids, one to a line, then its line (``Switch``, ``Ca``, ``Rt``), then a line for each port with a
cable. Both ends of a cable have their line, and every node that a cable leads to has its block. Grouped, chips of a
chassis come twice. Between them may stand what the tool, a terminal or a shell said.

A whole output is told from one that was cut off by that: a cable to a switch or an adapter without a block, a last
block that does not name a cable that others say it has, no block of the node that the tool began at, and no cable at
all are errors.
"""

from __future__ import annotations

import re
from typing import Final

from hpcjobs_plugins.topology.fabric import Adapter, Chip, Dump, FabricError, Network
from hpcjobs_plugins.topology.providers.ends import End, Ends, cables, outside
from hpcjobs_plugins.topology.providers.text import Oddities, decoded
from hpcjobs_plugins.topology.rates import GBPS_PER_LANE, WIDTHS

_PORT: Final = re.compile(
    r'\[([0-9]{1,3})\](?:\[ext [0-9]+\])?\s*(?:\([0-9a-f]*\))?\s*"([SHR])-([0-9a-f]{1,16})"\s*\[([0-9]{1,3})\]'
    r"(?:\[ext [0-9]+\])?\s*(?:\([0-9a-f]*\))?\s*#(.*)"
)
_TAIL: Final = re.compile(
    r".*lid [0-9]+ ([0-9]+x[A-Z]+[0-9]*|(?:\?\?|[0-9]+x)(?:[A-Z]+[0-9]*|\?\?\?))(?: s=[0-9]+ w=[0-9]+ v=[0-9]+)?"
    r"(?: slot [0-9]+| \(scp\))?"
)
_SWITCH: Final = re.compile(
    r'Switch\s*([0-9]{1,3})\s*"S-([0-9a-f]{1,16})"\s*#\s*"(.*)"\s*(?:base|enhanced) port 0 lid [0-9]+ lmc [0-9]+'
)
_ADAPTER: Final = re.compile(r'(?:Ca|Rt)\s*([0-9]{1,3})\s*"([HR])-([0-9a-f]{1,16})"\s*#\s*"(.*)"(?: \(scp\))?')
_ID: Final = re.compile(r"(vendid|devid|sysimgguid|switchguid|caguid|rtguid)=0x([0-9a-f]{1,16})\b[^#]*(?:#\s*(.*))?")
_CHASSIS: Final = re.compile(r"Chassis ([0-9]{1,3})(?: |$)")
_START: Final = re.compile(r"#\s*Initiated from node ([0-9a-f]{16})\b")
_TOLD: Final = ("#", "Non-Chassis Nodes", "Hostname: ")
_BEGINNING: Final = re.compile(r"(?:Switch|Ca|Rt)\s*[0-9]|(?:vendid|devid|sysimgguid|switchguid|caguid|rtguid)\b")
_COMPLAINT: Final = re.compile(r"ib(?:warn|panic|error)\b|\S+\.c:[0-9]+|WARN|ERROR", re.IGNORECASE)
"""What the tool says on its standard error: it could not reach something."""
_LISTED: Final = re.compile(r"(?:SW|CA|RT)\s+[0-9]+\s+[0-9]+\s+0x[0-9a-f]{16}\s|(?:Switch|Ca|Router)\s*: 0x")
_KNOWN: Final = frozenset(f"{lanes}x{speed}" for lanes in WIDTHS for speed in GBPS_PER_LANE)


def read(data: bytes, source: str) -> Dump:
    """The Dump of an output.

    Args:
        data: What the tool printed.
        source: What it is called in messages.

    Raises:
        FabricError: It is no such output, contradicts itself, or was cut off.
    """
    reader = _Reader(source)
    text = decoded(data, source)
    reader.read(text)
    return reader.dump()


class _Reader:
    """One pass over the lines."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.odd = Oddities()
        self.chips: dict[str, Chip] = {}
        self.adapters: dict[str, Adapter] = {}
        self.ends: Ends = {}
        self.cabled: dict[str, int] = {}
        """Ports with a cable, by GUID, of nodes whose block is read."""
        self.unblocked: dict[str, Adapter] = {}
        """Routers that cables lead to: those in a chassis have no block when grouped."""
        self.starts: dict[str, int] = {}
        """Nodes that the tool began at."""
        self.section = ""
        self.ids: dict[str, str] = {}
        self.slot = ""
        self.guid = ""
        self.ports = 0
        self.again = False
        self.count = 0
        self.last = 0

    def error(self, message: str, line: int) -> FabricError:
        cut = ": the output ends there" if line == self.last else ""
        return FabricError(message + cut, self.source, line)

    def read(self, text: str) -> None:
        lines = text.split("\n")
        self.last = len(lines) if lines[-1].strip() else len(text.rstrip().split("\n"))
        port_line, ends = _PORT.fullmatch, self.ends
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if not line:
                continue
            if line[0] != "[":
                self.other(line, number)
                continue
            match = port_line(line)
            if match is None:
                self.unread_port(line, number)
                continue
            port, kind, guid, far, tail = match.groups()
            rate = tail[tail.rfind(" ") + 1 :]
            if rate not in _KNOWN:
                rate = self.rate(tail, number)
            near = (self.guid, int(port))
            end = End(guid if len(guid) == 16 else guid.zfill(16), int(far), rate, number)
            if near in ends or not 1 <= near[1] <= self.ports:
                self.check_port(near, end)
            self.count += 1
            ends.setdefault(near, end)
            if kind == "R":
                self.unblocked[end.guid] = Adapter(end.guid, tail.split('"')[-2] if '"' in tail else "", router=True)
        self.finish()

    def rate(self, tail: str, number: int) -> str:
        match = _TAIL.fullmatch(tail)
        if match is None:
            raise self.error(f"no line of a port: after # there is no width and speed: {tail[:80]!r}", number)
        rate = match[1]
        if rate not in _KNOWN and "?" not in rate:
            if number == self.last:
                raise self.error(f"{rate!r} is no speed", number)
            self.odd.add("rate-unknown", f"{rate!r} is no speed that is known", number, self.guid)
        return rate

    def check_port(self, near: tuple[str, int], end: End) -> None:
        """What is wrong with a port that is not a new one of the block; nothing if the block is a second one."""
        if not self.guid:
            raise self.error("the line of a port stands in no block", end.line)
        before = self.ends.get(near)
        if before is None:
            raise self.error(f"port {near[1]} of {near[0]}, which has {self.ports}", end.line)
        if not self.again:
            raise self.error(f"port {near[1]} of {near[0]} stands in line {before.line} already", end.line)
        if (before.guid, before.port, before.rate) != (end.guid, end.port, end.rate):
            raise self.error(f"port {near[1]} of {near[0]} leads elsewhere than in line {before.line}", end.line)

    def unread_port(self, line: str, number: int) -> None:
        if line[1:2].isdigit():
            raise self.error(f"no line of a port: {line[:80]!r}", number)
        self.odd.add("line-unread", f"not understood, left out: {line[:80]!r}", number)

    def other(self, line: str, number: int) -> None:
        """Any line but a port's."""
        if match := _ID.fullmatch(line):
            self.take_id(match[1], match[2], match[3] or "", number)
        elif match := _ADAPTER.fullmatch(line):
            self.take_adapter(match, number)
        elif line[0] == "#":
            if start := _START.match(line):
                self.starts[start[1]] = number
        elif match := _SWITCH.fullmatch(line):
            self.take_switch(match, number)
        elif _BEGINNING.match(line):
            raise self.error(f"no line of a node: {line[:80]!r}", number)
        elif match := _CHASSIS.match(line):
            self.close(number)
            self.section = match[1]
        elif line.startswith(_TOLD):
            self.section = "" if line[0] == "N" else self.section
        elif _LISTED.match(line):
            raise self.error("it lists nodes or ports: run ibnetdiscover without -l, -H, -S, -R and -p", number)
        elif _COMPLAINT.match(line):
            self.odd.add("tool-complained", f"what it could not reach is missing: {line[:200]!r}", number)
        else:
            self.odd.add("line-unread", f"not understood, left out: {line[:80]!r}", number)

    def take_id(self, key: str, value: str, words: str, number: int) -> None:
        if self.guid or key == "vendid":
            self.close(number)
        if key != "sysimgguid" or value.strip("0"):  # 0 says that a node is of no system
            self.ids[key] = value.zfill(16)
        if key == "switchguid":
            self.slot = words

    def take_switch(self, match: re.Match[str], number: int) -> None:
        guid = match[2].zfill(16)
        self.open(guid, int(match[1]), "switchguid", number)
        chassis = f"Chassis {self.section} {self.slot}".strip() if self.section else ""
        chip = Chip(guid, match[3], self.ports, self.ids.get("sysimgguid", ""), chassis, number)
        before = self.chips.setdefault(guid, chip)
        self.again = before is not chip
        if self.again and _told(before) != _told(chip):
            raise self.error(f"switch {guid} is another one than in line {before.line}", number)

    def take_adapter(self, match: re.Match[str], number: int) -> None:
        guid = match[3].zfill(16)
        router = match[2] == "R"
        self.open(guid, int(match[1]), "rtguid" if router else "caguid", number)
        adapter = Adapter(guid, match[4], self.ports, self.ids.get("sysimgguid", ""), number, router)
        before = self.adapters.setdefault(guid, adapter)
        self.again = before is not adapter
        if self.again and _told(before) != _told(adapter):
            raise self.error(f"adapter {guid} is another one than in line {before.line}", number)

    def open(self, guid: str, ports: int, key: str, number: int) -> None:
        if self.guid:
            self.close(number)
        if self.ids.get(key, guid) != guid:
            raise self.error(f"the ids above are those of {self.ids[key]}, this is {guid}", number)
        if guid in (self.adapters if key == "switchguid" else self.chips):
            raise self.error(f"{guid} is a switch and an adapter", number)
        self.guid, self.ports, self.count = guid, ports, 0

    def close(self, number: int) -> None:
        """The end of a block, at a line that belongs to it no more."""
        if self.guid and self.cabled.setdefault(self.guid, self.count) != self.count:
            raise self.error(f"{self.guid} has other cables here than in its first block", number)
        self.guid, self.ports, self.count, self.slot, self.again = "", 0, 0, "", False
        self.ids = {}

    def finish(self) -> None:
        """Whether it is whole."""
        if not (self.chips or self.adapters):
            raise FabricError("no switch and no adapter is in it: is it the output of ibnetdiscover?", self.source)
        if self.ids and not self.guid:
            raise self.error("ids of a node without the node", self.last)
        if not self.ends:
            raise self.error("no port has a cable", self.last)
        for guid, line in self.starts.items():
            if guid not in self.chips and guid not in self.adapters:
                text = f"it began at {guid}, which is not described: the output was cut off"
                raise FabricError(text, self.source, line)
        block = self.guid
        self.close(self.last)
        for near, end in self.ends.items():
            if end.guid not in self.cabled and end.guid in self.unblocked:
                self.adapters[end.guid] = self.unblocked[end.guid]
            elif end.guid not in self.cabled:
                text = (
                    f"port {near[1]} of {near[0]} leads to {end.guid}, which is not described: the output was cut off"
                )
                raise FabricError(text, self.source, end.line)
            elif end.guid == block and (end.guid, end.port) not in self.ends:
                text = f"port {end.port} of {end.guid} has a cable, which line {end.line} says: the output was cut off"
                raise FabricError(text, self.source, self.last)

    def dump(self) -> Dump:
        ends, adapters = outside(self.ends, self.chips, self.adapters, self.odd)
        found = cables(ends, self.chips, adapters, self.odd, self.source)
        return Dump(self.source, Network.INFINIBAND, self.chips, adapters, found, self.odd.notices())


def _told(node: Chip | Adapter) -> tuple[object, ...]:
    """All of a node but where it stands."""
    chassis = node.chassis if isinstance(node, Chip) else node.router
    return node.guid, node.description, node.ports, node.system_guid, chassis

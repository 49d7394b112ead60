"""Cables that are written down line by line, gathered and made a Dump of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from hpcjobs_plugins.topology.fabric import Adapter, Cable, Chip, Dump, FabricError, Network, Role
from hpcjobs_plugins.topology.providers.text import made_up

_ONE: Final = frozenset("[], \t")
"""No name has any of these; a hostlist may."""

MOST_PORTS: Final = 100_000
"""Ports have lower numbers."""


class _Line(NamedTuple):
    """A cable, from a host's adapter or a switch to a switch; 0: port not said."""

    host: str
    adapter: str
    lower: str
    lower_port: int
    upper: str
    upper_port: int
    speed: str
    line: int


class Tables:
    """Takes cables in the order they are written in."""

    def __init__(self, source: str) -> None:
        """With what the source is called in messages."""
        self.source = source
        self.cables: list[_Line] = []
        self.fabrics: dict[str, str] = {}
        self.roles: dict[str, Role] = {}
        self.switches: dict[str, int] = {}
        """Line that a switch is first seen in, by name."""
        self._once: set[tuple[str, str]] = set()

    def row(self, row: Mapping[str, str], line: int) -> None:
        """A line of a table, by its columns.

        Raises:
            FabricError: Something in it cannot be.
        """
        host, switch = row.get("host", ""), row.get("switch", "")
        speed = self.speed(row.get("gbps", ""), line)
        if not switch:
            raise FabricError("a line without a switch", self.source, line)
        port = self._port(row.get("switch_port", ""), line)
        chain = [name for name in (switch, row.get("above", ""), row.get("above2", ""), row.get("above3", "")) if name]
        for name in (host, *chain):
            if not _ONE.isdisjoint(name):
                raise FabricError(f"{name[:40]!r} is no name of one machine: a line is one cable", self.source, line)
        if not host and len(chain) == 1:
            raise FabricError("a line with neither a host nor a switch above", self.source, line)
        if host:
            self.hang(host, row.get("host_port", ""), switch, port, speed, line)
            self.say_role(host, row.get("role", ""), line)
            port = 0
        above_port = self._port(row.get("above_port", ""), line)
        for lower, upper in pairwise(chain):
            if host and ((lower, upper) in self._once or (upper, lower) in self._once):
                continue
            self._once.add((lower, upper))
            self.join(lower, upper, speed, line, port, above_port)
            port = above_port = 0
        fabric = row.get("fabric", "")
        for name in chain if fabric else ():
            if self.fabrics.setdefault(name, fabric) != fabric:
                text = f"{name} is of fabric {fabric!r} here and of {self.fabrics[name]!r} before"
                raise FabricError(text, self.source, line)

    def hang(self, host: str, adapter: str, switch: str, port: int, speed: str, line: int) -> None:
        """A cable of a host."""
        label = f"HCA-{int(adapter)}" if adapter.isascii() and adapter.isdigit() and len(adapter) < 6 else adapter
        self.switches.setdefault(switch, line)
        self.cables.append(_Line(host, label, "", 0, switch, port, speed, line))

    def join(self, lower: str, upper: str, speed: str, line: int, lower_port: int = 0, upper_port: int = 0) -> None:
        """A cable between switches."""
        if lower == upper:
            raise FabricError(f"switch {lower} is cabled to itself", self.source, line)
        self.switches.setdefault(lower, line)
        self.switches.setdefault(upper, line)
        self.cables.append(_Line("", "", lower, lower_port, upper, upper_port, speed, line))

    def say_role(self, host: str, role: str, line: int) -> None:
        """What a host is to Slurm; nothing is said by ``""``."""
        if not role:
            return
        if role not in set(Role):
            raise FabricError(f"no role is called {role!r}; there are {', '.join(Role)}", self.source, line)
        if self.roles.setdefault(host, Role(role)) != role:
            raise FabricError(f"{host} is {role} here and {self.roles[host]} before", self.source, line)

    def dump(self, network: Network) -> Dump:
        """The Dump of all lines.

        Raises:
            FabricError: There are none, a name is a host's and a switch's, or a port has two cables.
        """
        if not self.cables:
            raise FabricError("no cable is in it", self.source)
        digits = 16 if network is Network.INFINIBAND else 12
        guids = {name: made_up(digits, "switch", name) for name in self.switches}
        for line in self.cables:
            if line.host in guids:
                raise FabricError(f"{line.host} is a host and a switch", self.source, line.line)
        adapters: dict[str, Adapter] = {}
        neighbours: dict[str, str] = {}
        labels = self._labels()
        ports = self._ports()
        found: list[Cable] = []
        for index, line in enumerate(self.cables):
            far = (guids[line.upper], ports[index, line.upper])
            if line.host:
                guid = made_up(digits, "host", line.host, labels[index])
                if guid in adapters:
                    text = f"{line.host} {labels[index]} has a cable in line {adapters[guid].line} already"
                    raise FabricError(text, self.source, line.line)
                adapters[guid] = Adapter(guid, f"{line.host} {labels[index]}", line=line.line)
                neighbours[guid] = line.host
                near = (guid, 1)
            else:
                near = (guids[line.lower], ports[index, line.lower])
            found.append(Cable(*min(near, far), *max(near, far), 0, line.speed))
        found.sort(key=lambda one: (one.a, one.a_port, one.b, one.b_port))
        chips = {guid: Chip(guid, name, line=self.switches[name]) for name, guid in guids.items()}
        fabrics = {guids[name]: fabric for name, fabric in self.fabrics.items()}
        return Dump(
            self.source, network, chips, adapters, tuple(found), (), neighbours, fabrics=fabrics, roles=self.roles
        )

    def _labels(self) -> dict[int, str]:
        """Name of the adapter of each line of a host; those that nobody names are numbered."""
        used = {(line.host, line.adapter) for line in self.cables if line.adapter}
        numbers: dict[str, int] = defaultdict(int)
        found: dict[int, str] = {}
        for index, line in enumerate(self.cables):
            label = line.adapter
            while not label or (not line.adapter and (line.host, label) in used):
                numbers[line.host] += 1
                label = f"HCA-{numbers[line.host]}"
            found[index] = label
        return found

    def _ports(self) -> dict[tuple[int, str], int]:
        """Ports of switches by line; those that nobody says are the first free ones."""
        found: dict[tuple[int, str], int] = {}
        used: dict[tuple[str, int], int] = {}
        free: dict[str, int] = defaultdict(int)
        ends = [
            (index, name, port, line.line)
            for index, line in enumerate(self.cables)
            for name, port in ((line.lower, line.lower_port), (line.upper, line.upper_port))
            if name
        ]
        for index, name, port, line_number in ends:
            if port and used.setdefault((name, port), line_number) != line_number:
                text = f"port {port} of {name} has a cable in line {used[name, port]} already"
                raise FabricError(text, self.source, line_number)
            found[index, name] = port
        for index, name, port, line_number in ends:
            if not port:
                free[name] += 1
                while (name, free[name]) in used:
                    free[name] += 1
                found[index, name] = free[name]
                used[name, free[name]] = line_number
        return found

    def _port(self, text: str, line: int) -> int:
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 9) or not 1 <= int(text) < MOST_PORTS:
            raise FabricError(f"{text[:40]!r} is no number of a port", self.source, line)
        return int(text)

    def speed(self, text: str, line: int) -> str:
        """A rate in Gbit/s as the speed of a cable; ``""`` for ``""``."""
        if not text:
            return ""
        try:
            rate = float(text)
        except ValueError:
            rate = -1.0
        if not 0 < rate < 1e6:
            raise FabricError(f"{text[:40]!r} is no rate in Gbit/s", self.source, line)
        return f"{rate:.3f}".rstrip("0").rstrip(".") + "G"

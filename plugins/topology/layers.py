"""A fabric by the tiers of its switches: what hangs on each, which cables go up, stay in a tier or skip one. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hpcjobs_plugins.topology.fabric import Endpoint, Fabric, Host, Trunk


class Plug(NamedTuple):
    """A cable of a host.

    Attributes:
        host: Whose.
        point: Where.
    """

    host: Host
    point: Endpoint


class Layers:
    """A fabric by rows.

    Attributes:
        fabric: The fabric.
        row: The tier of each switch.
        plugs: Cables to hosts, by name of the switch; nothing for one without.
        trunks: Cables to switches, by name of the switch.
        up: Cables by lower and upper switch, where the upper is one row above.
        uppers: Names of the switches one row above, by name of the lower switch.
        within: Cables in one row, by both names, the smaller first.
        across: Cables that skip a row, by lower and upper switch.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.plugs: dict[str, list[Plug]] = {name: [] for name in fabric.switches}
        for host in fabric.hosts.values():
            for point in host.endpoints:
                self.plugs[point.switch].append(Plug(host, point))
        self.trunks: dict[str, list[Trunk]] = {name: [] for name in fabric.switches}
        for trunk in fabric.trunks:
            self.trunks[trunk.a].append(trunk)
            self.trunks[trunk.b].append(trunk)
        self.row = {name: switch.tier for name, switch in fabric.switches.items()}
        self._names: dict[int, list[str]] = {}
        for name, row in self.row.items():
            self._names.setdefault(row, []).append(name)
        self.up: dict[tuple[str, str], list[Trunk]] = defaultdict(list)
        self.within: dict[tuple[str, str], list[Trunk]] = defaultdict(list)
        self.across: dict[tuple[str, str], list[Trunk]] = defaultdict(list)
        for trunk in fabric.trunks:
            low, high = sorted((trunk.a, trunk.b), key=lambda name: (self.row[name], name))
            apart = self.row[high] - self.row[low]
            kind = self.within if not apart else self.up if apart == 1 else self.across
            kind[low, high].append(trunk)
        self.uppers: dict[str, list[str]] = {name: [] for name in fabric.switches}
        for low, high in self.up:
            self.uppers[low].append(high)

    @property
    def top(self) -> int:
        """The highest row."""
        return max(self._names, default=0)

    def names(self, row: int) -> Sequence[str]:
        """Names of the switches of a row, sorted."""
        return self._names.get(row, ())

    def upward(self, row: int) -> dict[str, Counter[str]]:
        """For each switch of a row the switches one row above, with how many cables go there."""
        return {
            name: Counter({high: len(self.up[name, high]) for high in self.uppers[name]}) for name in self.names(row)
        }


def port_of(trunk: Trunk, switch: str) -> int:
    """The port of a cable at one of its switches."""
    return trunk.a_port if trunk.a == switch else trunk.b_port


def other_end(trunk: Trunk, switch: str) -> str:
    """The switch at the other end of a cable."""
    return trunk.b if trunk.a == switch else trunk.a


def shown(trunk: Trunk, first: str = "") -> str:
    """A cable as ``leaf01:17 - spine02:3``, one end first."""
    ends = [f"{trunk.a}:{trunk.a_port}", f"{trunk.b}:{trunk.b_port}"]
    return " - ".join(ends[::-1] if trunk.b == first else ends)


def components(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> Iterator[list[str]]:
    """Groups of names that pairs connect, in the order of their first names."""
    near: Mapping[str, list[str]] = {name: [] for name in names}
    for one, other in pairs:
        if one in near and other in near:
            near[one].append(other)
            near[other].append(one)
    seen: set[str] = set()
    for name in near:
        if name in seen:
            continue
        group, edge = [], [name]
        seen.add(name)
        while edge:
            one = edge.pop()
            group.append(one)
            fresh = [other for other in near[one] if other not in seen]
            edge.extend(dict.fromkeys(fresh))
            seen.update(fresh)
        yield group

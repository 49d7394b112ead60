"""How far hosts are from each other: switches on the shortest path between them.

0 on one host and in one NVLink domain, 1 below one leaf, 3 over a spine, 5 over a core. They are counted between
cells, hosts that hang on the same leaves: a fabric of thousands of hosts has dozens of them. In a rail-optimised fabric
each rail has its distance. Traffic between two hosts is taken to be spread over their rails and to stay on them: where
it changes rails it does so inside a host, over NVLink, as NCCL does (PXN, since NCCL 2.12).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.fabric import Fabric, Site
from hpcjobs_plugins.topology.placement.grouping import Grouped, Leaves, Path, grouped

UNREACHABLE: Final = 64
"""Hops between hosts that no fabric connects: far more than any path has (7 in four tiers), and still a number."""


class Span(NamedTuple):
    """What lies between two hosts.

    Attributes:
        hops: Switches on the shortest path, mean of the rails.
        most: Of the longest of them.
        above: Share of the rails whose path leaves the leaves, 0 to 1.
        shared: Oversubscription of the cables on the path, summed over the tiers that it climbs, mean of the rails.
    """

    hops: float
    most: int
    above: float
    shared: float


_APART: Final = Span(UNREACHABLE, UNREACHABLE, 1.0, 0.0)
_SAME: Final = Span(0, 0, 0.0, 0.0)


class Cell(msgspec.Struct, frozen=True):
    """Hosts that hang on the same leaves and are of one NVLink domain.

    Attributes:
        fabric: Name; "": none.
        leaves: By rail.
        domain: NVLink domain, or "".
        path: From the fabric over pods and the leaf group to the domain; all of a site are of one length.
    """

    fabric: str
    leaves: Leaves
    domain: str
    path: Path

    @property
    def group(self) -> Path:
        """Path to its leaf group."""
        return self.path[:-1]

    @property
    def pod(self) -> Path:
        """Path to what is joined by one tier of spines."""
        return self.path[:-2]


class _Wiring:
    """Hops between the leaves of a fabric: sets of switches as bits of a number, searched from one that is asked for.

    What is found holds for every leaf that is cabled to the same switches: leaves of a pod need one search.
    """

    def __init__(self, fabric: Fabric) -> None:
        names = list(fabric.switches)
        self._index = {name: index for index, name in enumerate(names)}
        self._near = [0] * len(names)
        for trunk in fabric.trunks:
            a, b = self._index.get(trunk.a), self._index.get(trunk.b)
            if a is not None and b is not None:
                self._near[a] |= 1 << b
                self._near[b] |= 1 << a
        self._rings: dict[int, list[int]] = {}
        self.climbs = oversubscription(fabric)

    def hops(self, a: str, b: str) -> int:
        """Switches on the shortest path between two leaves, both ends among them."""
        start, goal = self._index.get(a), self._index.get(b)
        if a == b:
            return 1
        if start is None or goal is None or not self._near[start]:
            return UNREACHABLE
        near = self._near[start]
        if near == self._near[goal]:
            return 3
        if near not in self._rings:
            self._rings[near] = self._search(start)
        for steps, ring in enumerate(self._rings[near]):
            if ring >> goal & 1:
                return steps + 1
        return UNREACHABLE

    def _search(self, start: int) -> list[int]:
        ring = seen = 1 << start
        rings = []
        while ring:
            rings.append(ring)
            reached = 0
            while ring:
                lowest = ring & -ring
                reached |= self._near[lowest.bit_length() - 1]
                ring ^= lowest
            ring = reached & ~seen
            seen |= ring
        return rings

    def shared(self, hops: int) -> float:
        """Oversubscription summed over the tiers that a path climbs."""
        return sum(self.climbs[: hops // 2]) if hops < UNREACHABLE else 0.0


def oversubscription(fabric: Fabric) -> tuple[float, ...]:
    """For each tier but the highest what comes from below against what goes up, at least 1.

    By rate where every link says it, else by number of cables.
    """
    links = [point.gbps for host in fabric.hosts.values() for point in host.endpoints]
    links += [trunk.gbps for trunk in fabric.trunks]
    rated = all(links)
    tiers = {name: switch.tier for name, switch in fabric.switches.items()}
    down = [0.0] * (max(tiers.values(), default=0) + 1)
    up = list(down)
    for host in fabric.hosts.values():
        for point in host.endpoints:
            down[tiers.get(point.switch, 0)] += point.gbps if rated else 1.0
    for trunk in fabric.trunks:
        low, high = sorted((tiers.get(trunk.a, 0), tiers.get(trunk.b, 0)))
        if low < high:
            up[low] += trunk.gbps if rated else 1.0
            down[high] += trunk.gbps if rated else 1.0
    return tuple(max(1.0, below / above) if above else 1.0 for below, above in zip(down[1:-1], up[1:-1], strict=True))


class Distances:
    """Distances between hosts of a site.

    Attributes:
        cells: What the hosts are of; those of no fabric share one each domain.
        cell: Index of each host's cell.
    """

    def __init__(self, site: Site, hosts: Iterable[str]) -> None:
        """Of these hosts of a site; a host that is on several fabrics counts for the first of them.

        Args:
            site: Its fabrics in the order in which they are preferred.
            hosts: Names; those that the site does not know are on no fabric.
        """
        names = list(dict.fromkeys(hosts))
        placed: set[str] = set()
        everything: list[tuple[Fabric, Grouped]] = []
        for fabric in site.fabrics:
            here = {host.name for host in fabric.compute}.union(names) - placed
            everything.append((fabric, grouped(fabric, here)))
            placed |= everything[-1][1].leaves.keys()
        depth = max((len(way) for _, each in everything for way in each.above.values()), default=0)
        domain_of = {name: domain for domain, members in site.domains.items() if len(members) > 1 for name in members}
        numbers = {domain: number for number, domain in enumerate(sorted(site.domains, key=natural), start=1)}
        self._wiring = {fabric.name: _Wiring(fabric) for fabric, _ in everything}
        self.cell: dict[str, int] = {}
        found: dict[Cell, int] = {}
        for name in names:
            domain = domain_of.get(name, "")
            cell = _cell(name, everything, depth, domain, numbers.get(domain, 0))
            self.cell[name] = found.setdefault(cell, len(found))
        self.cells: tuple[Cell, ...] = tuple(found)
        self._spans: dict[tuple[int, int], Span] = {}

    def between(self, a: int, b: int) -> Span:
        """What lies between a host of one cell and another host, of another cell or the same, by their indices."""
        key = (a, b) if a <= b else (b, a)
        if key not in self._spans:
            self._spans[key] = self._between(self.cells[key[0]], self.cells[key[1]])
        return self._spans[key]

    def _between(self, a: Cell, b: Cell) -> Span:
        if a.domain and a.domain == b.domain:
            return _SAME
        if a.fabric != b.fabric or not a.fabric:
            return _APART
        wiring = self._wiring[a.fabric]
        hops = [wiring.hops(*pair) for pair in zip(a.leaves, b.leaves, strict=True)]
        count = len(hops)
        above = sum(each > 1 for each in hops)
        return Span(sum(hops) / count, max(hops), above / count, sum(map(wiring.shared, hops)) / count)

    def span(self, a: str, b: str) -> Span:
        """What lies between two hosts by their names."""
        return _SAME if a == b else self.between(self.cell[a], self.cell[b])

    def hops(self, a: str, b: str, rail_a: int = 0, rail_b: int | None = None) -> int:
        """Switches on the shortest path over cables alone between a rail of one host and a rail of another.

        Args:
            a: Name of a host.
            b: Of the other.
            rail_a: From 0.
            rail_b: None: the same one.
        """
        if a == b:
            return 0
        one, other = self.cells[self.cell[a]], self.cells[self.cell[b]]
        if one.domain and one.domain == other.domain:
            return 0
        if one.fabric != other.fabric or not one.fabric:
            return UNREACHABLE
        return self._wiring[one.fabric].hops(one.leaves[rail_a], other.leaves[rail_a if rail_b is None else rail_b])


def _cell(name: str, fabrics: list[tuple[Fabric, Grouped]], depth: int, domain: str, number: int) -> Cell:
    for index, (fabric, each) in enumerate(fabrics):
        if name in each.leaves:
            above = each.above[name] + (0,) * (depth - len(each.above[name]))
            return Cell(fabric.name, each.leaves[name], domain, (index, *above, each.group[name], number))
    return Cell("", (), domain, (len(fabrics), *(0,) * (depth + 1), number))


def leaf_groups(distances: Distances, hosts: Iterable[str]) -> Mapping[Path, int]:
    """How many of some hosts each leaf group has, in the order of groups."""
    counts: dict[Path, int] = {}
    for name in hosts:
        group = distances.cells[distances.cell[name]].group
        counts[group] = counts.get(group, 0) + 1
    return dict(sorted(counts.items()))

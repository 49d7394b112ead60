"""Which switch, adapter, host and domain of one discovery is which of another. Pure.

GUIDs say it first: names are given by people and change. What has another GUID is told by its name together with its
neighbours, or by its cables alone. Every rule reads the same in both directions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

from hpcjobs_plugins.topology.fabric import Endpoint, Role, Site, Switch

Thing = TypeVar("Thing", bound=Hashable)

Both = tuple[str, str]
"""Name before and name after; ``""`` where it is not there."""

End = tuple[str, str, int]
"""Of a cable: ``switch`` with a name, or ``adapter`` with a GUID, and the port."""


class Pairing:
    """Names of before and names of after that mean the same thing."""

    def __init__(self) -> None:
        self.forward: dict[str, str] = {}
        self.back: dict[str, str] = {}

    def join(self, was: str, now: str) -> None:
        """Say that two are one."""
        self.forward[was] = now
        self.back[now] = was

    def left(self, before: Iterable[str], after: Iterable[str]) -> tuple[list[str], list[str]]:
        """What of each side has no partner yet."""
        return [name for name in before if name not in self.forward], [name for name in after if name not in self.back]

    def of_before(self, name: str) -> Both:
        """Both names of a thing of before."""
        return name, self.forward.get(name, "")

    def of_after(self, name: str) -> Both:
        """Both names of a thing of after."""
        return self.back.get(name, ""), name


class Side:
    """A site with its fabrics laid together, for looking up.

    Attributes:
        switches: By name.
        fabrics: Name of the fabric by name of the switch.
        endpoints: By name of the host, of all fabrics.
        roles: By name of the host.
        owners: Name of the host by GUID of the adapter.
        cables: Both ends and the rate in Gbit/s of each.
        far: The ends at the other side of a switch's cables, by its name.
        domains: Name of the NVLink domain by name of the node.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.switches: dict[str, Switch] = {}
        self.fabrics: dict[str, str] = {}
        self.endpoints: dict[str, list[Endpoint]] = defaultdict(list)
        self.roles: dict[str, Role] = {}
        self.owners: dict[str, str] = {}
        self.cables: list[tuple[End, End, float]] = []
        self.far: dict[str, set[End]] = defaultdict(set)
        self.domains = {node: domain for domain, nodes in site.domains.items() for node in nodes}
        for fabric in site.fabrics:
            self.switches.update(fabric.switches)
            self.fabrics.update(dict.fromkeys(fabric.switches, fabric.name))
            for host in fabric.hosts.values():
                self.roles[host.name] = host.role
                self.endpoints[host.name].extend(host.endpoints)
                for point in host.endpoints:
                    self.owners[point.adapter] = host.name
                    near: End = ("switch", point.switch, point.switch_port)
                    self._cable(near, ("adapter", point.adapter, point.port), point.gbps)
            for trunk in fabric.trunks:
                self._cable(("switch", trunk.a, trunk.a_port), ("switch", trunk.b, trunk.b_port), trunk.gbps)

    def _cable(self, near: End, far: End, gbps: float) -> None:
        self.cables.append((near, far, gbps))
        self.far[near[1]].add(far)
        if far[0] == "switch":
            self.far[far[1]].add(near)

    def neighbours(self, switch: str) -> set[str]:
        """Names of the hosts and switches that a switch is cabled to."""
        return {self.owners[name] if kind == "adapter" else name for kind, name, _ in self.far[switch]}


def match_switches(before: Side, after: Side) -> Pairing:
    """By GUID; then by name, if at least half of the neighbours are the same; then by more than half of the cables."""
    pairs = Pairing()
    guids = [_guids(side.switches) for side in (before, after)]
    for guid, was in guids[0].items():
        if guid in guids[1]:
            pairs.join(was, guids[1][guid])
    left = pairs.left(before.switches, after.switches)
    for name in set(left[0]).intersection(left[1]):
        was_near = {pairs.forward.get(each, each) for each in before.neighbours(name)}
        now_near = after.neighbours(name)
        if 2 * len(was_near & now_near) >= max(len(was_near), len(now_near)):
            pairs.join(name, name)
    left = pairs.left(before.switches, after.switches)
    was_ends = {
        name: {_forward(end, pairs) for end in before.far[name] if _known(end, pairs.forward)} for name in left[0]
    }
    now_ends = {name: {end for end in after.far[name] if _known(end, pairs.back)} for name in left[1]}
    for was, now in _overlapping(was_ends, now_ends):
        pairs.join(was, now)
    return pairs


def _guids(switches: Mapping[str, Switch]) -> dict[str, str]:
    """Name by GUID; what two switches have names neither."""
    count = Counter(switch.guid for switch in switches.values())
    return {switch.guid: name for name, switch in switches.items() if switch.guid and count[switch.guid] == 1}


def _known(end: End, paired: Mapping[str, str]) -> bool:
    return end[0] == "adapter" or end[1] in paired


def _forward(end: End, pairs: Pairing) -> End:
    return end if end[0] == "adapter" else (end[0], pairs.forward[end[1]], end[2])


def _overlapping(before: Mapping[str, Collection[Thing]], after: Mapping[str, Collection[Thing]]) -> list[Both]:
    """Names whose things are more than half the same on both sides; no thing is of two names of one side."""
    holders = {thing: name for name, things in after.items() for thing in things}
    found: list[Both] = []
    for was, things in before.items():
        count = Counter(holders[thing] for thing in things if thing in holders)
        for now, shared in count.most_common(1):
            if 2 * shared > max(len(things), len(after[now])):
                found.append((was, now))
    return found


def match_hosts(before: Side, after: Side) -> Pairing:
    """By name with an adapter in common; then by more than half of the adapters; then by name."""
    pairs = Pairing()
    cards = [
        {name: {point.adapter for point in points} for name, points in side.endpoints.items()}
        for side in (before, after)
    ]
    _by_name(pairs, *cards, alike=True)
    left = pairs.left(*cards)
    lone = [{name: cards[index][name] for name in left[index]} for index in (0, 1)]
    for was, now in _overlapping(*lone):
        pairs.join(was, now)
    _by_name(pairs, *cards, alike=False)
    return pairs


def _by_name(pairs: Pairing, before: Mapping[str, set[Thing]], after: Mapping[str, set[Thing]], *, alike: bool) -> None:
    left = pairs.left(before, after)
    for name in set(left[0]).intersection(left[1]):
        if not alike or before[name] & after[name]:
            pairs.join(name, name)


def match_adapters(before: Side, after: Side, hosts: Pairing, switches: Pairing) -> Pairing:
    """By GUID; then within a host by the port that the cable is in; then the last one of each side."""
    pairs = Pairing()
    for guid in before.owners.keys() & after.owners.keys():
        pairs.join(guid, guid)
    for was, now in hosts.forward.items():
        gone, came = pairs.left(_cards(before.endpoints[was]), _cards(after.endpoints[now]))
        if not (gone and came):
            continue
        holders = {
            (*switches.of_after(point.switch), point.switch_port): point.adapter
            for point in after.endpoints[now]
            if point.adapter in came
        }
        for point in before.endpoints[was]:
            other = holders.get((*switches.of_before(point.switch), point.switch_port))
            if other and point.adapter not in pairs.forward and other not in pairs.back:
                pairs.join(point.adapter, other)
        gone, came = pairs.left(gone, came)
        if len(gone) == len(came) == 1:
            pairs.join(gone[0], came[0])
    return pairs


def _cards(points: Iterable[Endpoint]) -> list[str]:
    return list(dict.fromkeys(point.adapter for point in points))


def match_domains(before: Site, after: Site, hosts: Pairing) -> Pairing:
    """By key with a node in common; then by more than half of the nodes; then by key."""
    pairs = Pairing()
    was = {key: {hosts.forward.get(node, node) for node in nodes} for key, nodes in before.domains.items()}
    now = {key: set(nodes) for key, nodes in after.domains.items()}
    _by_name(pairs, was, now, alike=True)
    left = pairs.left(was, now)
    for one, other in _overlapping({key: was[key] for key in left[0]}, {key: now[key] for key in left[1]}):
        pairs.join(one, other)
    _by_name(pairs, was, now, alike=False)
    return pairs

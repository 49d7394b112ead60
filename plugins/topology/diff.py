"""What is not as it was between two discoveries: which switch, cable or node came, went or moved. Pure.

What a thing takes along is told with it and not by itself: a leaf that is gone is one change that lists its hosts. A
cable that has one end where it was is one that was moved; a host is told once, however many of its cables moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from itertools import chain

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.changes import NO_DOMAIN, Change, change, told
from hpcjobs_plugins.topology.fabric import Endpoint, Site
from hpcjobs_plugins.topology.matching import (
    Pairing,
    Side,
    match_adapters,
    match_domains,
    match_hosts,
    match_switches,
)
from hpcjobs_plugins.topology.replugged import Link, Port, order, replugged


def diff(before: Site, after: Site) -> list[Change]:
    """Compare two discoveries.

    The other way round it tells the same changes with before and after exchanged. Time is linear in the cables.

    Args:
        before: The earlier one.
        after: The later one.

    Returns:
        Every change once, in a stable order; nothing for discoveries that differ in ``found_at``, notices, rail
        numbers, descriptions and rates that one of them does not say.
    """
    if before.fabrics == after.fabrics and before.domains == after.domains:
        return []
    return told(_Comparison(before, after).changes())


class _Half:
    """One of both sides with what it shares with the other.

    Attributes:
        side: The site.
        index: 0 before, 1 after: which of two names is its own.
        what: ``gone`` or ``came``: what it means to be here and not there.
        switches: Partners of its switches by name, as are the others.
        links: Its cables with their rates in Gbit/s.
        as_found: The same cables with the end first that is shown first.
    """

    def __init__(self, side: Side, index: int, pairs: Mapping[str, Pairing]) -> None:
        self.side, self.index = side, index
        self.what = ("gone", "came")[index]
        self.switches, self.hosts, self.adapters, self.domains = (
            (pairs[kind].forward, pairs[kind].back)[index] for kind in ("switch", "host", "adapter", "domain")
        )
        self.links: dict[Link, float] = {}
        self.as_found: dict[Link, Link] = {}
        for near, far, gbps in side.cables:
            found = self._port(pairs[near[0]], *near), self._port(pairs[far[0]], *far)
            one, other = sorted(found, key=order)
            self.links[one, other] = gbps
            self.as_found[one, other] = found
        self.fabrics = set(side.fabrics.values()) - {side.fabrics[name] for name in self.switches}
        chips: dict[str, list[str]] = defaultdict(list)
        for switch in side.switches.values():
            chips[switch.chassis].append(switch.name)
        self.chips = {chassis: names for chassis, names in chips.items() if chassis and len(names) > 1}

    def _port(self, pairs: Pairing, kind: str, name: str, port: int) -> Port:
        return kind, pairs.of_after(name) if self.index else pairs.of_before(name), port

    def lone(self, port: Port) -> bool:
        """Whether the switch or the host of a cable's end is not on the other side."""
        name = port[1][self.index]
        if port[0] == "switch":
            return name not in self.switches
        return self.side.owners[name] not in self.hosts

    def owner(self, port: Port) -> str:
        """The host that an adapter is in."""
        return self.side.owners[port[1][self.index]]

    def place(self, port: Port) -> str:
        """How an end of a cable is shown."""
        return self.owner(port) if port[0] == "adapter" else f"{port[1][self.index]}:{port[2]}"

    def shown(self, link: Link) -> str:
        """How a cable is shown: from a switch to a host, or from the lower switch to the upper one."""
        first, second = self.as_found[link]
        return f"{self.place(first)} - {self.place(second)}"

    def places(self, host: str) -> str:
        """All the ports that a host hangs on."""
        return ", ".join(_place(point) for point in self.side.endpoints[host])

    def where(self, links: list[Link]) -> str:
        """The switch ports of some cables of a host."""
        ports = sorted((link[1][1][self.index], link[1][2]) for link in links)
        return ", ".join(f"{switch}:{port}" for switch, port in ports)


def _place(point: Endpoint) -> str:
    return f"{point.switch}:{point.switch_port}"


class _Comparison:
    """Both sides, and what of the one is what of the other."""

    def __init__(self, before: Site, after: Site) -> None:
        sides = Side(before), Side(after)
        switches, hosts = match_switches(*sides), match_hosts(*sides)
        pairs = {
            "switch": switches,
            "host": hosts,
            "adapter": match_adapters(*sides, hosts, switches),
            "domain": match_domains(before, after, hosts),
        }
        self.was, self.now = _Half(sides[0], 0, pairs), _Half(sides[1], 1, pairs)

    def changes(self) -> Iterator[Change]:
        lost, found = self.was.links.keys() - self.now.links.keys(), self.now.links.keys() - self.was.links.keys()
        moved = self._moved(lost, found)
        lost -= {old for links in moved.values() for old, _ in links}
        found -= {new for links in moved.values() for _, new in links}
        yield from self._fabrics()
        yield from chain(_lone_switches(self.was, lost), _lone_switches(self.now, found))
        yield from self._kept_switches()
        yield from chain(_lone_hosts(self.was), _lone_hosts(self.now))
        yield from self._kept_hosts()
        for host, links in moved.items():
            olds, news = [old for old, _ in links], [new for _, new in links]
            yield change("node-moved", host, self.was.where(olds), self.now.where(news))
        yield from self._adapters()
        yield from self._cables(lost, found)
        yield from self._rates()
        yield from self._domains()

    def _fabrics(self) -> Iterator[Change]:
        into: dict[str, set[str]] = defaultdict(set)
        made_of: dict[str, set[str]] = defaultdict(set)
        for was, now in self.was.switches.items():
            into[self.was.side.fabrics[was]].add(self.now.side.fabrics[now])
            made_of[self.now.side.fabrics[now]].add(self.was.side.fabrics[was])
        for fabric, parts in into.items():
            if len(parts) > 1:
                yield change("fabric-split", fabric, fabric, ", ".join(sorted(parts, key=natural)))
            elif fabric not in parts and all(made_of[part] == {fabric} for part in parts):
                yield change("fabric-renamed", min(parts), fabric, min(parts))
        for fabric, parts in made_of.items():
            if len(parts) > 1:
                yield change("fabric-joined", fabric, ", ".join(sorted(parts, key=natural)), fabric)

    def _kept_switches(self) -> Iterator[Change]:
        tiers: dict[tuple[int, int], list[str]] = defaultdict(list)
        kept = dict(self.was.switches)
        for was, now in self.was.switches.items():
            before, after = self.was.side.switches[was].tier, self.now.side.switches[now].tier
            if before != after:
                tiers[before, after].append(now)
        for (before, after), names in tiers.items():
            yield change("switch-tier", f"tier {after}", str(before), str(after), names)
        for chassis, chips in self.was.chips.items():
            others = [kept[name] for name in chips if name in kept]
            switches = [self.now.side.switches[name] for name in others]
            (now, *more) = {switch.chassis for switch in switches} or {""}
            if more or len(others) < len(chips) or len(self.now.chips.get(now, ())) != len(chips):
                continue
            if all(self._replaced(name, kept[name]) for name in chips):
                yield change("chassis-replaced", now, chassis, now)
            elif now != chassis and all(name != kept[name] for name in chips):
                yield change("chassis-renamed", now, chassis, now)
            else:
                continue
            for name in chips:
                del kept[name]
        for was, now in kept.items():
            if self._replaced(was, now):
                guids = self.was.side.switches[was].guid, self.now.side.switches[now].guid
                yield change("switch-replaced", now, f"{was} ({guids[0]})", f"{now} ({guids[1]})")
            elif was != now:
                yield change("switch-renamed", now, was, now)

    def _replaced(self, was: str, now: str) -> bool:
        return self.was.side.switches[was].guid != self.now.side.switches[now].guid

    def _kept_hosts(self) -> Iterator[Change]:
        for was, now in self.was.hosts.items():
            if was != now:
                yield change("node-renamed", now, was, now)
            roles = self.was.side.roles[was], self.now.side.roles[now]
            if roles[0] is not roles[1]:
                yield change("node-role", now, roles[0].value, roles[1].value)

    def _adapters(self) -> Iterator[Change]:
        for was, now in self.was.adapters.items():
            owners = self.was.side.owners[was], self.now.side.owners[now]
            if self.was.hosts.get(owners[0]) != owners[1]:
                yield change("adapter-moved", now, owners[0], owners[1])
            elif was != now:
                yield change("adapter-swapped", owners[1], was, now)

    def _moved(self, lost: Set[Link], found: Set[Link]) -> dict[str, list[tuple[Link, Link]]]:
        """By host as it is called now: each cable that is in another switch port, before and after."""
        at = {link[0]: link for link in found if link[0][0] == "adapter" and not self._adapter_moved(link)}
        moved: dict[str, list[tuple[Link, Link]]] = defaultdict(list)
        for link in lost:
            if link[0] in at:
                moved[self.now.owner(link[0])].append((link, at[link[0]]))
        return moved

    def _cables(self, lost: Set[Link], found: Set[Link]) -> Iterator[Change]:
        """Cables that came, went or moved by themselves."""
        lost = {link for link in lost if not (self._adapter_moved(link) or any(map(self.was.lone, link)))}
        found = {link for link in found if not (self._adapter_moved(link) or any(map(self.now.lone, link)))}
        pairs = replugged(lost, found)
        for old, new in pairs:
            yield change("cable-moved", self.now.shown(new), self.was.shown(old), self.now.shown(new))
        yield from _left_over(self.was, lost.difference(old for old, _ in pairs))
        yield from _left_over(self.now, found.difference(new for _, new in pairs))

    def _adapter_moved(self, link: Link) -> bool:
        """Whether a cable is one of an adapter that is in another host now."""
        (kind, (was, now), _) = link[0]
        if kind == "switch" or not (was and now):
            return False
        return self.was.hosts.get(self.was.side.owners[was]) != self.now.side.owners[now]

    def _rates(self) -> Iterator[Change]:
        for link, after in self.now.links.items():
            before = self.was.links.get(link, 0.0)
            if before and after and before != after:
                yield change("link-rate", self.now.shown(link), f"{before:g} Gbit/s", f"{after:g} Gbit/s")

    def _domains(self) -> Iterator[Change]:
        was, now = self.was.side, self.now.side
        for half in (self.was, self.now):
            for key, nodes in half.side.site.domains.items():
                if key not in half.domains:
                    yield change(f"domain-{half.what}", key, *_one_side(half, key), nodes)
                elif not half.index and half.domains[key] != key:
                    yield change("domain-renamed", half.domains[key], key, half.domains[key])
        lone = was.endpoints.keys() - self.was.hosts.keys() | now.endpoints.keys() - self.now.hosts.keys()
        before = {self.was.hosts.get(node, node): node for node in was.domains if node not in lone}
        for node in before.keys() | now.domains.keys() - lone:
            old, new = was.domains.get(before.get(node, "")), now.domains.get(node)
            alike = old is not None and self.was.domains.get(old) == new
            along = (new is None and old not in self.was.domains) or (old is None and new not in self.now.domains)
            if not (alike or along):
                yield change("node-domain", node, old or NO_DOMAIN, new or NO_DOMAIN)


def _one_side(half: _Half, text: str) -> tuple[str, str]:
    """A value that is only before or only after."""
    return ("", text) if half.index else (text, "")


def _lone_switches(half: _Half, links: Set[Link]) -> Iterator[Change]:
    """Fabrics, chassis and switches that are on one side only, each with the cables that are there only."""
    side = half.side
    groups: dict[str, tuple[str, str]] = {}
    for name, switch in side.switches.items():
        if name in half.switches:
            continue
        whole = half.chips.get(switch.chassis, [name])
        if side.fabrics[name] in half.fabrics:
            groups[name] = "fabric", side.fabrics[name]
        elif len(whole) > 1 and not any(chip in half.switches for chip in whole):
            groups[name] = "chassis", switch.chassis
        else:
            groups[name] = "switch", name
    hosts: dict[tuple[str, str], set[str]] = {group: set() for group in groups.values()}
    cables = dict.fromkeys(hosts, 0)
    for link in links:
        names = {both[half.index] for kind, both, _ in link if kind == "switch"}
        for group in {groups[name] for name in names if name in groups}:
            if link[0][0] == "adapter":
                hosts[group].add(half.owner(link[0]))
            else:
                cables[group] += 1
    for (kind, name), members in hosts.items():
        yield change(f"{kind}-{half.what}", name, *_one_side(half, name), members, cables[kind, name])


def _lone_hosts(half: _Half) -> Iterator[Change]:
    """Hosts that are on one side only, but for those all of whose switches are."""
    for name, points in half.side.endpoints.items():
        if name not in half.hosts and any(point.switch in half.switches for point in points):
            yield change(f"node-{half.what}", name, *_one_side(half, half.places(name)))


def _left_over(half: _Half, links: Set[Link]) -> Iterator[Change]:
    """Cables that came or went by themselves: those of a host together, those between switches one by one."""
    of_hosts: dict[str, list[Link]] = defaultdict(list)
    for link in links:
        if link[0][0] == "adapter":
            of_hosts[half.owner(link[0])].append(link)
        else:
            yield change(f"cable-{half.what}", half.shown(link), *_one_side(half, half.shown(link)))
    for host, its in of_hosts.items():
        code = ("node-unplugged", "node-plugged")[half.index]
        yield change(code, host, *_one_side(half, half.where(its)))

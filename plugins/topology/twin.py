"""Fabrics that nobody has built: fat trees of any size, and what a provider would have found of them. No I/O.

Whatever is read from the outside has its twin: text that a tool would print (``twin_texts``, ``twin_lldp``). Reading it
gives back the Dump that it was made of, and that is how the readers are tested.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from hpcjobs_plugins.topology.fabric import (
    Adapter,
    Cable,
    Chip,
    Dump,
    Endpoint,
    Fabric,
    Host,
    Network,
    Role,
    Site,
    Switch,
    Trunk,
)
from hpcjobs_plugins.topology.providers.text import made_up
from hpcjobs_plugins.topology.rates import words

TIERS: Final = ("leaf", "spine", "core", "top")
"""What the switches of a tier are called, from below."""


class Shape(msgspec.Struct, frozen=True):
    """A fat tree, from below.

    Hosts are cut into units of ``hosts_per_leaf``. Plain, a unit is one leaf and has all the rails of its hosts;
    rail-optimised, a unit has a leaf a rail. Units are dealt to pods in order; each pod has its own spines, each leaf
    of a pod is cabled to each of them. Cores join the pods of a zone: spines and cores of one plane are cabled (plane
    = number modulo the smaller count of both). Tops join the cores of all zones in the same way.

    Attributes:
        hosts: How many, named ``n0001`` and so on.
        hosts_per_leaf: Of a unit; the last unit may have fewer.
        spines: Of a pod; 0: there is one leaf (rail-optimised: each leaf is a fabric of its own).
        cores: Of a zone; 0: there is one pod.
        tops: Of all; 0: there is one zone.
        pods: Of a zone.
        zones: How many.
        rails: Adapters of a host.
        adapter_ports: Ports of an adapter, each with a cable; each counts as a rail of the fabric.
        rail_optimised: Whether rail r hangs on leaf r of the unit.
        trunks: Cables between a leaf and a spine, a spine and a core, a core and a top.
        gbps: Of a host's link.
        trunk_gbps: Of a cable between switches; 0.0: as of a host's link.
        director: Name of a chassis that all leaves and spines are chips of (one pod only), or ``""``.
        network: InfiniBand, or Ethernet: nobody tells how many ports switches have, adapters' GUIDs are made of names.
        domain_hosts: Of an NVLink domain, in the order of hosts; 0: there are none.
        prefix: Of the names of hosts.
        seed: GUIDs are made of it; they are in no order.
    """

    hosts: int
    hosts_per_leaf: int = 16
    spines: int = 0
    cores: int = 0
    tops: int = 0
    pods: int = 1
    zones: int = 1
    rails: int = 1
    adapter_ports: int = 1
    rail_optimised: bool = False
    trunks: int = 1
    gbps: float = 200.0
    trunk_gbps: float = 0.0
    director: str = ""
    network: Network = Network.INFINIBAND
    domain_hosts: int = 0
    prefix: str = "n"
    seed: int = 1


class _Builder:
    """Counts ports while cables are put in."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.used: dict[str, int] = defaultdict(int)
        self.tier: dict[str, int] = {}
        self.hosts: dict[str, list[Endpoint]] = {}
        self.trunks: list[Trunk] = []

    def port(self, switch: str) -> int:
        """The next free port of a switch."""
        self.used[switch] += 1
        return self.used[switch]

    def join(self, lower: str, upper: str) -> None:
        """The cables between two switches."""
        for _ in range(self.shape.trunks):
            rate = self.shape.trunk_gbps or self.shape.gbps
            self.trunks.append(Trunk(lower, self.port(lower), upper, self.port(upper), rate))

    def guid(self, what: str) -> str:
        """Of a switch or an adapter; a MAC address is one that nobody has been given by its maker."""
        digest = blake2b(f"{self.shape.seed}:{what}".encode(), digest_size=8).hexdigest()
        return digest if self.shape.network is Network.INFINIBAND else f"02{digest[:10]}"


def fat_tree(shape: Shape) -> Site:
    """The Site of a shape, as ``assemble`` would make it.

    Raises:
        ValueError: Parts of the shape would not be connected with each other.
    """
    _checked(shape)
    build = _Builder(shape)
    units = -(-shape.hosts // shape.hosts_per_leaf)
    pods = shape.pods * shape.zones
    per_pod = -(-units // pods)
    per_unit = shape.rails * shape.adapter_ports if shape.rail_optimised else 1
    leaves = _named(build, 1, units * per_unit)
    spines = _named(build, 2, shape.spines * pods)
    cores = _named(build, 3, shape.cores * shape.zones)
    tops = _named(build, 4, shape.tops)
    for number in range(shape.hosts):
        unit = number // shape.hosts_per_leaf
        _hang(build, number, leaves[unit * per_unit : (unit + 1) * per_unit])
    for index, leaf in enumerate(leaves):
        pod = index // per_unit // per_pod
        for spine in spines[pod * shape.spines : (pod + 1) * shape.spines]:
            build.join(leaf, spine)
    _planes(build, spines, shape.spines, cores, shape.cores, shape.pods)
    _planes(build, cores, shape.cores, tops, shape.tops, shape.zones)
    return Site(fabrics=_fabrics(build), domains=_domains(build))


def _domains(build: _Builder) -> dict[str, tuple[str, ...]]:
    size, names = build.shape.domain_hosts, tuple(build.hosts)
    found = {}
    for number, first in enumerate(range(0, len(names) if size else 0, max(size, 1))):
        uuid = UUID(bytes=blake2b(f"{build.shape.seed}:domain {number}".encode(), digest_size=16).digest())
        found[f"{uuid}.{number + 1}"] = names[first : first + size]
    return dict(sorted(found.items()))


def _checked(shape: Shape) -> None:
    if min(shape.hosts, shape.hosts_per_leaf, shape.pods, shape.zones, shape.rails, shape.adapter_ports) < 1:
        raise ValueError("a fat tree has at least one of each")
    if shape.pods > 1 and not shape.cores:
        raise ValueError("several pods need cores")
    if shape.zones > 1 and not (shape.tops and shape.cores):
        raise ValueError("several zones need tops")
    if not shape.spines and (shape.cores or shape.hosts > shape.hosts_per_leaf):
        raise ValueError("several leaves need spines")
    if shape.director and (shape.cores or not shape.spines):
        raise ValueError("a director is leaves and spines")
    units = -(-shape.hosts // shape.hosts_per_leaf)
    pods = shape.pods * shape.zones
    if (pods - 1) * -(-units // pods) >= units:
        raise ValueError("a pod would be without hosts")


def _named(build: _Builder, tier: int, count: int) -> list[str]:
    width = max(2, len(str(count)))
    kind = TIERS[tier - 1]
    director = build.shape.director
    letter = kind[0].upper()
    names = [
        f"{director}-{letter}{number:0{width}d}-U1" if director else f"{kind}{number:0{width}d}"
        for number in range(1, count + 1)
    ]
    build.tier.update(dict.fromkeys(names, tier))
    return names


def _hang(build: _Builder, number: int, leaves: list[str]) -> None:
    shape = build.shape
    name = f"{shape.prefix}{number + 1:0{max(4, len(str(shape.hosts)))}d}"
    build.hosts[name] = []
    for rail in range(shape.rails * shape.adapter_ports):
        adapter, port = divmod(rail, shape.adapter_ports)
        leaf = leaves[rail % len(leaves)]
        guid = build.guid(f"{name}/{adapter}")
        if shape.network is Network.ETHERNET:
            guid = made_up(12, "host", name, f"rdma{adapter + 1}")
        build.hosts[name].append(Endpoint(guid, port + 1, rail, leaf, build.port(leaf), shape.gbps))


def _planes(build: _Builder, lower: list[str], low: int, upper: list[str], high: int, groups: int) -> None:
    """Join groups of ``low`` switches to ``high`` switches above: ``groups`` of them to the same ones."""
    planes = min(low, high)
    for index, switch in enumerate(lower if planes else []):
        first = index // (low * groups) * high
        for number in range(high):
            if number % planes == index % low % planes:
                build.join(switch, upper[first + number])


def _fabrics(build: _Builder) -> tuple[Fabric, ...]:
    shape = build.shape
    ethernet = shape.network is Network.ETHERNET
    alone = sorted(build.tier) if not build.trunks else [""]
    found = []
    for index, only in enumerate(alone):
        names = [only] if only else sorted(build.tier)
        hosts = {
            name: Host(name, Role.COMPUTE, tuple(points))
            for name, every in build.hosts.items()
            if (points := [each for each in every if not only or each.switch == only])
        }
        if only:
            hosts = {name: Host(name, Role.COMPUTE, _renumbered(host.endpoints)) for name, host in hosts.items()}
        found.append(
            Fabric(
                name=f"{'eth' if ethernet else 'ib'}{index}",
                network=shape.network,
                switches={name: _switch(build, name) for name in names},
                hosts=hosts,
                trunks=tuple(sorted(build.trunks, key=lambda one: (one.a, one.a_port, one.b, one.b_port))),
            )
        )
    return tuple(found)


def _renumbered(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    return tuple(msgspec.structs.replace(each, rail=rail) for rail, each in enumerate(endpoints))


def _switch(build: _Builder, name: str) -> Switch:
    shape = build.shape
    if shape.network is Network.ETHERNET:
        description = name
    elif shape.director:
        _, slot, chip = name.rsplit("-", 2)
        description = f"MF0;{shape.director}:CS8500/{slot}/{chip}"
    else:
        description = f"MF0;{name}:MQM9700/U1"
    ports = 0 if shape.network is Network.ETHERNET else max(2, build.used[name])
    return Switch(name, build.guid(name), description, build.tier[name], chassis=shape.director, ports=ports)


def dump_of(site: Site) -> Dump:
    """What a provider that reaches every fabric of a site would have found: all of them in one Dump.

    Adapters are described as ``<host> HCA-<n>``, n from 1 in the order of rails, those of Ethernet as
    ``<host> rdma<n>``. Chips of a director share a system GUID. What a Site does not say (who made a switch, LIDs) a
    Dump does not either.

    Args:
        site: Of one kind of network.
    """
    ethernet = any(fabric.network is Network.ETHERNET for fabric in site.fabrics)
    chips: dict[str, Chip] = {}
    adapters: dict[str, Adapter] = {}
    neighbours: dict[str, str] = {}
    cables: list[Cable] = []
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    for fabric in site.fabrics:
        guids = {switch.name: switch.guid for switch in fabric.switches.values()}
        for switch in fabric.switches.values():
            system = blake2b(switch.chassis.encode(), digest_size=8).hexdigest() if switch.chassis else switch.guid
            chips[switch.guid] = Chip(switch.guid, switch.description, switch.ports, "" if ethernet else system)
        for host in fabric.hosts.values():
            for point in host.endpoints:
                number = numbers[host.name].setdefault(point.adapter, len(numbers[host.name]) + 1)
                before = adapters.get(point.adapter)
                adapters[point.adapter] = Adapter(
                    point.adapter,
                    f"{host.name} {'rdma' if ethernet else 'HCA-'}{number}",
                    max(point.port, before.ports if before else 1),
                    "" if ethernet else point.adapter,
                )
                if ethernet:
                    neighbours[point.adapter] = host.name
                far = (guids[point.switch], point.switch_port)
                cables.append(_cable((point.adapter, point.port), far, point.gbps, ethernet=ethernet))
        for trunk in fabric.trunks:
            near, far = (guids[trunk.a], trunk.a_port), (guids[trunk.b], trunk.b_port)
            cables.append(_cable(near, far, trunk.gbps, ethernet=ethernet))
    cables.sort(key=lambda one: (one.a, one.a_port, one.b, one.b_port))
    network = Network.ETHERNET if ethernet else Network.INFINIBAND
    return Dump("twin", network, chips, adapters, tuple(cables), neighbours=neighbours)


def _cable(near: tuple[str, int], far: tuple[str, int], rate_gbps: float, *, ethernet: bool) -> Cable:
    first, second = sorted((near, far))
    return Cable(*first, *second, *words(rate_gbps, ethernet=ethernet))

"""A site that can be edited as people edit a fabric: cables pulled and plugged, things renamed, replaced, removed."""

from __future__ import annotations

from collections import Counter
from itertools import count

import msgspec

from hpcjobs_plugins.topology.fabric import Endpoint, Fabric, Host, Role, Site, Switch, Trunk
from hpcjobs_plugins.topology.tiers import links_of
from hpcjobs_plugins.topology.tiers import tiers as tier_of_each


class Bench:
    """The first fabric of a site, in pieces.

    Ports and GUIDs that it makes up are of nobody else.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        fabric = site.fabrics[0]
        self.name = fabric.name
        self.switches: dict[str, Switch] = dict(fabric.switches)
        self.hosts: dict[str, list[Endpoint]] = {name: list(host.endpoints) for name, host in fabric.hosts.items()}
        self.roles: dict[str, Role] = {name: host.role for name, host in fabric.hosts.items()}
        self.trunks: list[Trunk] = list(fabric.trunks)
        self._numbers = count(1001)

    def port(self) -> int:
        return next(self._numbers)

    def guid(self) -> str:
        return f"{next(self._numbers):016x}"

    def site(self, *, tiers: bool = False) -> Site:
        """What a discovery would find now.

        Args:
            tiers: Whether tiers are told anew, as a discovery would.
        """
        fabric = Fabric(
            name=self.name,
            network=self._site.fabrics[0].network,
            switches=dict(sorted(self.switches.items())),
            hosts={
                name: Host(
                    name,
                    self.roles[name],
                    tuple(msgspec.structs.replace(point, rail=rail) for rail, point in enumerate(points)),
                )
                for name, points in self.hosts.items()
                if points
            },
            trunks=tuple(sorted(self.trunks, key=lambda one: (one.a, one.a_port, one.b, one.b_port))),
        )
        if tiers:
            links = links_of(self.switches, [(one.a, one.b) for one in self.trunks])
            compute = Counter(point.switch for host in fabric.compute for point in host.endpoints)
            every = Counter(point.switch for host in fabric.hosts.values() for point in host.endpoints)
            level = tier_of_each(links, compute or every, every)
            switches = {name: msgspec.structs.replace(one, tier=level[name]) for name, one in fabric.switches.items()}
            fabric = msgspec.structs.replace(fabric, switches=switches)
        return msgspec.structs.replace(self._site, fabrics=(fabric, *self._site.fabrics[1:]))

    def between(self, one: str, other: str) -> list[Trunk]:
        return [trunk for trunk in self.trunks if {trunk.a, trunk.b} == {one, other}]

    def unplug(self, trunk: Trunk) -> None:
        self.trunks.remove(trunk)

    def plug(self, a: str, b: str, gbps: float = 200.0) -> Trunk:
        trunk = Trunk(a, self.port(), b, self.port(), gbps)
        self.trunks.append(trunk)
        return trunk

    def replug(self, trunk: Trunk, end: str, switch: str, port: int = 0) -> Trunk:
        """The cable's end at one switch goes to another one."""
        self.trunks.remove(trunk)
        port = port or self.port()
        moved = (
            Trunk(switch, port, trunk.b, trunk.b_port, trunk.gbps)
            if trunk.a == end
            else Trunk(trunk.a, trunk.a_port, switch, port, trunk.gbps)
        )
        self.trunks.append(moved)
        return moved

    def rate(self, trunk: Trunk, gbps: float) -> None:
        self.trunks[self.trunks.index(trunk)] = msgspec.structs.replace(trunk, gbps=gbps)

    def unplug_host(self, host: str, rail: int) -> Endpoint:
        return self.hosts[host].pop(rail)

    def move_host(self, host: str, rail: int, switch: str, port: int = 0) -> Endpoint:
        point = msgspec.structs.replace(self.hosts[host][rail], switch=switch, switch_port=port or self.port())
        self.hosts[host][rail] = point
        return point

    def rate_host(self, host: str, rail: int, gbps: float) -> None:
        self.hosts[host][rail] = msgspec.structs.replace(self.hosts[host][rail], gbps=gbps)

    def swap_adapter(self, host: str, rail: int) -> str:
        guid = self.guid()
        old = self.hosts[host][rail].adapter
        self.hosts[host] = [
            msgspec.structs.replace(point, adapter=guid) if point.adapter == old else point
            for point in self.hosts[host]
        ]
        return guid

    def remove_host(self, host: str) -> None:
        del self.hosts[host]

    def rename_host(self, host: str, name: str) -> None:
        self.hosts[name], self.roles[name] = self.hosts.pop(host), self.roles.pop(host)

    def remove_switch(self, name: str) -> None:
        del self.switches[name]
        self.trunks = [trunk for trunk in self.trunks if name not in (trunk.a, trunk.b)]
        for host, points in self.hosts.items():
            self.hosts[host] = [point for point in points if point.switch != name]

    def replace_switch(self, name: str) -> str:
        guid = self.guid()
        self.switches[name] = msgspec.structs.replace(self.switches[name], guid=guid)
        return guid

    def rename_switch(self, old: str, new: str) -> None:
        self.switches[new] = msgspec.structs.replace(self.switches.pop(old), name=new)
        for index, trunk in enumerate(self.trunks):
            if old in (trunk.a, trunk.b):
                self.trunks[index] = msgspec.structs.replace(
                    trunk, a=new if trunk.a == old else trunk.a, b=new if trunk.b == old else trunk.b
                )
        for host, points in self.hosts.items():
            self.hosts[host] = [
                msgspec.structs.replace(point, switch=new) if point.switch == old else point for point in points
            ]

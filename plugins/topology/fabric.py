"""What a fabric is here: frozen data that providers make and everything else reads. No I/O.

Two steps. A provider reads what a tool says and makes a ``Dump``: switches, adapters and cables under their GUIDs, as
they were found. ``assemble`` names the hosts, tells networks and tiers apart and makes a ``Site`` of dumps. Only a Site
is translated, compared, checked, drawn and placed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from hpcjobs.slurmconf.lines import Unreadable


class Notice(msgspec.Struct, frozen=True, gc=False):
    """Something odd that was found, and is not an error.

    Attributes:
        code: A stable word for it, as ``adapter-without-name``.
        text: What was found and what was made of it, a sentence.
        line: Line of the source, from 1; 0: none in particular.
        subject: GUID or name of what it is about, or ``""``.
        more: How many notices of this code it stands for that are not told one by one; 0: it is one itself.
    """

    code: str
    text: str
    line: int = 0
    subject: str = ""
    more: int = 0

    @property
    def count(self) -> int:
        """How many it counts for."""
        return self.more or 1


class FabricError(Unreadable):
    """A source cannot be read as a fabric. Nothing that was known of the fabric before is touched."""


class Network(StrEnum):
    """What a fabric carries."""

    INFINIBAND = "infiniband"
    ETHERNET = "ethernet"


class Role(StrEnum):
    """What a host is to Slurm."""

    COMPUTE = "compute"  # a node of slurm.conf, or taken for one where nobody says which there are
    STORAGE = "storage"
    OTHER = "other"  # routers, gateways, managers


class Adapter(msgspec.Struct, frozen=True, gc=False):
    """A host channel adapter or network card as it was found.

    Attributes:
        guid: 16 hexadecimal digits in small letters without ``0x``; for Ethernet the MAC address, 12 digits. Sources
            that do not tell it (LLDP on a host, tables) have digits that are made of the names of host and interface.
        description: Node description, as the subnet manager has it; for LLDP the host's SysName and the interface.
        ports: How many it has.
        system_guid: SystemImageGUID: one for all adapters of a card, or ``""``.
        line: Where in the source.
        router: Whether it is a router's, which leads to another fabric.
    """

    guid: str
    description: str
    ports: int = 1
    system_guid: str = ""
    line: int = 0
    router: bool = False


class Chip(msgspec.Struct, frozen=True, gc=False):
    """A switch as it was found; a director has several that share their system_guid.

    Attributes:
        guid: As of an adapter.
        description: Node description, as ``MF0;leaf01:MQM8700/U1``.
        ports: How many it has; 0: not said.
        system_guid: SystemImageGUID: one for all chips of a chassis, or ``""``.
        chassis: Words of the source for the chassis and the slot in it, as ``Chassis 1 Spine 3 Chip 1``, or ``""``.
        line: Where in the source.
    """

    guid: str
    description: str
    ports: int = 0
    system_guid: str = ""
    chassis: str = ""
    line: int = 0


class Cable(msgspec.Struct, frozen=True, gc=False):
    """A link, said once: the end with the smaller ``(guid, port)`` first.

    Attributes:
        a: GUID of one end.
        a_port: Its port, from 1.
        b: GUID of the other end.
        b_port: Its port.
        lanes: Width, as 4 of ``4xHDR``; 0: not said.
        speed: Signalling rate of a lane, as ``HDR``; for Ethernet as ``100G`` for all lanes; ``""``: not said.
    """

    a: str
    a_port: int
    b: str
    b_port: int
    lanes: int = 0
    speed: str = ""


class Dump(msgspec.Struct, frozen=True):
    """What one source said, before anybody asks what it means.

    Attributes:
        source: File or command, as it is shown in messages.
        network: What the fabric carries.
        chips: Switches by GUID.
        adapters: Adapters by GUID; SHARP aggregation nodes are not among them.
        cables: Each once.
        notices: What was odd.
        neighbours: Host names that a source names itself, by adapter GUID (LLDP, tables by hand).
        fabrics: Names of fabrics that a source names itself, by the GUID of a switch in them.
        roles: Roles that a source names itself, by the host's name.
    """

    source: str
    network: Network
    chips: Mapping[str, Chip]
    adapters: Mapping[str, Adapter]
    cables: tuple[Cable, ...]
    notices: tuple[Notice, ...] = ()
    neighbours: Mapping[str, str] = {}
    fabrics: Mapping[str, str] = {}
    roles: Mapping[str, Role] = {}


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """A port of a host with a cable in it.

    Attributes:
        adapter: GUID.
        port: Of the adapter, from 1.
        rail: Which of the host's endpoints in this fabric, from 0, in the order of adapter and port.
        switch: Name of the switch at the other end.
        switch_port: Its port.
        gbps: Rate of the link in Gbit/s in one direction; 0.0: not said.
    """

    adapter: str
    port: int
    rail: int
    switch: str
    switch_port: int
    gbps: float = 0.0


class Host(msgspec.Struct, frozen=True, gc=False):
    """A machine on a fabric.

    Attributes:
        name: Slurm's NodeName for a compute host.
        role: What it is to Slurm.
        endpoints: By rail.
    """

    name: str
    role: Role
    endpoints: tuple[Endpoint, ...]

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the switches that it hangs on, each once, sorted."""
        return tuple(sorted({endpoint.switch for endpoint in self.endpoints}))


class Switch(msgspec.Struct, frozen=True, gc=False):
    """A switch with its place in the fabric.

    Attributes:
        name: Unique in the site and stable between runs; letters, digits, ``-``, ``_`` and ``.``; at most 64 of them.
        guid: As found.
        description: As found.
        tier: 1 for a leaf (hosts of the fabric's kind hang on it); above it one more than that of the switches that
            most of its cables downward go to (``tiers``); 0: not connected to any leaf.
        chassis: Name that all chips of a director share, or ``""``.
        ports: How many it has; 0: not said.
    """

    name: str
    guid: str
    description: str
    tier: int
    chassis: str = ""
    ports: int = 0


class Trunk(msgspec.Struct, frozen=True, gc=False):
    """A cable between two switches; ``a`` is the lower tier's, or the smaller name's in one tier.

    Attributes:
        a: Name of a switch.
        a_port: Its port.
        b: Name of the other.
        b_port: Its port.
        gbps: Rate in Gbit/s in one direction; 0.0: not said.
    """

    a: str
    a_port: int
    b: str
    b_port: int
    gbps: float = 0.0


class Fabric(msgspec.Struct, frozen=True):
    """One network of switches that are connected with each other.

    Attributes:
        name: Unique in the site and stable between runs.
        network: What it carries.
        switches: By name, sorted.
        hosts: By name, sorted as people count (``c2`` before ``c10``).
        trunks: Each cable between switches, sorted.
    """

    name: str
    network: Network
    switches: Mapping[str, Switch]
    hosts: Mapping[str, Host]
    trunks: tuple[Trunk, ...]

    @property
    def compute(self) -> list[Host]:
        """The hosts that are nodes of Slurm."""
        return [host for host in self.hosts.values() if host.role is Role.COMPUTE]


class Site(msgspec.Struct, frozen=True):
    """Everything that was found.

    Attributes:
        fabrics: The one with the most compute hosts first; those of about the same size by names (``numbering``).
        domains: NVLink domains: names of the nodes of each, by ``<ClusterUUID>.<CliqueId>``.
        notices: What was odd, of all sources and of putting them together.
        found_at: Unix seconds of the discovery; 0.0: not said.
    """

    fabrics: tuple[Fabric, ...]
    domains: Mapping[str, tuple[str, ...]] = {}
    notices: tuple[Notice, ...] = ()
    found_at: float = 0.0

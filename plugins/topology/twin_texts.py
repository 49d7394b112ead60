"""What InfiniBand's tools would print of a Dump, and what ibsim reads to simulate a Site. No I/O.

The forms are those of infiniband-diags 62 (rdma-core: ``ibnetdiscover.c``, ``iblinkinfo.c``) and of ibsim
(``sim_net.c``), written by what their sources print.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hpcjobs_plugins.topology.fabric import Adapter, Cable, Chip, Dump, Fabric, Host, Site
from hpcjobs_plugins.topology.rates import words

_DATE: Final = "Fri Nov 27 05:00:00 2026"
_SIGNALLING: Final[Mapping[str, str]] = {
    "SDR": "2.5 Gbps",
    "DDR": "5.0 Gbps",
    "QDR": "10.0 Gbps",
    "FDR10": "10.0 Gbps (FDR10)",
    "FDR": "14.0625 Gbps",
    "EDR": "25.78125 Gbps",
    "HDR": "53.125 Gbps",
    "NDR": "106.25 Gbps",
    "XDR": "212.5 Gbps",
}
"""How iblinkinfo writes the speed of a lane."""

_Link = tuple[int, str, int, Cable]
"""Port, GUID of the other end, its port, and the cable."""


class _Book:
    """A Dump by what is cabled to what, with LIDs that are made up: switches first, then each port of an adapter."""

    def __init__(self, dump: Dump) -> None:
        self.chips = dump.chips
        self.adapters = dump.adapters
        self.links: dict[str, list[_Link]] = defaultdict(list)
        for cable in dump.cables:
            self.links[cable.a].append((cable.a_port, cable.b, cable.b_port, cable))
            self.links[cable.b].append((cable.b_port, cable.a, cable.a_port, cable))
        for links in self.links.values():
            links.sort(key=lambda link: link[:3])
        self.lids: dict[tuple[str, int], int] = {}
        for guid in dump.chips:
            self.lids[guid, 0] = len(self.lids) + 1
        for adapter in dump.adapters.values():
            for port in range(1, adapter.ports + 1):
                self.lids[adapter.guid, port] = len(self.lids) + 1

    def lid(self, guid: str, port: int) -> int:
        return self.lids.get((guid, 0)) or self.lids[guid, port]

    def described(self, guid: str) -> str:
        return self.chips[guid].description if guid in self.chips else self.adapters[guid].description

    def port_guid(self, guid: str, port: int) -> int:
        """Adapters of one port share its GUID, others count on from theirs; all ports of a switch have the switch's."""
        return int(guid, 16) + (port if guid in self.adapters and self.adapters[guid].ports > 1 else 0)


def as_ibnetdiscover(dump: Dump, *, grouped: bool = False) -> str:
    """What ``ibnetdiscover`` prints.

    Args:
        dump: Of InfiniBand.
        grouped: As with ``-g``: chips whose chassis is known under it first, and, as the tool does, twice.
    """
    book = _Book(dump)
    start = next(iter(dump.adapters or dump.chips), "0" * 16)
    lines = ["#", f"# Topology file: generated on {_DATE}", "#", f"# Initiated from node {start} port {start}"]
    chassis: dict[str, list[Chip]] = defaultdict(list)
    for chip in dump.chips.values() if grouped else ():
        if chip.chassis:
            chassis[chip.chassis.split()[1]].append(chip)
    for number, chips in chassis.items():
        lines += ["", f"Chassis {number} (guid 0x{int(chips[0].system_guid or '0', 16):x})"]
        for title, kind in (("# Spine Nodes", " Spine "), ("# Line Nodes", " Line "), ("# Chassis Switches", "")):
            lines += ["", title]
            for chip in chips:
                if kind in chip.chassis:
                    lines += _switch_block(book, chip)[0 if lines[-1] != title else 1 :]
        lines += ["", "# Chassis CAs"]
    if grouped:
        lines += ["", "Non-Chassis Nodes"]
    for chip in dump.chips.values():
        if not (grouped and chip.chassis):
            lines += _switch_block(book, msgspec.structs.replace(chip, chassis=""))
    for adapter in dump.adapters.values():
        lines += _adapter_block(book, adapter)
    return "\n".join(lines) + "\n"


def _ids(system: str, words: str = "") -> list[str]:
    named = [f"sysimgguid=0x{int(system, 16):x}{words}"] if system else []
    return ["", "vendid=0x2c9", "devid=0xd2f2", *named]


def _speed(cable: Cable) -> str:
    return f"{cable.lanes or '?'}{'x' if cable.lanes else '?'}{cable.speed or '???'}"


def _switch_block(book: _Book, chip: Chip) -> list[str]:
    guid = int(chip.guid, 16)
    head, number, *slot = chip.chassis.split() or ("", "")
    lines = _ids(chip.system_guid, f"\t\t# {head} {number}" if head else "")
    lines.append(f"switchguid=0x{guid:x}({guid:x})" + (f"\t# {' '.join(slot)}" if head else ""))
    lid = book.lid(chip.guid, 0)
    lines.append(f'Switch\t{chip.ports} "S-{chip.guid}"\t\t# "{chip.description}" enhanced port 0 lid {lid} lmc 0')
    for port, other, far, cable in book.links[chip.guid]:
        end = f'"S-{other}"[{far}]' if other in book.chips else f'"H-{other}"[{far}]({book.port_guid(other, far):x}) '
        told = f'# "{book.described(other)}" lid {book.lid(other, far)} {_speed(cable)}'
        lines.append(f"[{port}]\t{end}\t\t{told}")
    return lines


def _adapter_block(book: _Book, adapter: Adapter) -> list[str]:
    lines = [*_ids(adapter.system_guid), f"caguid=0x{int(adapter.guid, 16):x}"]
    lines.append(f'Ca\t{adapter.ports} "H-{adapter.guid}"\t\t# "{adapter.description}"')
    for port, other, far, cable in book.links[adapter.guid]:
        told = f'lid {book.lid(adapter.guid, port)} lmc 0 "{book.described(other)}" lid {book.lid(other, far)}'
        end = f'"S-{other}"[{far}]' if other in book.chips else f'"H-{other}"[{far}] ({book.port_guid(other, far):x}) '
        lines.append(f"[{port}]({book.port_guid(adapter.guid, port):x}) \t{end}\t\t# {told} {_speed(cable)}")
    return lines


def as_iblinkinfo(dump: Dump, *, line: bool = False) -> str:
    """What ``iblinkinfo`` prints; ports without a cable are down.

    Args:
        dump: Of InfiniBand.
        line: As with ``-l``: each link on one line, with GUIDs.
    """
    book = _Book(dump)
    lines: list[str] = []
    for adapter in dump.adapters.values():
        if not line:
            lines.append(f"CA: {adapter.description}:")
        lines += _ports(book, adapter.guid, adapter.ports, line=line)
    for chip in dump.chips.values():
        if not line:
            lines.append(f"Switch: 0x{chip.guid} {chip.description}:")
        lines += _ports(book, chip.guid, chip.ports, line=line)
    return "\n".join(lines) + "\n"


def _ports(book: _Book, guid: str, count: int, *, line: bool) -> Iterable[str]:
    links = {link[0]: link for link in book.links[guid]}
    for port in range(1, count + 1):
        own = f"0x{book.port_guid(guid, port):016x} "
        head = f'{own}"{book.described(guid):>30}" ' if line else "      " + (own if guid in book.adapters else "")
        head += f"{book.lid(guid, port):6d} {port:4d}[  ] =="
        if port not in links:
            yield f'{head}(                Down/ Polling)==>             [  ] "" ( )'
            continue
        _, other, far, cable = links[port]
        width = f"{cable.lanes or '?'}X"
        rate = f"({width:>3} {_SIGNALLING.get(cable.speed, '?'):>18} Active/  LinkUp)"
        remote = f"0x{book.port_guid(other, far):016x} " if line else ""
        yield f'{head}{rate}==>  {remote}{book.lid(other, far):6d} {far:4d}[  ] "{book.described(other)}" ( )'


def as_ibsim(site: Site) -> str:
    """A net file of ibsim that simulates a site: its switches with their GUIDs and descriptions, hosts' adapters.

    Rates are simulated up to HDR by ibsim 0.10, to NDR by later ones; FDR10 becomes QDR.

    Args:
        site: Of InfiniBand; ibsim joins nothing that no cable joins, so that one host sees one fabric.
    """
    lines: list[str] = []
    for fabric in site.fabrics:
        lines += _simulated(fabric)
    return "\n".join(lines) + "\n"


def _simulated(fabric: Fabric) -> Iterable[str]:
    ends: dict[str, list[tuple[int, str, float]]] = defaultdict(list)
    adapters = {host.name: _adapters(host) for host in fabric.hosts.values()}
    for host in fabric.hosts.values():
        for point in host.endpoints:
            name = f"{host.name} HCA-{adapters[host.name].index(point.adapter) + 1}"
            ends[point.switch].append((point.switch_port, f'"{name}"[{point.port}]', point.gbps))
            ends[name].append((point.port, f'"{point.switch}"[{point.switch_port}]', point.gbps))
    for trunk in fabric.trunks:
        ends[trunk.a].append((trunk.a_port, f'"{trunk.b}"[{trunk.b_port}]', trunk.gbps))
        ends[trunk.b].append((trunk.b_port, f'"{trunk.a}"[{trunk.a_port}]', trunk.gbps))
    for switch in fabric.switches.values():
        yield f"switchguid=0x{switch.guid}"
        yield f'Switch\t{switch.ports} "{switch.name}"\t\t# "{switch.description}" enhanced port 0 lid 0 lmc 0'
        yield from _cabled(ends[switch.name])
    for host in fabric.hosts.values():
        for number, guid in enumerate(adapters[host.name], 1):
            ports = ends[f"{host.name} HCA-{number}"]
            yield f"caguid=0x{guid}"
            yield f'Ca\t{max(port for port, _, _ in ports)} "{host.name} HCA-{number}"'
            yield from _cabled(ports)


def _adapters(host: Host) -> list[str]:
    return list(dict.fromkeys(point.adapter for point in host.endpoints))


def _cabled(ends: list[tuple[int, str, float]]) -> Iterable[str]:
    for port, end, rate in sorted(ends):
        lanes, speed = words(rate)
        yield f"[{port}]\t{end}\t\t# lid 0 {lanes}x{speed}" if lanes else f"[{port}]\t{end}"
    yield ""

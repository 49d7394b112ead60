"""What LLDP's daemons say of an Ethernet fabric (RoCE): ``lldpctl -f json`` or ``json0`` of many machines, as a Dump.

The document has the answer of each machine under its name::

    {"hosts": {"n1": {"lldp": ...}, ...}, "switches": {"leaf1": {"lldp": ...}, ...}}

Without ``hosts`` and ``switches`` all are hosts. An answer may stand there as JSON or as a string of it; a list of
``{"host": "n1", "lldp": ...}`` and ``{"switch": "leaf1", "lldp": ...}`` does as well. Hosts' answers give the cables of
hosts; cables between switches are known where switches are asked.

A neighbour is a switch if it is asked as one or if a host sees it; else if it says that it bridges and names its port
other than by a MAC address: hosts with containers bridge too. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs_plugins.topology.fabric import Adapter, Chip, Dump, FabricError, Network
from hpcjobs_plugins.topology.providers.ends import End, Ends, cables
from hpcjobs_plugins.topology.providers.text import Oddities, decoded, made_up

_RATE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,2})?)\s*(G|M)?(?:ig|b)", re.IGNORECASE)
_NUMBERS: Final = re.compile(r"[0-9]+")
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
_MANAGEMENT: Final = re.compile(r"(?:eth|mgmt|[Mm]anagement|ma|me|fxp|oob)[0-9/]*")
"""A port of a switch by which it is managed: in a network of its own, which would join all others."""

PORTS_OF_A_MODULE: Final = 1000
"""``Ethernet2/12`` is port 2012; the first module does not count: ``Ethernet1/12`` is 12, ``swp1s2`` 1002."""


class _Seen(NamedTuple):
    """A neighbour on an interface."""

    speaker: str
    interface: str
    name: str
    """SysName, or chassis id where there is none."""
    mac: str
    """Of the chassis, 12 digits, or ``""``."""
    port: str
    """Name of the neighbour's port, or its MAC address."""
    bridge: bool
    rate: str


def port_number(name: str) -> int:
    """A number for the name of a switch's port, the same from run to run.

    Args:
        name: As ``Ethernet1/12``, ``swp3s1`` or ``Eth48``; of a MAC address the last 15 bits are taken.
    """
    if _MAC.fullmatch(name):
        return int(name.replace(":", "").replace("-", ""), 16) % 0x8000 + 1
    numbers = [int(number[:9]) for number in _NUMBERS.findall(name)]
    if len(numbers) > 1 and numbers[0] <= 1 and "/" in name:
        numbers = numbers[1:]
    total = 0
    for number in numbers[-3:]:
        total = total * PORTS_OF_A_MODULE + number
    return total


def read(data: bytes, source: str) -> Dump:
    """The Dump of a document.

    Args:
        data: JSON.
        source: What it is called in messages.

    Raises:
        FabricError: It is no such document, or contradicts itself.
    """
    text = decoded(data, source)
    try:
        document = msgspec.json.decode(text, type=object)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FabricError(f"no JSON: {error}", source, _line(text, str(error))) from error
    odd = Oddities()
    hosts, switches = _speakers(document, source)
    seen = [one for speaker, answer in (hosts | switches).items() for one in _neighbours(speaker, answer, source, odd)]
    if not seen:
        raise FabricError("no neighbour is in it", source)
    kept = [one for one in seen if one.speaker not in switches or not _MANAGEMENT.fullmatch(one.interface)]
    if len(kept) < len(seen):
        text = (
            f"{len(seen) - len(kept)} ports by which switches are managed are left out, as they would join all fabrics"
        )
        odd.add("management-ports", text)
    return _Web(kept, set(hosts), set(switches), source, odd).dump()


def _line(text: str, error: str) -> int:
    byte = re.search(r"byte ([0-9]+)", error)
    return text.encode()[: int(byte[1])].count(b"\n") + 1 if byte else text.count("\n") + 1


def _speakers(document: object, source: str) -> tuple[dict[str, object], dict[str, object]]:
    hosts: dict[str, object] = {}
    switches: dict[str, object] = {}
    if isinstance(document, Mapping):
        parts = [(document.get("hosts"), hosts), (document.get("switches"), switches)]
        if not any(isinstance(part, Mapping) for part, _ in parts) and "lldp" not in document:
            parts = [(document, hosts)]
        for part, found in parts:
            found.update({str(name): answer for name, answer in part.items()} if isinstance(part, Mapping) else {})
    for item in document if isinstance(document, list) else ():
        for key, found in (("host", hosts), ("switch", switches)):
            name = item.get(key) if isinstance(item, Mapping) else None
            if isinstance(name, str) and name:
                if name in found:
                    raise FabricError(f"{key} {name} is in it twice", source)
                found[name] = item
    if both := hosts.keys() & switches.keys():
        raise FabricError(f"{min(both)} is a host and a switch", source)
    if not hosts and not switches:
        raise FabricError('it has no answers under the names of machines: {"hosts": {"n1": {"lldp": ...}}}', source)
    return hosts, switches


def _neighbours(speaker: str, answer: object, source: str, odd: Oddities) -> Iterable[_Seen]:
    if isinstance(answer, str):
        try:
            answer = msgspec.json.decode(answer, type=object)
        except (msgspec.DecodeError, RecursionError) as error:
            raise FabricError(f"the answer of {speaker} is no JSON: {error}", source) from error
    top = _first(answer)
    if "lldp" not in top:
        raise FabricError(f"the answer of {speaker} is none of lldpctl -f json", source)
    for item in _items(_first(top["lldp"]).get("interface")):
        named = item.get("name")
        pairs = [(named, item)] if isinstance(named, str) else list(item.items())
        for interface, told in pairs:
            for one in _items(told):
                seen = _seen(speaker, str(interface), one)
                if seen is None:
                    text = f"{speaker} {interface}: the neighbour says neither its name nor its port: left out"
                    odd.add("neighbour-unread", text, subject=speaker)
                else:
                    yield seen


def _seen(speaker: str, interface: str, told: Mapping[str, object]) -> _Seen | None:
    chassis = _first(told.get("chassis"))
    name = _text(chassis.get("name"))
    if "id" not in chassis and chassis:
        key = next(iter(chassis))
        chassis = _first(chassis[key])
        name = _text(chassis.get("name")) or key
    port = _first(told.get("port"))
    chassis_id, port_id = _first(chassis.get("id")), _first(port.get("id"))
    mac = _text(chassis_id) if _MAC.fullmatch(_text(chassis_id)) else ""
    number = _text(port_id)
    if _MAC.fullmatch(number) and (described := _text(port.get("descr"))) and not _MAC.fullmatch(described):
        number = described
    bridge = any(
        _text(one.get("type")) in ("Bridge", "Router") and one.get("enabled") is True
        for one in _items(chassis.get("capability"))
    )
    bridge = bridge and _text(port_id.get("type")) != "mac"
    name = name or _text(chassis_id)
    if not name or not number or not interface:
        return None
    mau = _text(_first(port.get("auto-negotiation")).get("current"))
    digits = mac.lower().replace(":", "").replace("-", "")
    return _Seen(speaker, interface, name, digits, number, bridge, _rate(mau))


def _rate(words: str) -> str:
    match = _RATE.match(words.strip())
    if match is None:
        return ""
    return f"{float(match[1]) if match[2] in ('G', 'g') else float(match[1]) / 1000:g}G"


def _items(value: object) -> list[Mapping[str, object]]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, Mapping)]


def _first(value: object) -> Mapping[str, object]:
    return next(iter(_items(value)), {})


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("value")
    if isinstance(value, list):
        return _text(value[0]) if value else ""
    return value.strip() if isinstance(value, str) else ""


class _Web:
    """Machines and cables of what they have seen."""

    def __init__(self, seen: list[_Seen], hosts: set[str], switches: set[str], source: str, odd: Oddities) -> None:
        self.seen = seen
        self.source = source
        self.odd = odd
        by_hosts = {one.name for one in seen if one.speaker in hosts}
        bridging = {one.name for one in seen if one.bridge}
        self.switches = (switches | by_hosts | bridging) - hosts
        macs: dict[str, set[str]] = {}
        for one in seen:
            if one.mac and one.name in self.switches:
                macs.setdefault(one.name, set()).add(one.mac)
        self.guids: dict[str, str] = {}
        for name in sorted(self.switches):
            known = macs.get(name, set())
            if len(known) > 1:
                raise FabricError(f"switches {' and '.join(sorted(known))} are both called {name}", source)
            self.guids[name] = min(known) if known else made_up(12, "switch", name)
        self.adapters: dict[str, Adapter] = {}
        self.neighbours: dict[str, str] = {}

    def end(self, machine: str, interface: str) -> tuple[str, int]:
        """GUID and port of a machine's interface."""
        if machine in self.guids:
            return self.guids[machine], port_number(interface)
        guid = made_up(12, "host", machine, interface)
        self.adapters[guid] = Adapter(guid, f"{machine} {interface}")
        self.neighbours[guid] = machine
        return guid, 1

    def dump(self) -> Dump:
        ends: Ends = {}
        names: dict[tuple[str, int], str] = {}
        for one in self.seen:
            near, far = self.end(one.speaker, one.interface), self.end(one.name, one.port)
            for machine, end, name in ((one.speaker, near, one.interface), (one.name, far, one.port)):
                if names.setdefault(end, name) != name:
                    text = f"ports {names[end]} and {name} of {machine} would have one number, {end[1]}"
                    raise FabricError(text, self.source)
            if near in ends:
                text = f"{one.speaker} {one.interface} sees another neighbour, {one.name} {one.port}: left out"
                self.odd.add("several-neighbours", text, subject=one.speaker)
                continue
            ends[near] = End(*far, one.rate, 0)
        # A neighbour that was not asked says nothing against what is said of it.
        speaking = {near[0] for near in ends}
        for here, there in list(ends.items()):
            if there.guid not in speaking or there.guid in self.adapters:
                ends.setdefault((there.guid, there.port), End(*here, there.rate, 0))
        chips = {guid: Chip(guid, name) for name, guid in self.guids.items()}
        found = cables(ends, chips, self.adapters, self.odd, self.source)
        notices = self.odd.notices()
        return Dump(self.source, Network.ETHERNET, chips, self.adapters, found, notices, self.neighbours)

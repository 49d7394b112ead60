"""What ``lldpctl -f json`` and ``json0`` would say on every machine of an Ethernet fabric. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from hpcjobs_plugins.topology.fabric import Dump


class _End(NamedTuple):
    machine: str
    interface: str
    mac: str
    switch: bool
    speed: str


def as_lldp(dump: Dump, *, json0: bool = False, switches: bool = True) -> str:
    """The answers of all machines in one document.

    Args:
        dump: Of Ethernet, as ``dump_of`` makes it.
        json0: Whether as of ``-f json0``, which is the same however many interfaces there are.
        switches: Whether switches are asked too; else only hosts.
    """
    answers: dict[bool, dict[str, list[tuple[str, _End]]]] = {True: defaultdict(list), False: defaultdict(list)}
    for cable in dump.cables:
        near, far = (
            _end(dump, guid, port, cable.speed) for guid, port in ((cable.a, cable.a_port), (cable.b, cable.b_port))
        )
        answers[near.switch][near.machine].append((near.interface, far))
        answers[far.switch][far.machine].append((far.interface, near))
    write = _json0 if json0 else _json
    document = {"hosts": {name: write(seen) for name, seen in answers[False].items()}}
    if switches:
        document["switches"] = {name: write(seen) for name, seen in answers[True].items()}
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _end(dump: Dump, guid: str, port: int, speed: str) -> _End:
    mac = ":".join(guid[at : at + 2] for at in range(0, 12, 2))
    if guid in dump.chips:
        return _End(dump.chips[guid].description, f"swp{port}", mac, switch=True, speed=speed)
    _, _, interface = dump.adapters[guid].description.partition(" ")
    return _End(dump.neighbours[guid], interface, mac, switch=False, speed=speed)


def _mau(speed: str) -> str:
    return f"{speed}baseCR4 - four lanes of copper" if speed else "unknown"


def _json(seen: list[tuple[str, _End]]) -> Mapping[str, object]:
    found: list[object] = []
    for interface, end in seen:
        capability = [
            {"type": "Bridge", "enabled": end.switch},
            {"type": "Router", "enabled": end.switch},
            {"type": "Station", "enabled": not end.switch},
        ]
        port = {"type": "ifname", "value": end.interface} if end.switch else {"type": "mac", "value": end.mac}
        told = {
            "via": "LLDP",
            "rid": "1",
            "age": "0 day, 00:10:00",
            "chassis": {end.machine: {"id": {"type": "mac", "value": end.mac}, "capability": capability}},
            "port": {
                "id": port,
                "descr": end.interface,
                "ttl": "120",
                "auto-negotiation": {"supported": True, "enabled": True, "current": _mau(end.speed)},
            },
        }
        found.append({interface: told})
    return {"lldp": {"interface": found[0] if len(found) == 1 else found}}


def _json0(seen: list[tuple[str, _End]]) -> Mapping[str, object]:
    found: list[object] = []
    for interface, end in seen:
        capability = [{"type": "Bridge", "enabled": end.switch}, {"type": "Station", "enabled": not end.switch}]
        port = {"type": "ifname", "value": end.interface} if end.switch else {"type": "mac", "value": end.mac}
        current = [{"value": _mau(end.speed)}]
        found.append(
            {
                "name": interface,
                "via": "LLDP",
                "rid": "1",
                "age": "0 day, 00:10:00",
                "chassis": [
                    {
                        "id": [{"type": "mac", "value": end.mac}],
                        "name": [{"value": end.machine}],
                        "capability": capability,
                    }
                ],
                "port": [
                    {
                        "id": [port],
                        "descr": [{"value": end.interface}],
                        "ttl": [{"value": "120"}],
                        "auto-negotiation": [{"supported": True, "enabled": True, "current": current}],
                    }
                ],
            }
        )
    return {"lldp": [{"interface": found}]}

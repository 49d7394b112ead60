"""InfiniBand: ports are active, as fast as they should be, and errors do not grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .call import FORGET, Call
from .growth import Read, decode, grown, kept, too_much
from .host import Host

PORTS = "/sys/class/infiniband"
ACTIVE, LINKED = "ACTIVE", "LinkUp"


class Options(NamedTuple):
    """What may be set.

    Attributes:
        ports: Those that must be there and active, as ``mlx5_0/1``. Others must stay so once they were.
        rate_gbps: So fast an active port must be, Gb/s.
        per_hour: How much each counter may grow.
    """

    ports: list[str]
    rate_gbps: float
    per_hour: dict[str, float]


class Port(NamedTuple):
    """One as /sys has it.

    Attributes:
        name: Device and number.
        state: As ``ACTIVE``.
        linked: As ``LinkUp``.
        rate_gbps: Gb/s.
        counters: Those asked for that it has.
    """

    name: str
    state: str
    linked: str
    rate_gbps: float
    counters: dict[str, int]


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See how its ports are.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    ports = {port.name: port for port in _ports(options, host)}
    if call.mode == FORGET:
        call.kept.clear()
    was = set(call.kept.get("active", []))
    active = {name for name, port in ports.items() if port.state == ACTIVE}
    call.kept["active"] = sorted(was | active)
    found = [f"{name} is not there" for name in sorted({*options.ports, *was} - {*ports})]
    for name, port in ports.items():
        if name not in active and (name in was or name in options.ports or port.linked == LINKED):
            found.append(f"{name} is {port.state} ({port.linked})")
        elif name in active and port.rate_gbps < options.rate_gbps:
            found.append(f"{name} has {port.rate_gbps:g} Gb/s, not {options.rate_gbps:g}")
    return found + _growth(options, ports, call)


def _growth(options: Options, ports: dict[str, Port], call: Call) -> list[str]:
    values = {f"{port.name} {name}": value for port in ports.values() for name, value in port.counters.items()}
    looks, now = decode(call.kept.get("looks")), Read(call.now, values)
    call.kept["looks"] = kept(looks, now)
    grew = grown(looks, now)
    limits = {f"{port} {name}": limit for port in ports for name, limit in options.per_hour.items()}
    return [f"{name} grew by {grew[name]} within an hour" for name in too_much(grew, limits)]


def _ports(options: Options, host: Host) -> Iterator[Port]:
    for folder in sorted(host.at(PORTS).glob("*/ports/*")):
        path = f"{PORTS}/{folder.parts[-3]}/ports/{folder.name}"
        told = {name: host.number(f"{path}/counters/{name}") for name in options.per_hour}
        yield Port(
            f"{folder.parts[-3]}/{folder.name}",
            host.text(f"{path}/state").rpartition(": ")[2],
            host.text(f"{path}/phys_state").rpartition(": ")[2],
            float(host.text(f"{path}/rate").partition(" ")[0] or 0),
            {name: value for name, value in told.items() if value is not None},
        )

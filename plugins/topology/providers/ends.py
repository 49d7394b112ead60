"""Cables of what their ends say: a tool asks both, and they may not agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hpcjobs_plugins.topology.fabric import Adapter, Cable, Chip, FabricError
from hpcjobs_plugins.topology.providers.text import Oddities
from hpcjobs_plugins.topology.rates import gbps

_RATE: Final = re.compile(r"([0-9]{1,2})x([A-Z]{3}[0-9]{0,2})")

_SHARP: Final = "Aggregation Node"
"""In the description of the adapter by which a switch takes part in reductions; it is in every such switch."""


class End(msgspec.Struct, frozen=True, gc=False):
    """What a port says of its cable.

    Attributes:
        guid: Of the other end.
        port: Its port.
        rate: ``4xHDR``, ``100G``, or anything else where it is not said.
        line: Where in the source.
    """

    guid: str
    port: int
    rate: str
    line: int


Ends = dict[tuple[str, int], End]
"""By GUID and port."""


def outside(
    ends: Ends, chips: Mapping[str, Chip], adapters: Mapping[str, Adapter], odd: Oddities
) -> tuple[Ends, Mapping[str, Adapter]]:
    """Ends and adapters without those inside of switches: every switch that aggregates has one; it is no host.

    An adapter whose system GUID is a switch's is inside of that too.

    Args:
        ends: What the ports say.
        chips: Switches by GUID.
        adapters: By GUID.
        odd: Takes one notice for all of them.
    """
    systems = {chip.system_guid for chip in chips.values()} - {""}
    own = {
        adapter.guid
        for adapter in adapters.values()
        if not adapter.router and (_SHARP in adapter.description or adapter.system_guid in systems)
    }
    if not own:
        return ends, adapters
    text = f"{len(own)} adapters are aggregation nodes or others inside of switches: left out"
    odd.add("aggregation-nodes", text, min(adapters[guid].line for guid in own))
    kept = {near: end for near, end in ends.items() if near[0] not in own and end.guid not in own}
    return kept, {guid: adapter for guid, adapter in adapters.items() if guid not in own}


def cables(
    ends: Mapping[tuple[str, int], End],
    chips: Mapping[str, Chip],
    adapters: Mapping[str, Adapter],
    odd: Oddities,
    source: str,
) -> tuple[Cable, ...]:
    """Each cable once, sorted.

    A cable that one end alone names is kept: the other may not have answered. Where the other end says that its cable
    leads elsewhere the cable is left out: it was moved while the tool went round, and what both ends say in one voice
    stands. A cable from a switch to itself is left out. Each of these is a notice.

    Args:
        ends: What the ports say; both GUIDs are in chips or adapters.
        chips: Switches by GUID.
        adapters: By GUID.
        odd: Takes the notices.
        source: For errors.

    Raises:
        FabricError: A cable leads to a port that the other end does not have.
    """
    rates: dict[str, tuple[int, str]] = {}
    found: list[Cable] = []
    for near, end in ends.items():
        far = (end.guid, end.port)
        back = ends.get(far)
        if back is None:
            ports = (chips.get(end.guid) or adapters[end.guid]).ports
            if ports and not 1 <= end.port <= ports:
                raise FabricError(f"port {end.port} of {end.guid}, which has {ports}", source, end.line)
        elif back.guid != near[0] or back.port != near[1]:
            text = f"{_at(near)} says that it leads to {_at(far)}, which says that it leads to {back.guid}/{back.port}"
            odd.add("cable-contradicted", f"{text}: this cable is left out", end.line, near[0])
            continue
        elif near > far:
            continue
        if end.guid == near[0]:
            odd.add(
                "self-loop", f"ports {near[1]} and {end.port} of {end.guid} are joined: left out", end.line, near[0]
            )
            continue
        rate = rates.get(end.rate) or _read(rates, end.rate)
        if back is None:
            text = f"{_at(near)} says that it leads to {_at(far)}, which says nothing of it"
            odd.add("cable-one-sided", text, end.line, near[0])
        elif back.rate != end.rate:
            rate = _agreed(rate, rates.get(back.rate) or _read(rates, back.rate), near, end, odd)
        found.append(Cable(*near, *far, *rate) if near < far else Cable(*far, *near, *rate))
    found.sort(key=lambda one: (one.a, one.a_port, one.b, one.b_port))
    return tuple(found)


def _at(end: tuple[str, int]) -> str:
    return f"{end[0]}/{end[1]}"


def _read(rates: dict[str, tuple[int, str]], rate: str) -> tuple[int, str]:
    match = _RATE.fullmatch(rate)
    known = (int(match[1]), match[2]) if match else (0, rate if gbps(0, rate) else "")
    return rates.setdefault(rate, known)


def _agreed(
    one: tuple[int, str], other: tuple[int, str], near: tuple[str, int], end: End, odd: Oddities
) -> tuple[int, str]:
    """What is known of the rate when the ends say different things: the lower one, if either says anything.

    FDR10 is a vendor's: an end that cannot be asked for it says QDR, and the other is right.
    """
    slow, fast = sorted((one, other), key=lambda rate: gbps(*rate))
    if not gbps(*slow) or (slow[0] == fast[0] and (slow[1], fast[1]) == ("QDR", "FDR10")):
        return fast
    text = f"the ends say {fast[0] or ''}x{fast[1]} and {slow[0] or ''}x{slow[1]}: taken for the slower"
    odd.add("cable-rates-differ", text, end.line, near[0])
    return slow

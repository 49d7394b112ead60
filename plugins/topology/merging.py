"""What several sources say, put together: the first that speaks of a thing stands, and who says otherwise is told.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from hpcjobs_plugins.topology.fabric import Adapter, Cable, Chip, Dump, Network
from hpcjobs_plugins.topology.providers.text import Oddities

_Port = tuple[str, int]
"""GUID and port."""


class Whole(NamedTuple):
    """All Dumps together."""

    chips: dict[str, Chip]
    adapters: dict[str, Adapter]
    cables: list[Cable]
    neighbours: dict[str, str]
    networks: dict[str, Network]
    nameless: set[str]


def merged(dumps: Sequence[Dump], odd: Oddities) -> Whole:
    """All Dumps as one.

    Args:
        dumps: In the order in which they stand.
        odd: Takes a notice for each thing that a later one says otherwise.
    """
    whole = Whole({}, {}, [], {}, {}, set())
    ports: dict[_Port, Cable] = {}
    for index, dump in enumerate(dumps):
        known = _known_otherwise(whole, ports, dump) if index else set()
        for guid, chip in dump.chips.items():
            before = whole.chips.get(guid, chip)
            if _differ(before, chip):
                text = f"{dump.source} says other things of switch {guid} than a source before it, which stands"
                odd.add("sources-differ", text, chip.line, guid)
            whole.chips[guid] = _filled(before, chip)
            whole.networks.setdefault(guid, dump.network)
        for guid, adapter in dump.adapters.items():
            if guid not in known:
                whole.adapters.setdefault(guid, adapter)
        whole.neighbours.update({guid: name for guid, name in dump.neighbours.items() if guid not in whole.neighbours})
        # What a source says twice of a port it keeps: checks tell of that.
        free = [cable for cable in dump.cables if index == 0 or _is_new(cable, known, ports, dump.source, odd)]
        whole.cables.extend(free)
        if len(dumps) > 1:
            ports.update(((end, port), cable) for cable in free for end, port in _ends(cable))
    return whole


def _ends(cable: Cable) -> tuple[tuple[str, int], tuple[str, int]]:
    return (cable.a, cable.a_port), (cable.b, cable.b_port)


def _is_new(cable: Cable, known: Collection[str], ports: Mapping[_Port, Cable], source: str, odd: Oddities) -> bool:
    """Whether no source before has a cable in these ports; one that has another there is told."""
    if cable.a in known or cable.b in known:
        return False
    near, far = _ends(cable)
    before = ports.get(near) or ports.get(far)
    if before is None:
        return True
    if _ends(before) != (near, far):
        text = f"{source} has a cable {_shown(cable)} where a source before it has {_shown(before)}, which stands"
        odd.add("sources-differ", text, subject=cable.a)
    return False


def _shown(cable: Cable) -> str:
    return f"{cable.a}/{cable.a_port} - {cable.b}/{cable.b_port}"


def _differ(one: Chip, other: Chip) -> bool:
    """Whether two say different things of a switch; what one does not say at all is no difference."""
    said = ((one.description, other.description), (one.system_guid, other.system_guid))
    return any(before and after and before != after for before, after in said)


def _filled(chip: Chip, other: Chip) -> Chip:
    """A switch with what the first source does not say of it and another does."""
    lacks = [field for field in ("description", "system_guid", "ports", "chassis") if not getattr(chip, field)]
    return msgspec.structs.replace(chip, **{field: getattr(other, field) for field in lacks}) if lacks else chip


def _known_otherwise(whole: Whole, ports: Mapping[_Port, Cable], dump: Dump) -> set[str]:
    """Adapters that a source before knows under another GUID: one tells the card's, another that of its port.

    It is the same adapter where the same description hangs on the same port of a switch.

    Args:
        whole: What the sources before said.
        ports: Their cables.
        dump: What another one says.
    """
    found = set()
    for cable in dump.cables:
        for guid, place in ((cable.a, (cable.b, cable.b_port)), (cable.b, (cable.a, cable.a_port))):
            adapter, there = dump.adapters.get(guid), ports.get(place)
            if adapter is None or there is None or guid in whole.adapters:
                continue
            other = whole.adapters.get(there.a if there.b == place[0] else there.b)
            if other is not None and adapter.description and other.description == adapter.description:
                found.add(guid)
    return found

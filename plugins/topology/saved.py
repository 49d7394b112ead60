"""A site as it is kept in a file: JSON, read with care, because people edit it and copies break off. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from hpcjobs_plugins.topology.fabric import Fabric, FabricError, Site

HINT: Final = "is it what hpcjobs topology discover -o has written?"
"""For who gives something else."""


def write_site(site: Site) -> bytes:
    """A site as JSON, one line."""
    return msgspec.json.encode(site) + b"\n"


def read_site(data: bytes, source: str) -> Site:
    """A site of a file.

    Args:
        data: As ``write_site`` made it.
        source: What it is called in messages.

    Raises:
        FabricError: It is no site, or parts of it contradict each other.
    """
    if not data.strip():
        raise FabricError("it is empty", source)
    try:
        site = msgspec.json.decode(data, type=Site)
    except msgspec.ValidationError as error:
        raise FabricError(f"this is no site: {error}; {HINT}", source) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FabricError(f"this is no saved site: {error}; {HINT}", source) from None
    fault = next(_faults(site), "")
    if fault:
        raise FabricError(f"the site contradicts itself: {fault}", source)
    return site


def _faults(site: Site) -> Iterator[str]:
    """What of a site is not as ``assemble`` would have made it and cannot be worked with."""
    names = [fabric.name for fabric in site.fabrics]
    yield from (f"fabric {name!r} is there twice" for name in names if names.count(name) > 1)
    for fabric in site.fabrics:
        yield from _faults_of(fabric)


def _faults_of(fabric: Fabric) -> Iterator[str]:
    switches = fabric.switches
    names = [(key, switch.name) for key, switch in switches.items()]
    names += [(key, host.name) for key, host in fabric.hosts.items()]
    yield from (f"{name!r} stands under the name {key!r}" for key, name in names if key != name)
    tiers = {switch.tier for switch in switches.values()} | {0}
    for switch in switches.values():
        if switch.tier and switch.tier - 1 not in tiers:
            yield f"switch {switch.name!r} is on tier {switch.tier}, and none is on the tier below"
    for host in fabric.hosts.values():
        for point in host.endpoints:
            if point.switch not in switches:
                yield f"host {host.name!r} hangs on {point.switch!r}, which is not in fabric {fabric.name!r}"
    for trunk in fabric.trunks:
        for name in (trunk.a, trunk.b):
            if name not in switches:
                yield f"a cable leads to {name!r}, which is not in fabric {fabric.name!r}"

"""Which fabric is the first, and what those are called that nobody has named. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.fabric import Fabric, Network

PREFIXES: Final[Mapping[Network, str]] = {Network.INFINIBAND: "ib", Network.ETHERNET: "eth"}
"""Of the names of fabrics that nobody has named."""

AS_LARGE: Final = 0.6
"""A fabric with this part of another one's hosts is as large: the planes of a cluster keep their order if a node loses
a cable to one of them. It is no part that fabrics have by design, as a half is."""


def in_order(fabrics: Iterable[Fabric]) -> Iterator[Fabric]:
    """Fabrics, the largest first; those that are about as large by the names of their switches.

    Compute hosts count, where there are none hosts of any kind.

    Args:
        fabrics: In any order.
    """
    sized = [(len(one.compute), len(one.hosts), one) for one in fabrics]
    sized.sort(key=lambda one: (-one[0], -one[1]))
    while sized:
        compute, hosts, _ = sized[0]
        alike = [one for one in sized if one[0] >= AS_LARGE * compute and (compute or one[1] >= AS_LARGE * hosts)]
        sized = sized[len(alike) :]
        yield from sorted((one[2] for one in alike), key=lambda one: natural(min(one.switches, key=natural)))


def with_names(fabrics: Iterable[Fabric], wanted: Mapping[str, str]) -> Iterator[Fabric]:
    """Fabrics under the names that an admin or a source has given, or else numbered.

    Args:
        fabrics: In their order.
        wanted: Names by name or GUID of a switch, in small letters.
    """
    used = set(wanted.values())
    given: set[str] = set()
    numbers: Counter[Network] = Counter()
    for fabric in fabrics:
        keys = [key for switch in fabric.switches.values() for key in (switch.name.lower(), switch.guid)]
        name = next((wanted[key] for key in keys if key in wanted and wanted[key] not in given), "")
        while not name:
            numbered = f"{PREFIXES[fabric.network]}{numbers[fabric.network]}"
            numbers[fabric.network] += 1
            name = "" if numbered in used else numbered
        given.add(name)
        yield msgspec.structs.replace(fabric, name=name)

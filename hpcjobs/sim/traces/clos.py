"""Hosts and the switches above them: the topology of alibaba-lingjun-dataset-2023, and fleets laid over it. Pure.

https://github.com/alibaba/alibaba-lingjun-dataset-2023: ``ip,DSW,PSW,ASW``, a host with its core, pod and access
switch. Names of access switches begin anew in each pod: S14 of P10 is another than S14 of P12, as otherwise an access
switch would be of several pods. So the file's 48 names of access switches are 119 leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hpcjobs.sim.traces.assembly import each_once, gathered, name_of
from hpcjobs.sim.traces.lines import Tally
from hpcjobs.sim.traces.tables import Row, rows
from hpcjobs.sim.workload import SimNode, Workload

NEEDED: Final = (("ip",), ("DSW",), ("PSW",), ("ASW",))


def read_clos(lines: Iterable[str], origin: str = "Clos", *, cpus: int = 1, gpus: int = 0) -> Workload:
    """The hosts with their switches, the leaf first; there are no jobs.

    Args:
        lines: Of the file.
        origin: What it is called.
        cpus: CPUs of each host, which the file does not tell.
        gpus: GPUs of each host, which the file does not tell.

    Raises:
        Refused: It is no such table, or has no host.
    """

    def host_of(_line: int, row: Row) -> SimNode:
        host, core, pod, access = (row[name] for name in ("ip", "dsw", "psw", "asw"))
        if not (host and core and pod and access):
            raise ValueError("a host or switch without a name")
        return SimNode(name=host, cpus=cpus, gpus=gpus, switches=(f"{pod}-{access}", pod, core))

    dropped = Tally()
    found = gathered(rows(lines, origin, NEEDED, dropped), each_once(host_of, name_of), dropped, "host", origin)
    return Workload(nodes=tuple(found), jobs=(), origin=origin, dropped=dropped.told())


def spread(nodes: Sequence[SimNode], shape: Sequence[SimNode], *, by_type: bool = True) -> tuple[SimNode, ...]:
    """A fleet over a Clos of this shape.

    Its leaves are filled one after the other with as many nodes as the shape has hosts on them. Where the shape ends
    it begins anew with further pods under the same core, so that a fleet may be larger than it.

    Args:
        nodes: The fleet; its order, and what else is said of each node, stay as they are.
        shape: Hosts with their switches, as ``read_clos`` gives them.
        by_type: Whether nodes of one type of GPU, and of as many, are neighbours, as where racks are bought together;
            else neighbours are those of the list.

    Raises:
        ValueError: The shape has no switches.
    """
    places = sorted((host.switches for host in shape if host.switches), key=lambda switches: switches[::-1])
    if not places:
        raise ValueError("the shape has no host with a switch above it")
    order = list(range(len(nodes)))
    if by_type:
        order.sort(key=lambda index: (nodes[index].gpu_type, nodes[index].gpus))
    laid = list(nodes)
    for place, index in enumerate(order):
        again, at = divmod(place, len(places))
        *below, core = places[at]
        switches = tuple(f"{switch}+{again}" if again else switch for switch in below)
        laid[index] = msgspec.structs.replace(nodes[index], switches=(*switches, core))
    return tuple(laid)

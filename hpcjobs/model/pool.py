"""The accelerators of a cluster by type: how many, in use, idle, and of what use the idle ones are. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from hpcjobs.model.cluster import Node
from hpcjobs.model.shards import free_gpus, shared_gpus_of


class GpuKind(msgspec.Struct, frozen=True):
    """The accelerators of one type. ``total`` is ``allocated``, ``begun``, ``idle`` and ``down`` together.

    Attributes:
        kind: Slurm's type; ``""``: without one.
        nodes: On how many nodes.
        total: Devices; a slice (MIG) is one.
        allocated: What jobs have, in devices; of a device that is shared, the part that is in use.
        begun: What is left of devices that are shared, in devices.
        idle: Devices that no job has any of, on nodes that can be used.
        fragmented: Of the idle ones, those on nodes where others are in use: jobs of whole nodes cannot have them.
        stranded: Of the idle ones, those on nodes without a free CPU or without free memory: no job can have them now.
        down: Devices without a job on nodes that are down, drained or failing.
        reserved: Of the idle ones, those on nodes that are in a reservation now.
    """

    kind: str
    nodes: int = 0
    total: int = 0
    allocated: float = 0.0
    begun: float = 0.0
    idle: int = 0
    fragmented: int = 0
    stranded: int = 0
    down: float = 0.0
    reserved: int = 0


class GpuPool(msgspec.Struct, frozen=True):
    """The accelerators of a cluster.

    Attributes:
        items: By type, the most first.
        observed_at: Unix seconds of the listing that this is from.
    """

    items: list[GpuKind]
    observed_at: float


def kinds_of(nodes: Iterable[Node]) -> tuple[GpuKind, ...]:
    """Count the accelerators of nodes.

    Args:
        nodes: As listed.

    Returns:
        By type, the most first.
    """
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for node in nodes:
        free = free_gpus(node)
        shared = shared_gpus_of(node)
        stranded = node.cpus_alloc >= node.cpus or node.mem_alloc_bytes >= node.mem_bytes
        for kind, count in node.gpus.items():
            begun = [gpu for gpu in shared if gpu.begun and gpu.kind == kind]
            left = sum(gpu.fraction for gpu in begun)
            idle, sums = free.get(kind, 0), found[kind]
            sums["nodes"] += 1
            sums["total"] += count
            sums["allocated"] += count - idle - left
            if not node.usable:
                sums["down"] += idle + left
                continue
            sums["begun"] += left
            sums["idle"] += idle
            sums["fragmented"] += idle if idle < count else 0
            sums["stranded"] += idle if stranded else 0
            sums["reserved"] += idle if node.particulars.reservation else 0
    whole = ("nodes", "total", "idle", "fragmented", "stranded", "reserved")
    told = [
        GpuKind(kind, **{name: int(sum_) if name in whole else sum_ for name, sum_ in sums.items()})  # type: ignore[arg-type]
        for kind, sums in found.items()
    ]
    return tuple(sorted(told, key=lambda one: (-one.total, one.kind)))

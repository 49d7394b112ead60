"""Slurm's own gang scheduling as a configuration: jobs of a partition take turns on the same CPUs.

It steers nothing: it writes the part of slurm.conf that Slurm needs for it (slurm.conf(5): PreemptMode,
SchedulerTimeSlice, OverSubscribe). Slurm then places up to ``jobs`` jobs on a CPU, runs one for ``slice_s``, suspends
it, resumes the next, and so on, for all nodes of a job at once.

What it does to Slurm: jobs of these partitions start sooner and take longer, all the more as more share a CPU.
When not to use it: with GPUs, because a suspended job keeps its GRES, and its memory too: only CPUs are shared, so jobs
that ask for GPUs do not take turns; where jobs talk to something that minds if they stand still for a slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from hpcjobs.plugin import PLUGIN_API, Configure, Inventory, Plugin

FILE: Final = "slurm.conf.timeslice"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an admin sets.

    Attributes:
        partitions: Jobs of these take turns.
        jobs: So many at most on a CPU: OverSubscribe=FORCE.
        slice_s: How long a turn lasts, in seconds: SchedulerTimeSlice.
        suspend: Whether jobs of a partition of a higher PriorityTier also suspend those of lower ones on the same
            nodes.
    """

    partitions: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    jobs: Annotated[int, msgspec.Meta(ge=2, le=64)] = 2
    slice_s: Annotated[int, msgspec.Meta(ge=5, le=65_533)] = 30
    suspend: bool = False


def configure(settings: Settings, inventory: Inventory) -> Mapping[str, str]:
    """Parts of slurm.conf, for who puts them there; none on a cluster that has none of the partitions.

    Args:
        settings: See Settings.
        inventory: What the cluster consists of.
    """
    there = [name for name in settings.partitions if name in inventory.partitions]
    return {FILE: "".join(f"{line}\n" for line in _lines(settings, inventory, there))} if there else {}


def _lines(settings: Settings, inventory: Inventory, there: list[str]) -> Iterator[str]:
    yield f"# slurm.conf: jobs of {', '.join(there)} take turns of {settings.slice_s} s on the same CPUs"
    if settings.suspend:
        yield "PreemptType=preempt/partition_prio"
    yield f"PreemptMode={'SUSPEND,' if settings.suspend else ''}GANG"
    yield f"SchedulerTimeSlice={settings.slice_s}"
    for name in there:
        yield f"# PartitionName={name} ... OverSubscribe=FORCE:{settings.jobs}"
    yield "# CPUs are shared, memory is not: jobs that take turns must fit beside each other."
    for name in there:
        yield from _against(inventory, name)


def _against(inventory: Inventory, name: str) -> Iterator[str]:
    """What of a partition does not go well with it."""
    nodes = [node for node in inventory.nodes.values() if name in node.partitions]
    if gpus := sum(1 for node in nodes if any(node.gpus.values())):
        told = "A suspended job keeps them: such jobs take no turns."
        yield f"# {name}: {gpus} of its {len(nodes)} nodes have GPUs. {told}"
    if others := sorted({other for node in nodes for other in node.partitions} - {name}):
        yield f"# {name} shares nodes with {', '.join(others)}. Slurm slices each partition by itself."
    if inventory.partitions[name].exclusive == "NODE":
        yield f"# {name} gives whole nodes to one job (Exclusive): OverSubscribe takes the place of that."


def _hooks(settings: Settings) -> list[Configure]:
    return [Configure(lambda inventory: configure(settings, inventory))]


PLUGIN = Plugin(name="timeslice", api=PLUGIN_API, settings=Settings, hooks=_hooks)

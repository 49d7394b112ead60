"""Report ``families``: GPU time by family and model, and the memory of the devices meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs.devices.family import Family
from hpcjobs.devices.worth import whole_of
from hpcjobs.model.report import Cell, Column, Ready, Table

FAMILIES: Final = Ready(
    "families",
    "GPU time by family and memory",
    "GPU time by family and model, slices with their model, and how much device memory that was.",
    ("gpu",),
    ("gpu_hours", "gpu_hours_equivalent", "gpu_hours_held"),
)
UNKNOWN: Final = "not known"
_OF_MODEL: Final = (
    Column(
        "family", "family", "", f"Whose accelerators; `{UNKNOWN}` where no family has a model of Slurm's type.", True
    ),
    Column("model", "model", "", "As its maker calls it; Slurm's type where no family has it.", True),
    Column("mem_gib", "memory of one", "GiB", "Of a whole device, as its maker counts it.", digits=0),
)
_OF_MEMORY: Final = Column(
    "mem_gib_hours", "device memory", "GiB h", "Memory of one times whole-GPU-hours, of models whose memory is known."
)


class Device(NamedTuple):
    """What a type of Slurm's is.

    Attributes:
        family: Whose, as people call it.
        model: As its maker calls it.
        mem_gib: Memory of a whole one in GiB; None: not known.
    """

    family: str
    model: str
    mem_gib: int | None


def devices_of(families: Iterable[Family]) -> dict[str, Device]:
    """All models, by Slurm's type without regard to case and dashes."""
    return {_plain(m.name): Device(one.title, m.title, m.mem_gib) for one in families for m in one.models}


def by_family(answer: Table, devices: Mapping[str, Device]) -> Table:
    """The report.

    Args:
        answer: To the question of FAMILIES: one row a type.
        devices: What types are.
    """
    sums: dict[Device, list[float]] = {}
    for kind, *hours in answer.rows:
        device = devices.get(_plain(whole_of(str(kind)) or str(kind))) or Device(UNKNOWN, str(kind), None)
        before = sums.get(device, [0.0] * len(hours))
        sums[device] = [had + float(more or 0) for had, more in zip(before, hours, strict=True)]
    rows = [(*device, *hours, _memory(device, hours)) for device, hours in sums.items()]
    rows.sort(key=lambda row: (-float(row[4] or 0), row[:2]))
    lacking = sorted(device.model for device in sums if device.mem_gib is None)
    total = None if answer.total is None else ("", "", None, *answer.total[1:], _sum(row[-1] for row in rows))
    return msgspec.structs.replace(
        answer, columns=(*_OF_MODEL, *answer.columns[1:], _OF_MEMORY), rows=tuple(rows), total=total,
        notes=(f"Of what memory these have nothing is known: {', '.join(lacking)}.",) if lacking else (),
    )  # fmt: skip


def _memory(device: Device, hours: list[float]) -> float | None:
    _, equivalent, _ = hours
    return None if device.mem_gib is None else device.mem_gib * equivalent


def _sum(cells: Iterable[Cell]) -> float | None:
    known = [float(cell) for cell in cells if cell is not None]
    return sum(known) if known else None


def _plain(kind: str) -> str:
    return kind.lower().replace("-", "_")

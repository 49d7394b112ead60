"""Energy of one run and what it emitted, and whence each figure is: measured or a model. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from hpcjobs.usage.efficiency import JOULES_PER_KWH


class EnergyBasis(StrEnum):
    """Whence the energy of a run is known."""

    NODES = "nodes"  # Slurm measured its nodes
    GPUS = "gpus"  # samples measured its GPUs; the rest of its nodes is not in it
    MODELLED = "modelled"  # nothing was measured: watts that the settings state x time


class Energy(msgspec.Struct, frozen=True):
    """Energy of a run in kWh, and whence that is."""

    kwh: float
    basis: EnergyBasis


class CarbonFactor(msgspec.Struct, frozen=True):
    """What a kWh emits: grams of CO2, from ``since`` (Unix seconds) until before ``until``, and who says so."""

    g_per_kwh: float
    since: int
    until: int
    source: str


def energy_of(node_j: float | None, gpu_j: float | None, modelled_j: float | None) -> Energy | None:
    """The widest figure that was measured, else the model's; None: not known.

    Args:
        node_j: Joules of its nodes as Slurm measured them; None or 0: it did not (Slurm writes 0 without a plugin).
        gpu_j: Joules of its GPUs as sampled; None: not sampled.
        modelled_j: Joules of a model; None: there is none.
    """
    if node_j:
        return Energy(node_j / JOULES_PER_KWH, EnergyBasis.NODES)
    if gpu_j is not None:
        return Energy(gpu_j / JOULES_PER_KWH, EnergyBasis.GPUS)
    return None if modelled_j is None else Energy(modelled_j / JOULES_PER_KWH, EnergyBasis.MODELLED)


def co2_g(kwh: float, start_time: int, end_time: int, factors: Sequence[CarbonFactor]) -> float | None:
    """Grams of CO2 of energy spread evenly over a time; None: for a part of it no factor holds.

    Args:
        kwh: The energy.
        start_time: Unix seconds.
        end_time: After it.
        factors: None of which overlap.
    """
    parts = [(max(min(one.until, end_time) - max(one.since, start_time), 0), one.g_per_kwh) for one in factors]
    lasted_s = end_time - start_time
    if lasted_s <= 0 or sum(part_s for part_s, _ in parts) != lasted_s:
        return None
    return sum(kwh * part_s / lasted_s * g_per_kwh for part_s, g_per_kwh in parts)

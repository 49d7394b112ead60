"""Energy of runs and what it emitted, from the widest figure that was measured; nothing is modelled.

Functions are pure; the SQL beside them says the same of many runs, over ``r`` of hpcjobs.usage.amounts and the energy
of its GPUs, ``e``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from enum import StrEnum
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.settings import CarbonSettings
from hpcjobs.usage.efficiency import JOULES_PER_KWH
from hpcjobs.usage.samples import STILL, of_runs

AFTER_ALL: Final = 2**40
"""Unix seconds: after all jobs."""


class EnergyBasis(StrEnum):
    """Whence the energy of a run is known."""

    NODES = "nodes"  # Slurm measured its nodes
    GPUS = "gpus"  # samples measured its GPUs; the rest of its nodes is not in it


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


def factors(told: Sequence[CarbonSettings], zone: ZoneInfo) -> tuple[CarbonFactor, ...]:
    """What a kWh emits, as the settings say.

    Args:
        told: From which day on which factor holds.
        zone: Whose days.

    Raises:
        SettingsError: Two hold from the same day on.
    """
    starts = {int(datetime.combine(one.since, time(), zone).timestamp()): one for one in told}
    if len(starts) != len(told):
        raise SettingsError("usage: carbon: two factors hold from the same day on")
    return tuple(
        CarbonFactor(starts[since].g_per_kwh, since, until, starts[since].source)
        for since, until in pairwise([*sorted(starts), AFTER_ALL])
    )


def energy_of(node_j: float | None, gpu_j: float | None) -> Energy | None:
    """The widest figure that was measured; None: nothing was.

    Args:
        node_j: Joules of its nodes as Slurm measured them; None or 0: it did not (Slurm writes 0 without a plugin).
        gpu_j: Joules of its GPUs as sampled; None: not sampled.
    """
    if node_j:
        return Energy(node_j / JOULES_PER_KWH, EnergyBasis.NODES)
    return None if gpu_j is None else Energy(gpu_j / JOULES_PER_KWH, EnergyBasis.GPUS)


ENERGY_J: Final = "coalesce(nullif(r.energy_j, 0), e.energy_j)"
"""The same of a run, in joules."""


def of_gpus(runs: str) -> str:
    """Energy of GPUs as sampled, by run.

    Args:
        runs: SQL of rows of ``runs``, with every run of a job that can have been there when it was sampled.

    Returns:
        SQL with the columns ``run`` and ``energy_j``; runs of which nothing was measured are not there.
    """
    return (
        f"SELECT r.run, sum(s.energy_j) AS energy_j FROM {of_runs(runs)}"
        f" JOIN clusters AS c ON c.cluster = r.cluster WHERE {STILL} AND s.energy_j IS NOT NULL GROUP BY r.run"
    )


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


def g_per_kwh(factors: Sequence[CarbonFactor]) -> str:
    """What a kWh of a run emitted, in grams, by the same rule.

    Args:
        factors: None of which overlap; numbers of the settings, which stand in the text.

    Returns:
        SQL, NULL where co2_g() is None.
    """
    parts = [
        (f"greatest(least({one.until}, r.end_time) - greatest({one.since}, r.start_time), 0)", one.g_per_kwh)
        for one in factors
    ]
    lasted = "(r.end_time - r.start_time)"
    covered = " + ".join(part for part, _ in parts) or "0"
    grams = " + ".join(f"{part} * {float(grams)!r}" for part, grams in parts) or "0"
    return f"CASE WHEN {lasted} > 0 AND {covered} = {lasted} THEN ({grams}) / {lasted} END"

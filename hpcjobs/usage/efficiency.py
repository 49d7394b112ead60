"""How well one run used what it had: shares of CPU, memory and GPUs. Pure; what was not measured is None, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.model.usage import GpuUse, Run

JOULES_PER_KWH: Final = 3_600_000


class Busy(msgspec.Struct, frozen=True):
    """What the samples of a run's GPUs add up to, over all of its devices.

    Attributes:
        covered_s: Device seconds that the samples stand for.
        busy_s: Of these, how many a device was busy: utilisation x time.
        energy_j: Joules of the devices; None: not measured.
    """

    covered_s: float
    busy_s: float
    energy_j: float | None = None


class Efficiency(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of what a run had, 1: all of it; None: not measured, or it had none.

    Attributes:
        cpu: CPU time of its steps over CPUs x time that it worked.
        gpu: Busy device seconds over those that were sampled.
        gpu_coverage: Sampled device seconds over devices x time that it lasted: how far ``gpu`` can be trusted.
        idle_gpu_h: Hours of whole GPUs that it had and did not use, if it was as busy all the time as when sampled.
    """

    cpu: float | None
    gpu: float | None
    gpu_coverage: float | None
    idle_gpu_h: float | None


def efficiency(run: Run, gpus: Sequence[GpuUse], busy: Busy | None, now: int) -> Efficiency:
    """How well a run used what it had.

    Args:
        run: As accounting has it.
        gpus: Its GPUs, by kind.
        busy: What the samples of them add up to; None: there are none.
        now: Unix seconds: until when a run counts that has not ended.
    """
    lasted_s = max((run.end_time or now) - run.start_time, 0) if run.start_time else 0
    worked_s = max(lasted_s - run.suspended_s, 0)
    devices_s = sum(use.devices for use in gpus) * lasted_s
    sampled = busy if busy is not None and busy.covered_s > 0 and devices_s else None
    gpu = _share(sampled.busy_s, sampled.covered_s) if sampled else None
    had_h = sum(use.equivalent for use in gpus) * lasted_s / 3600
    return Efficiency(
        cpu=None if run.cpu_used_s is None else _share(run.cpu_used_s, run.cpus * worked_s),
        gpu=gpu,
        gpu_coverage=_share(sampled.covered_s, devices_s) if sampled else None,
        idle_gpu_h=None if gpu is None else had_h * max(1 - gpu, 0.0),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None

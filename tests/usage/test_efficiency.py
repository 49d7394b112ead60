"""How well one run used what it had."""

from __future__ import annotations

import pytest

from hpcjobs.model.usage import Basis, GpuUse, Run
from hpcjobs.usage.efficiency import Busy, efficiency

HOUR = 3600
GPUS = (GpuUse("a100", "", 32, 32.0, 32.0, Basis.NAMED),)
SLICES = (GpuUse("a100_1g.5gb", "mig", 7, 1.0, 1.0, Basis.NAMED),)


def run(**said: object) -> Run:
    told = {"slurm_job_id": 1, "submit_time": 1, "start_time": 1000, "end_time": 1000 + 9 * HOUR, "cpus": 4}
    return Run(**(told | said))  # type: ignore[arg-type]


def test_gpus_that_were_3_percent_busy_for_9_hours_are_waste_in_whole_gpu_hours() -> None:
    all_s = 32 * 9 * HOUR
    told = efficiency(run(), GPUS, Busy(all_s / 2, all_s / 2 * 0.03), 0)
    assert told.gpu == pytest.approx(0.03)
    assert told.gpu_coverage == pytest.approx(0.5)
    assert told.idle_gpu_h == pytest.approx(32 * 9 * 0.97)


def test_idle_slices_are_counted_as_the_gpus_that_they_are_worth() -> None:
    assert efficiency(run(), SLICES, Busy(9 * HOUR * 7, 0), 0).idle_gpu_h == pytest.approx(9)


def test_time_suspended_is_not_held_against_the_cpus_of_a_run() -> None:
    assert efficiency(run(cpu_used_s=4 * HOUR * 3.0, suspended_s=6 * HOUR), (), None, 0).cpu == pytest.approx(1)


def test_a_run_that_has_not_ended_counts_until_now() -> None:
    assert efficiency(run(end_time=0, cpu_used_s=200.0), (), None, 1100).cpu == pytest.approx(0.5)


def test_what_was_not_measured_is_none_and_not_nothing() -> None:
    told = efficiency(run(), GPUS, None, 0)
    assert (told.cpu, told.gpu, told.gpu_coverage, told.idle_gpu_h) == (None,) * 4


def test_a_run_that_never_started_has_no_shares() -> None:
    told = efficiency(run(start_time=0, cpu_used_s=0.0), GPUS, Busy(1, 1), 5000)
    assert (told.cpu, told.gpu, told.idle_gpu_h) == (None, None, None)

"""The cluster summary of AcmeTrace, as CSV: what generated jobs are calibrated to. Pure.

https://github.com/InternLM/AcmeTrace (CC-BY-4.0); Hu et al., "Characterization of Large Language Model Development in
the Datacenter", NSDI 2024.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hpcjobs.sim.traces.assembly import each_once, gathered
from hpcjobs.sim.traces.lines import LeftOut, Tally, amount
from hpcjobs.sim.traces.tables import Row, rows


class GpuJobs(msgspec.Struct, frozen=True):
    """What is known of a cluster's GPU jobs.

    Attributes:
        jobs: How many there were.
        mean_run_s: Mean run time in seconds.
        median_run_s: Median run time in seconds.
        max_run_s: Longest run time in seconds.
        mean_gpus: Mean number of GPUs of a job.
        median_gpus: Median number of GPUs of a job.
        max_gpus: Most GPUs of a job.
        completed: Share of the jobs that completed.
        cancelled: Share that were cancelled.
        failed: Share that failed.
        completed_gpu_s: GPU seconds of those that completed.
        cancelled_gpu_s: GPU seconds of those that were cancelled.
        failed_gpu_s: GPU seconds of those that failed.
    """

    jobs: float
    mean_run_s: float
    median_run_s: float
    max_run_s: float
    mean_gpus: float
    median_gpus: float
    max_gpus: float
    completed: float
    cancelled: float
    failed: float
    completed_gpu_s: float
    cancelled_gpu_s: float
    failed_gpu_s: float

    @property
    def mean_gpu_s(self) -> float:
        """GPU seconds of a job in the mean."""
        return (self.completed_gpu_s + self.cancelled_gpu_s + self.failed_gpu_s) / self.jobs


COLUMNS: Final = ("gpu_job_num", "avg_run_time_gpu", "med_run_time_gpu", "max_run_time_gpu", "avg_gpu_num",
    "med_gpu_num", "max_gpu", "complete_rate_gpu", "cancel_rate_gpu", "fail_rate_gpu", "complete_gpu_time",
    "cancel_gpu_time", "fail_gpu_time")  # fmt: skip
"""The file's columns, in the order of ``GpuJobs``."""


def read_acme(lines: Iterable[str], origin: str = "Acme") -> tuple[dict[str, GpuJobs], dict[str, int]]:
    """What is known of each cluster.

    Args:
        lines: Of the file.
        origin: What it is called.

    Returns:
        By the cluster's name, and what was left out: count by reason. Lines that lack a value are left out.

    Raises:
        Refused: It is no such table, or has no cluster.
    """
    dropped = Tally()
    needed = (("id",), *((column,) for column in COLUMNS))
    found = gathered(
        rows(lines, origin, needed, dropped), each_once(_cluster, lambda told: told[0]), dropped, "cluster", origin
    )
    return dict(found), dropped.told()


def _cluster(_line: int, row: Row) -> tuple[str, GpuJobs]:
    told = GpuJobs(*(amount(row[column], column) for column in COLUMNS))
    if not told.jobs:
        raise LeftOut("it has no GPU job")
    return row["id"], told


KALOS: Final = GpuJobs(
    jobs=19907, mean_run_s=1259.689, median_run_s=124, max_run_s=625740, mean_gpus=26.77, median_gpus=1, max_gpus=1024,
    completed=0.541, cancelled=0.062, failed=0.397,
    completed_gpu_s=1667685146, cancelled_gpu_s=3239202064, failed_gpu_s=426292851,
)  # fmt: skip
"""Kalos as the summary has it (CC-BY-4.0), for those who have no file at hand."""

"""Names of jobs as people type them and Slurm prints them: ``12``, ``12_3``, ``12_[4-7]``, ``12+0``. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hpcjobs.model.spans import parse_spans

if TYPE_CHECKING:
    from hpcjobs.model.job import Job


class JobName(NamedTuple):
    """A job as it is named on a command line.

    Attributes:
        number: Slurm's number of the job, the array or the heterogeneous job.
        tasks: Which tasks of the array; None: all of it.
    """

    number: int
    tasks: frozenset[int] | None = None


def parted(text: str) -> list[str]:
    """The parts of a list of names; commas within brackets part none."""
    return re.findall(r"(?:[^,\[]|\[[^\]]*\]?)+", text)


def read_name(word: str) -> JobName:
    """Read one name.

    Raises:
        ValueError: It is of no such form.
    """
    match = re.fullmatch(r"0*([1-9][0-9]{0,9})(?:_([0-9]{1,7}|\[[0-9,:-]+\])|\+[0-9]{1,4})?", word, re.ASCII)
    if match is None:
        raise ValueError(word)
    tasks = match[2] and frozenset(task for span in parse_spans(match[2].strip("[]")) for task in span)
    return JobName(int(match[1]), tasks or None)


def together(job: Job) -> bool:
    """Whether a line stands for tasks that still wait together."""
    return bool(job.array_job_id) and bool(job.array_task) and not job.array_task.isdigit()


def task_number(job: Job) -> int | None:
    """Which task of its array a line is; None: it is none, or several."""
    return int(job.array_task) if job.array_job_id and job.array_task.isdigit() else None


def id_text(job: Job) -> str:
    """What squeue calls a job: ``12``, ``12_3``, ``12_[3-5%2]``, ``12+0``."""
    if together(job):
        return f"{job.array_job_id}_[{job.array_task}]"
    task = task_number(job)
    if task is not None:
        return f"{job.array_job_id}_{task}"
    if job.het_job_id:
        return f"{job.het_job_id}+{job.het_offset}"
    return str(job.slurm_job_id)


def service_name(job: Job) -> str:
    """What the service calls a line of a listing: as squeue, but components by their own numbers, and no limit."""
    if together(job):
        return f"{job.array_job_id}_[{job.array_task.partition('%')[0]}]"
    task = task_number(job)
    return str(job.slurm_job_id) if task is None else f"{job.array_job_id}_{task}"

"""Names in a checkpoint folder that others than its attempt have to find. Pure."""

from __future__ import annotations

import re

_WORDS = re.compile(r"%[%jAa]")
_SAVED = re.compile(r"step-(\d+)\.attempt-\d+\.[0-9a-f]+")


def folder(pattern: str, job: str, array: str = "", task: str = "") -> str:
    """The checkpoint folder of one job, from what was said for all tasks of an array.

    Args:
        pattern: As sbatch's --output: ``%j`` number of the job, ``%A`` of its array, ``%a`` of its task, ``%%`` a %.
        job: Number of the job, SLURM_JOB_ID.
        array: SLURM_ARRAY_JOB_ID; ``""``: it is of none.
        task: SLURM_ARRAY_TASK_ID; ``""``: it is of none.
    """
    values = {"%j": job, "%A": array or job, "%a": task, "%%": "%"}
    return _WORDS.sub(lambda found: values[found[0]], pattern)


def told_of(job: str) -> str:
    """Where, below the checkpoint folder, the last attempt of a job tells how it goes.

    Args:
        job: Number of the job, SLURM_JOB_ID.
    """
    return f"status/job-{job}.json"


def step_of(path: str) -> int | None:
    """The step of a checkpoint that was published.

    Args:
        path: Its folder.

    Returns:
        None: it is none.
    """
    found = _SAVED.fullmatch(path.rpartition("/")[2])
    return int(found[1]) if found else None

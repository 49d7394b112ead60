"""The pyslurm library in an agent's process: started at first use, its errors and its odd texts read safely.

Nothing but the agents' side imports this (docs/adr/0001); pyslurm itself is imported at first use only.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from hpcjobs.agents.serve import SlurmFailure
from hpcjobs.model.amount import NO_VAL
from hpcjobs.slurm import targets


def exit_code_and_signal(status: int) -> tuple[int, int]:
    """Read a job's wait status: ``exit 255`` is 255.

    pyslurm 25.11 takes 128 off exit codes from 128 on, so that 255 becomes 127 and 128 becomes success; this takes
    the place of its function.

    Args:
        status: As wait(2) returns it, or NO_VAL.

    Returns:
        Exit code and signal number.
    """
    if status == NO_VAL:
        return 0, 0
    if os.WIFSIGNALED(status):
        return 0, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0


@cache
def slurm_conf() -> str:
    """Path of the slurm.conf that this process was told of when it began."""
    return os.environ["SLURM_CONF"]


@cache
def library() -> Any:  # noqa: ANN401  pyslurm has no types
    """Pyslurm, started at the first call."""
    import pyslurm
    import pyslurm.core.job.job as job_module

    job_module._get_exit_code = exit_code_and_signal  # noqa: SLF001
    pyslurm.slurm_init(slurm_conf())
    # A job would inherit every SLURM_ variable that this process holds.
    del os.environ["SLURM_CONF"]
    return pyslurm


@contextmanager
def slurm_errors() -> Iterator[Any]:
    """Pyslurm, its errors on their way to the caller.

    Raises:
        SlurmFailure: With Slurm's number.
    """
    pyslurm = library()
    try:
        yield pyslurm
    except pyslurm.RPCError as error:
        raise SlurmFailure(error.errno or 0, str(error.msg)) from error


@lru_cache(maxsize=10_000)
def user_name(uid: int) -> str:
    """Name of a user, or the number where this machine does not know it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@lru_cache(maxsize=10_000)
def group_name(gid: int) -> str:
    """Name of a group, or the number where this machine does not know it."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


class Tolerant:
    """Reads the attributes of pyslurm's objects; a text that is no UTF-8 becomes U+FFFD.

    Job names are bytes to Slurm, and one user's odd name must not hide everybody's jobs.
    """

    def __init__(self, thing: Any) -> None:  # noqa: ANN401
        self._thing = thing

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        try:
            return getattr(self._thing, name)
        except UnicodeDecodeError:
            return "\N{REPLACEMENT CHARACTER}"


def array_task(job: Any) -> str:  # noqa: ANN401
    """Which task of its array a job is, as Slurm prints it; ``""`` where it is of none."""
    waiting = job.array_tasks_waiting or ""
    if waiting and job.array_tasks_parallel:
        waiting += f"%{job.array_tasks_parallel}"
    return targets.array_task(job.array_id or 0, job.array_task_id or 0, waiting)  # pyslurm takes task 0 for none

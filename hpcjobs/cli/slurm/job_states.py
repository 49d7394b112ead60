"""Slurm's names of job states, as its commands print and read them (job_state_string() of Slurm). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hpcjobs.model.job import Job


BASES: Final = {
    "PENDING": "PD", "RUNNING": "R", "SUSPENDED": "S", "COMPLETED": "CD", "CANCELLED": "CA", "FAILED": "F",
    "TIMEOUT": "TO", "NODE_FAIL": "NF", "PREEMPTED": "PR", "BOOT_FAIL": "BF", "DEADLINE": "DL",
    "OUT_OF_MEMORY": "OOM",
}  # fmt: skip
"""Where a job is in its life, and the short names."""

FLAGS: Final = {
    "COMPLETING": "CG", "STAGE_OUT": "SO", "CONFIGURING": "CF", "EXPEDITING": "", "RESIZING": "RS", "REQUEUED": "RQ",
    "REQUEUE_FED": "RF", "REQUEUE_HOLD": "RH", "SPECIAL_EXIT": "SE", "STOPPED": "ST", "REVOKED": "RV",
    "RESV_DEL_HOLD": "RD", "SIGNALING": "SI",
}  # fmt: skip
"""What may be said beside that; the first of several is the one that is printed."""

OF_HELP: Final = ("completing", "configuring", "expediting", "resizing", "resv_del_hold", "requeued", "requeue_fed",
    "requeue_hold", "revoked", "signaling", "special_exit", "stage_out", "stopped")  # fmt: skip
"""The flags in the order in which squeue lists them."""

UNDER_FLAG: Final = {
    "CONFIGURING": "RUNNING", "EXPEDITING": "RUNNING", "RESIZING": "RUNNING", "SIGNALING": "RUNNING",
    "STOPPED": "SUSPENDED", "REQUEUED": "PENDING", "REQUEUE_FED": "PENDING", "REQUEUE_HOLD": "PENDING",
    "SPECIAL_EXIT": "PENDING", "RESV_DEL_HOLD": "PENDING", "REVOKED": "CANCELLED",
}  # fmt: skip
"""The base state where a way to Slurm tells the flag alone."""

SHOWN: Final = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
"""Base states of what squeue shows unless it is told otherwise."""


def words(job: Job) -> frozenset[str]:
    """Slurm's words for a job's state: one base state and flags."""
    return frozenset(job.raw_state.upper().split(","))


def base_state(job: Job) -> str:
    """Where a job is in its life; ``""`` where only a flag was told under which it may be in several places."""
    said = words(job)
    known = next((word for word in BASES if word in said), "")
    return known or next((UNDER_FLAG[word] for word in FLAGS if word in said and word in UNDER_FLAG), "")


def state_text(job: Job) -> str:
    """The one word that Slurm's commands print."""
    said = words(job)
    return next((word for word in (*FLAGS, *BASES) if word in said), job.raw_state or "?")


def short_state(job: Job) -> str:
    """The same in letters."""
    said = words(job)
    letters = (short for word, short in (*FLAGS.items(), *BASES.items()) if word in said and short)
    return next(letters, "?")


def find_state(name: str) -> str | None:
    """The state of a name or of letters, in any case; None: there is none."""
    wanted = name.upper()
    every = BASES | FLAGS
    return next((word for word, short in every.items() if wanted in (word, short) and wanted), None)


def is_in(job: Job, state: str) -> bool:
    """Whether a job is in a state; a base state that has a flag beside it is another to squeue."""
    said = words(job)
    return state in said if state in FLAGS else said == {state}


def list_text() -> str:
    """Every name, as squeue lists them where it was told another."""
    return ",".join((*(word.lower() for word in BASES), *OF_HELP))


def time_used(job: Job, now: int) -> int:
    """Seconds that a job has run, without those for which it was suspended."""
    base, told = base_state(job), job.particulars
    if not job.start_time or base == "PENDING":
        return 0
    if base == "SUSPENDED":
        return told.pre_suspend_s
    end = now if base == "RUNNING" or not job.end_time else job.end_time
    return end - told.suspend_time + told.pre_suspend_s if told.suspend_time else end - job.start_time

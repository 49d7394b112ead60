"""Which jobs and steps sacct is asked for: read from its options, and picked out of what accounting tells. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.sacct_fields import FLAGS, Row, Way, tasks_of

if TYPE_CHECKING:
    from hpcjobs.model.history import Accounted, Step

STATES: Final = {
    "PD": "PENDING", "R": "RUNNING", "S": "SUSPENDED", "CD": "COMPLETED", "CA": "CANCELLED", "F": "FAILED",
    "TO": "TIMEOUT", "NF": "NODE_FAIL", "PR": "PREEMPTED", "BF": "BOOT_FAIL", "DL": "DEADLINE",
    "OOM": "OUT_OF_MEMORY", "RQ": "REQUEUED", "RS": "RESIZING", "RV": "REVOKED",
}  # fmt: skip
"""States that slurmdbd keeps, by their short names (sacct(1), JOB STATE CODES)."""
UNKEPT: Final = {
    "CG": "COMPLETING", "CF": "CONFIGURING", "SE": "SPECIAL_EXIT", "RH": "REQUEUE_HOLD", "ST": "STOPPED",
    "SI": "SIGNALING", "SO": "STAGE_OUT", "RD": "RESV_DEL_HOLD", "RF": "REQUEUE_FED",
}  # fmt: skip
_JOB: Final = re.compile(r"(?P<number>[0-9]+)(?:_(?P<task>[0-9]+)|\+(?P<offset>[0-9]+))?(?:\.(?P<step>\S*))?")
_STEP: Final = re.compile(r"batch|extern|interactive|[0-9]+(\+[0-9]+)?", re.IGNORECASE)


class Wanted(NamedTuple):
    """One of --jobs: ``12``, ``12_3``, ``12+0``, ``12.batch``.

    Attributes:
        number: Slurm's number.
        task: Of an array; None: all.
        offset: Of a heterogeneous job; None: all.
        step: The step; ``""``: the job with all of them.
    """

    number: int
    task: int | None = None
    offset: int | None = None
    step: str = ""

    def names(self, job: Accounted, whole: str) -> bool:
        """Whether a job is meant.

        Args:
            job: One that accounting told of this number.
            whole: --whole-hetjob: ``yes``, ``no`` or ``""``.
        """
        record = job.record
        if self.task is not None:
            alone = not job.ledger.array_bits  # of tasks that wait together sacct finds none by itself
            return alone and (record.array_job_id, record.array_task) == (self.number, str(self.task))
        if self.offset is not None and whole != "yes":
            return record.het_job_id == self.number and record.het_offset == self.offset
        if record.slurm_job_id == self.number or record.array_job_id == self.number:
            return True
        return record.het_job_id == self.number and whole != "no"


def read_jobs(text: str) -> list[Wanted]:
    """Read --jobs.

    Raises:
        Failed: A part is no name of a job or step.
    """
    wanted = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _JOB.fullmatch(part)
        begun = f"fatal: Bad job/step specified: {part}"
        if match is None:
            raise Failed(f"{begun}: JobID includes unexpected non-numeric characters" if part[0].isdigit() else begun)
        if not int(match["number"]):
            raise Failed(f"{begun}: JobID can not be zero")
        step = match["step"] or ""
        if match["step"] is not None and not _STEP.fullmatch(step):
            raise Failed(f"{begun}: StepID includes unexpected non-numeric characters")
        task, offset = match["task"], match["offset"]
        wanted.append(
            Wanted(
                int(match["number"]),
                None if task is None else int(task),
                None if offset is None else int(offset),
                step.lower(),
            )
        )
    return wanted


def read_states(text: str) -> list[str]:
    """Read --state.

    Raises:
        Failed: A word is no state, or none that slurmdbd keeps.
    """
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        name = STATES.get(word.upper(), word.upper())
        if UNKEPT.get(name, name) in UNKEPT.values():
            raise Failed(f"fatal: job state {word} is not supported / accounted")
        if name not in STATES.values():
            raise Failed(f"fatal: unrecognized job state value '{word}'")
        found.append(name)
    return found


def read_flags(text: str) -> list[str]:
    """Read --flags into the words of Slurm's JSON.

    Raises:
        Failed: There is no such flag.
    """
    by_name = {name.lower(): word for word, name in FLAGS.items()}
    found = []
    for flag in filter(None, (flag.strip() for flag in text.split(","))):
        if flag.lower() not in by_name:
            raise Failed(f"error: str_2_job_flags: Invalid job flag {flag}")
        found.append(by_name[flag.lower()])
    return found


class Choice(NamedTuple):
    """What is left of what accounting tells.

    Attributes:
        wanted: --jobs; empty: all.
        whole: --whole-hetjob.
        flags: --flags: jobs that have one of them.
        limits: Time limits in minutes, least and largest; None: any.
        allocations: Without steps.
        expand: --array: each task of an array that waits on a line of its own.
    """

    wanted: Sequence[Wanted] = ()
    whole: str = ""
    flags: Sequence[str] = ()
    limits: tuple[int, int] | None = None
    allocations: bool = False
    expand: bool = False

    def jobs(self, told: Iterable[Accounted]) -> Iterator[Accounted]:
        """The jobs that are wanted."""
        told = list(told)
        named = {job.record.slurm_job_id for job in told if any(one.names(job, self.whole) for one in self.wanted)}
        if self.whole == "yes":  # one component brings all of its job
            whole = {job.record.het_job_id for job in told if job.record.slurm_job_id in named} - {0}
            named |= {job.record.slurm_job_id for job in told if job.record.het_job_id in whole}
        for job in told:
            if self.wanted and job.record.slurm_job_id not in named:
                continue
            if self.flags and not set(self.flags) & set(job.ledger.flags):
                continue
            if self.limits and not self.limits[0] <= (job.record.wall_s or 0) // 60 <= self.limits[1]:
                continue
            yield job

    def _steps(self, job: Accounted) -> tuple[bool, Sequence[Step]]:
        """Whether the job itself is shown, and which of its steps."""
        named = [one for one in self.wanted if one.names(job, self.whole)]
        if self.allocations:
            return True, ()
        if not named or not all(one.step for one in named):
            return True, job.steps
        steps = {one.step for one in named}
        return False, [step for step in job.steps if step.id in steps]

    def rows(self, told: Iterable[Accounted], way: Way) -> Iterator[Row]:
        """The lines that are printed."""
        for job in self.jobs(told):
            itself, steps = self._steps(job)
            if itself:
                tasks = tasks_of(job) if self.expand else []
                yield from (Row(job, None, way, task) for task in tasks or (None,))
            yield from (Row(job, step, way) for step in steps)


def truncated(job: Accounted, since: int, until: int) -> Accounted:
    """A job as it was within a time (--truncate).

    Args:
        job: Any.
        since: Unix seconds; 0: from the beginning.
        until: Unix seconds.
    """
    import msgspec

    record, ledger = job.record, job.ledger
    if not record.start_time:
        return job
    start, end = _within(record.start_time, record.end_time, since, until)
    return msgspec.structs.replace(
        job,
        record=msgspec.structs.replace(record, start_time=start, end_time=end),
        ledger=msgspec.structs.replace(
            ledger,
            elapsed_s=max(end - start - ledger.suspended_s, 0),
            planned_s=start - record.eligible_time if record.eligible_time else ledger.planned_s,
        ),
        steps=tuple(_truncated_step(step, since, until) for step in job.steps),
    )


def _truncated_step(step: Step, since: int, until: int) -> Step:
    import msgspec

    start, end = _within(step.start_time, step.end_time, since, until)
    elapsed_s = max(end - start - step.suspended_s, 0)
    return msgspec.structs.replace(step, start_time=start, end_time=end, elapsed_s=elapsed_s)


def _within(start: int, end: int, since: int, until: int) -> tuple[int, int]:
    return max(start, since), min(end or until, until)

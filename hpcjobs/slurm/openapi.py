"""Slurm's data as its own JSON says it, and our reading of it. Pure.

slurmrestd and the ``--json`` of squeue, scontrol and sacct write the same documents (Slurm's data_parser, v0.0.42 to
v0.0.45): one reading serves both.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from hpcjobs.model.gres import gpus_of_tres, parse_tres
from hpcjobs.model.job import WAITING, JobRecord
from hpcjobs.slurm import targets
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.openapi_cluster import NodeWords, PartitionWords
from hpcjobs.slurm.openapi_numbers import NONE as NONE
from hpcjobs.slurm.openapi_numbers import ExitCode as ExitCode
from hpcjobs.slurm.openapi_numbers import Number as Number
from hpcjobs.slurm.openapi_particulars import ParticularWords, particulars_of
from hpcjobs.slurm.openapi_reservations import ReservationWords
from hpcjobs.slurm.outcomes import Part
from hpcjobs.slurm.states import read_state

T = TypeVar("T")


class ErrorWords(msgspec.Struct, frozen=True):
    """An error of the whole call."""

    error_number: int = 0
    error: str | None = None
    description: str | None = None


class JobWords(ParticularWords, frozen=True, kw_only=True):
    """A job of the controller."""

    job_id: int
    user_name: str = ""
    job_state: tuple[str, ...] = ()
    state_reason: str = ""
    name: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    comment: str = ""
    node_count: Number = NONE
    nodes: str = ""
    tasks: Number = NONE
    cpus: Number = NONE
    time_limit: Number = NONE
    submit_time: Number = NONE
    eligible_time: Number = NONE
    start_time: Number = NONE
    end_time: Number = NONE
    exit_code: ExitCode = ExitCode()
    restart_cnt: int = 0
    priority: Number = NONE
    dependency: str = ""
    current_working_directory: str = ""
    standard_output: str = ""
    standard_error: str = ""
    stdout_expanded: str = ""
    stderr_expanded: str = ""
    array_job_id: Number = NONE
    array_task_id: Number = NONE
    array_task_string: str = ""
    het_job_id: Number = NONE
    het_job_offset: Number = NONE


class _Fault(msgspec.Struct, frozen=True):
    code: int = 0
    message: str | None = None


class StatusWords(msgspec.Struct, frozen=True):
    """What became of one part of a job; killing says ``error``, updating ``error_code`` and words beside it."""

    error: _Fault | str | None = None
    error_code: int = 0
    why: str | None = None
    step_id: str = ""
    job_id: Number | int = 0

    @property
    def part(self) -> Part:
        """As ours."""
        if isinstance(self.error, _Fault):
            return Part(self.step_id, self.error.code, self.error.message or "")
        return Part(self.step_id, self.error_code, self.error or "")

    @property
    def number(self) -> int:
        """Slurm's number of the part, 0 where it says none."""
        return self.job_id.value if isinstance(self.job_id, Number) else self.job_id


class Reply(msgspec.Struct, frozen=True):
    """The parts of any reply of the controller that we read."""

    errors: tuple[ErrorWords, ...] = ()
    jobs: tuple[JobWords, ...] = ()
    nodes: tuple[NodeWords, ...] = ()
    partitions: tuple[PartitionWords, ...] = ()
    status: tuple[StatusWords | tuple[StatusWords, ...], ...] = ()
    results: tuple[StatusWords, ...] | None = None
    job_id: int = 0

    def statuses(self) -> list[StatusWords]:
        """What became of each part that is mentioned."""
        found: list[StatusWords] = []
        for entry in self.status:
            found.extend([entry] if isinstance(entry, StatusWords) else entry)
        return found + list(self.results or ())


class ReservationsTold(Reply, frozen=True):
    """A reply that lists reservations; the reply to an order repeats them too, in the form of the order."""

    reservations: tuple[ReservationWords, ...] = ()


def decode(content: bytes, kind: type[T]) -> T:
    """Read a document; bytes that are no UTF-8 become U+FFFD.

    Job names are bytes to Slurm: one that is no UTF-8 must not hide all others.

    Raises:
        msgspec.MsgspecError: It is not of that form.
    """
    return msgspec.json.decode(content.decode(errors="replace"), type=kind)


def array_task(array_job_id: int, task_id: Number, waiting: str) -> str:
    """Which task of its array a job is, as Slurm prints it; ``""`` where it is of none."""
    return targets.array_task(array_job_id, task_id.value if task_id.set else 0, waiting)


def record_of(job: JobWords) -> JobRecord:
    """A job of the controller as ours."""
    raw_state = ",".join(job.job_state)
    reason = "" if job.state_reason == "None" else job.state_reason
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment)
    started = state not in WAITING
    tres = parse_tres((job.tres_alloc_str if started else "") or job.tres_req_str)
    stdout = job.stdout_expanded or job.standard_output
    return JobRecord(
        slurm_job_id=job.job_id,
        attempt=attempt,
        user=job.user_name,
        state=state,
        fate=fate,
        raw_state=raw_state,
        name=job.name,
        account=job.account,
        partition=job.partition,
        qos=job.qos,
        reason=reason,
        comment=comment,
        nodes=job.node_count.value,
        node_list=job.nodes,
        ntasks=job.tasks.value,
        cpus=job.cpus.value,
        gpus=gpus_of_tres(tres),
        mem_bytes=tres.get("mem", 0),
        wall_s=wall_s_of(job.time_limit),
        submit_time=job.submit_time.value,
        eligible_time=job.eligible_time.value,
        start_time=job.start_time.value,
        end_time=job.end_time.value,
        exit_code=job.exit_code.return_code.value,
        exit_signal=job.exit_code.signal.id.value,
        restarts=job.restart_cnt,
        priority=job.priority.value,
        dependency=job.dependency,
        workdir=job.current_working_directory,
        stdout=stdout,
        stderr=job.stderr_expanded or job.standard_error or stdout,
        array_job_id=job.array_job_id.value,
        array_task=array_task(job.array_job_id.value, job.array_task_id, job.array_task_string),
        het_job_id=job.het_job_id.value,
        het_offset=job.het_job_offset.value if job.het_job_id.value else 0,
        particulars=particulars_of(job),
    )


def wall_s_of(limit: Number) -> int | None:
    """A time limit in seconds; None is unlimited or the partition's."""
    return limit.value * 60 if limit.set and not limit.infinite else None

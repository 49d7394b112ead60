"""Accounting (slurmdbd) as Slurm's own JSON says it, and our reading of it. Pure; see openapi."""

from __future__ import annotations

import msgspec

from hpcjobs.model.gres import gpus_of_tres
from hpcjobs.model.history import Accounted, Step
from hpcjobs.model.job import JobRecord
from hpcjobs.slurm.base import MIB, split_comment
from hpcjobs.slurm.openapi import NONE, ErrorWords, ExitCode, Number, array_task, wall_s_of
from hpcjobs.slurm.states import read_state


class _Tres(msgspec.Struct, frozen=True):
    type: str = ""
    name: str = ""
    count: int = 0


class _JobTres(msgspec.Struct, frozen=True):
    allocated: tuple[_Tres, ...] = ()
    requested: tuple[_Tres, ...] = ()


class _Most(msgspec.Struct, frozen=True):
    max: tuple[_Tres, ...] = ()


class _StepTres(msgspec.Struct, frozen=True):
    allocated: tuple[_Tres, ...] = ()
    requested: _Most = _Most()


class _JobTimes(msgspec.Struct, frozen=True):
    submission: int = 0
    eligible: int = 0
    start: int = 0
    end: int = 0
    limit: Number = NONE


class _StepTimes(msgspec.Struct, frozen=True):
    start: Number = NONE
    end: Number = NONE


class _State(msgspec.Struct, frozen=True):
    current: tuple[str, ...] = ()
    reason: str = ""


class _Comment(msgspec.Struct, frozen=True):
    job: str = ""


class _Array(msgspec.Struct, frozen=True):
    job_id: int = 0
    task_id: Number = NONE
    task: str = ""


class _Het(msgspec.Struct, frozen=True):
    job_id: int = 0
    job_offset: Number = NONE


class _Nodes(msgspec.Struct, frozen=True):
    range: str = ""


class _Count(msgspec.Struct, frozen=True):
    count: int = 0


class _StepName(msgspec.Struct, frozen=True):
    id: str = ""
    name: str = ""


class StepWords(msgspec.Struct, frozen=True):
    """A step of accounting."""

    step: _StepName = _StepName()
    state: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode()
    time: _StepTimes = _StepTimes()
    nodes: _Nodes = _Nodes()
    tasks: _Count = _Count()
    tres: _StepTres = _StepTres()


class AccountedWords(msgspec.Struct, frozen=True):
    """A job of accounting."""

    job_id: int
    user: str | None = ""
    state: _State = _State()
    name: str = ""
    account: str | None = ""
    partition: str | None = ""
    qos: str | None = ""
    comment: _Comment = _Comment()
    allocation_nodes: int = 0
    nodes: str = ""
    time: _JobTimes = _JobTimes()
    exit_code: ExitCode = ExitCode()
    restart_cnt: int = 0
    priority: Number = NONE
    working_directory: str | None = ""
    stdout: str | None = ""
    stderr: str | None = ""
    stdout_expanded: str | None = ""
    stderr_expanded: str | None = ""
    array: _Array = _Array()
    het: _Het = _Het()
    tres: _JobTres = _JobTres()
    steps: tuple[StepWords, ...] = ()


class AccountingReply(msgspec.Struct, frozen=True):
    """The parts of a reply of slurmdbd that we read."""

    jobs: tuple[AccountedWords, ...] = ()
    errors: tuple[ErrorWords, ...] = ()


def _counts(tres: tuple[_Tres, ...]) -> dict[str, int]:
    """By Slurm's names; memory in MiB, as slurmdbd counts it. A negative count means "none yet"."""
    return {f"{entry.type}/{entry.name}" if entry.name else entry.type: max(entry.count, 0) for entry in tres}


def step_of(step: StepWords) -> Step:
    """A step of accounting as ours."""
    counts = _counts(step.tres.allocated)
    return Step(
        id=step.step.id.rpartition(".")[2],
        name=step.step.name,
        raw_state=",".join(step.state),
        exit_code=step.exit_code.return_code.value,
        exit_signal=step.exit_code.signal.id.value,
        start_time=step.time.start.value,
        end_time=step.time.end.value,
        node_list=step.nodes.range,
        ntasks=step.tasks.count,
        cpus=counts.get("cpu", 0),
        gpus=gpus_of_tres(counts),
        mem_max_bytes=_counts(step.tres.requested.max).get("mem", 0),
    )


def accounted_of(job: AccountedWords) -> Accounted:
    """A job of accounting as ours."""
    raw_state = ",".join(job.state.current)
    reason = "" if job.state.reason == "None" else job.state.reason
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment.job)
    counts = _counts(job.tres.allocated) if job.tres.allocated else _counts(job.tres.requested)
    stdout = job.stdout_expanded or job.stdout or ""
    return Accounted(
        JobRecord(
            slurm_job_id=job.job_id,
            attempt=attempt,
            user=job.user or "",
            state=state,
            fate=fate,
            raw_state=raw_state,
            name=job.name,
            account=job.account or "",
            partition=job.partition or "",
            qos=job.qos or "",
            reason=reason,
            comment=comment,
            nodes=counts.get("node", job.allocation_nodes),
            node_list="" if job.nodes == "None assigned" else job.nodes,
            cpus=counts.get("cpu", 0),
            gpus=gpus_of_tres(counts),
            mem_bytes=counts.get("mem", 0) * MIB,
            wall_s=wall_s_of(job.time.limit),
            submit_time=job.time.submission,
            eligible_time=job.time.eligible,
            start_time=job.time.start,
            end_time=job.time.end,
            exit_code=job.exit_code.return_code.value,
            exit_signal=job.exit_code.signal.id.value,
            restarts=job.restart_cnt,
            priority=job.priority.value,
            workdir=job.working_directory or "",
            stdout=stdout,
            stderr=job.stderr_expanded or job.stderr or stdout,
            array_job_id=job.array.job_id,
            array_task=array_task(job.array.job_id, job.array.task_id, job.array.task),
            het_job_id=job.het.job_id,
            het_offset=job.het.job_offset.value if job.het.job_id else 0,
        ),
        tuple(step_of(step) for step in job.steps),
    )

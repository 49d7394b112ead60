"""Accounting (slurmdbd) as Slurm's own JSON says it, and our reading of it. Pure; see openapi."""

from __future__ import annotations

from typing import Final

from hpcjobs.model.amount import MIB, NO_VAL
from hpcjobs.model.gres import gpus_of_tres
from hpcjobs.model.history import Accounted, Ledger, Step, Usage
from hpcjobs.model.job import JobRecord
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.openapi import Number, array_task, wall_s_of
from hpcjobs.slurm.openapi_accounting_words import UNKNOWN, StepWords, Tres, Used
from hpcjobs.slurm.openapi_accounting_words import AccountedWords as AccountedWords
from hpcjobs.slurm.openapi_accounting_words import AccountingReply as AccountingReply
from hpcjobs.slurm.states import read_state

NO_TIME: Final = NO_VAL
"""Slurm's word for no time (NO_VAL); it stands for the start of a job that was cancelled before it began."""

COUNTED_IN_MIB: Final = "mem"


def _counts(tres: tuple[Tres, ...]) -> dict[str, int]:
    """By Slurm's names; memory in MiB, as slurmdbd counts it. A negative count means "none yet"."""
    return {entry.word: max(entry.count, 0) for entry in tres}


def tres_text(tres: tuple[Tres, ...]) -> str:
    """Resources as Slurm writes them, in its order; those of which there are none yet are left out."""
    words = [
        f"{entry.word}={entry.count}{'M' if entry.word == COUNTED_IN_MIB else ''}" for entry in tres if entry.count >= 0
    ]
    return ",".join(sorted(words))


def _usage(used: Used) -> Usage:
    return Usage(
        max=_counts(used.max),
        max_node={entry.word: entry.node for entry in used.max},
        max_task={entry.word: entry.task for entry in used.max},
        min=_counts(used.min),
        min_node={entry.word: entry.node for entry in used.min},
        min_task={entry.word: entry.task for entry in used.min},
        average=_counts(used.average),
        total=_counts(used.total),
    )


def _frequency(asked: Number) -> str:
    return str(asked.value) if asked.set else UNKNOWN


def _line(text: str | None) -> str:
    """A command line, of which our mark is nobody's business either."""
    return split_comment(text)[0]


def step_of(step: StepWords) -> Step:
    """A step of accounting as ours."""
    counts = _counts(step.tres.allocated)
    return Step(
        id=step.step.id.rpartition(".")[2],
        name=step.step.name,
        raw_state=",".join(step.state),
        exit_code=step.exit_code.return_code.value,
        exit_signal=step.exit_code.signal.id.value,
        start_time=_time(step.time.start.value),
        end_time=_time(step.time.end.value),
        node_list=step.nodes.range,
        ntasks=step.tasks.count,
        cpus=counts.get("cpu", 0),
        gpus=gpus_of_tres(counts),
        mem_max_bytes=_counts(step.tres.requested.max).get("mem", 0),
        nodes=step.nodes.count,
        elapsed_s=step.time.elapsed,
        suspended_s=step.time.suspended,
        user_cpu_s=step.time.user.value_s,
        system_cpu_s=step.time.system.value_s,
        total_cpu_s=step.time.total.value_s,
        tres_alloc=tres_text(step.tres.allocated),
        layout=step.task.distribution,
        cpu_frequency_khz=step.statistics.CPU.actual_frequency,
        cpu_frequency_min=_frequency(step.CPU.requested_frequency.min),
        cpu_frequency_max=_frequency(step.CPU.requested_frequency.max),
        cpu_governor=step.CPU.governor,
        energy_j=step.statistics.energy.consumed.value,
        killed_by=step.kill_request_user or "",
        container=step.container or "",
        submit_line=_line(step.submit_line),
        stdin=step.step.stdin,
        stdout=step.step.stdout,
        stderr=step.step.stderr,
        usage_in=_usage(step.tres.requested),
        usage_out=_usage(step.tres.consumed),
    )


def _energy(tres: tuple[Tres, ...]) -> int | None:
    """Joules; None where Slurm says that it does not know."""
    counted = [one.count for one in tres if one.type == "energy"] or [0]
    return counted[0] if counted[0] >= 0 else None


def _time(told: int) -> int:
    return 0 if told == NO_TIME else told


def ledger_of(job: AccountedWords) -> Ledger:
    """What only accounting has of a job."""
    asked, allocated, times = _counts(job.tres.requested), _counts(job.tres.allocated), job.time
    per_cpu, per_node = job.required.memory_per_cpu, job.required.memory_per_node
    return Ledger(
        elapsed_s=times.elapsed,
        suspended_s=times.suspended,
        planned_s=times.planned.value,
        user_cpu_s=times.user.value_s,
        system_cpu_s=times.system.value_s,
        total_cpu_s=times.total.value_s,
        wall_unlimited=times.limit.infinite,
        energy_j=_energy(job.tres.allocated),
        derived_exit_code=job.derived_exit_code.return_code.value,
        derived_exit_signal=job.derived_exit_code.signal.id.value,
        tres_req=tres_text(job.tres.requested),
        tres_alloc=tres_text(job.tres.allocated),
        cpus_req=job.required.CPUs or asked.get("cpu", 0),
        nodes_req=asked.get("node", 0),
        nodes_alloc=allocated.get("node", 0),
        mem_per_node_bytes=per_node.value * MIB if per_node.set and not per_cpu.set else None,
        mem_per_cpu_bytes=per_cpu.value * MIB if per_cpu.set else None,
        group=job.group or "",
        association_id=job.association.id,
        cluster=job.cluster or "",
        sluid=job.sluid or "",
        original_sluid=job.original_sluid or "",
        wckey=job.wckey.wckey or "",
        reservation=job.reservation.name or "",
        reservation_id=job.reservation.id,
        reservation_req=job.reservation.requested or "",
        qos_req=job.qosreq or "",
        constraint=job.constraints or "",
        licenses=job.licenses or "",
        exclusive=job.exclusive or "",
        oversubscribe=job.oversubscribe or "",
        segment_size=job.segment_size,
        array_max_running=job.array.limits.max.running.tasks,
        array_bits=job.array.task,
        flags=job.flags,
        submit_line=_line(job.submit_line),
        container=job.container or "",
        extra=job.extra or "",
        admin_comment=job.comment.administrator,
        system_comment=job.comment.system,
        mcs_label=job.mcs.label or "",
        block=job.block or "",
        failed_node=job.failed_node or "",
        killed_by=job.kill_request_user or "",
        stdin=job.stdin or "",
        stdout=job.stdout or "",
        stderr=job.stderr or "",
        stdin_path=job.stdin_expanded or "",
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
            start_time=_time(job.time.start),
            end_time=_time(job.time.end),
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
        ledger_of(job),
    )

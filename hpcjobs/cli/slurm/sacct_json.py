"""What ``sacct --json`` prints: the shape of Slurm's data_parser/v0.0.45, for what accounting told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm import json_document
from hpcjobs.cli.slurm.common import Call
from hpcjobs.cli.slurm.json_document import INFINITE, exit_code, number
from hpcjobs.cli.slurm.sacct_jobs import Choice
from hpcjobs.model.amount import MIB, NO_VAL

if TYPE_CHECKING:
    from hpcjobs.model.history import Accounted, Step, Usage

Json = Mapping[str, object]
IDS: Final = {"cpu": 1, "mem": 2, "energy": 3, "node": 4, "billing": 5, "fs/disk": 6, "vmem": 7, "pages": 8}
"""Numbers that these resources have in every database of Slurm (slurmdb.h); those of others are a site's own."""


def _tres(name: str, count: int) -> dict[str, object]:
    kind, _, rest = name.partition("/")
    whole = "" if name == "fs/disk" else rest
    told: dict[str, object] = {"type": kind if whole or not rest else name, "name": rest, "count": count}
    if name == "fs/disk":
        told["type"] = "fs"
    if name in IDS:
        told["id"] = IDS[name]
    return told


def tres(text: str) -> list[dict[str, object]]:
    """Resources as Slurm's text has them, in the order of their numbers."""
    found = []
    for part in text.split(",") if text else ():
        name, _, count = part.rpartition("=")
        found.append(_tres(name, int(count.rstrip("M"))))
    return sorted(found, key=lambda one: (IDS.get(str(one["type"]), 99), str(one["type"]), str(one["name"])))


def _used(
    counts: Mapping[str, int], nodes: Mapping[str, str] | None = None, tasks: Mapping[str, int] | None = None
) -> list[dict[str, object]]:
    found = []
    for name, count in counts.items():
        told = _tres(name, count)
        if nodes is not None and tasks is not None:
            told |= {"node": nodes.get(name, ""), "task": tasks.get(name, 0)}
        found.append(told)
    return found


def _usage(usage: Usage) -> Json:
    return {
        "max": _used(usage.max, usage.max_node, usage.max_task),
        "min": _used(usage.min, usage.min_node, usage.min_task),
        "average": _used(usage.average),
        "total": _used(usage.total),
    }


def _cpu(seconds: float) -> Json:
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return {"seconds": whole, "microseconds": micros}


def _frequency(asked: str) -> Json:
    return number(int(asked)) if asked.isdigit() else number(None)


def step_of(step: Step, job: Accounted) -> Json:
    """A step."""
    return {
        "time": {
            "elapsed": step.elapsed_s,
            "end": number(step.end_time),
            "start": number(step.start_time),
            "suspended": step.suspended_s,
            "system": _cpu(step.system_cpu_s),
            "limit": dict(INFINITE),
            "total": _cpu(step.total_cpu_s),
            "user": _cpu(step.user_cpu_s),
        },
        "exit_code": exit_code(step.exit_code, step.exit_signal),
        "nodes": {"count": step.nodes, "range": step.node_list},
        "tasks": {"count": step.ntasks},
        "CPU": {
            "requested_frequency": {
                "min": _frequency(step.cpu_frequency_min),
                "max": _frequency(step.cpu_frequency_max),
            },
            "governor": step.cpu_governor,
        },
        "kill_request_user": step.killed_by,
        "state": [step.raw_state],
        "statistics": {
            "CPU": {"actual_frequency": step.cpu_frequency_khz},
            "energy": {"consumed": number(step.energy_j)},
        },
        "step": {
            "id": f"{job.record.slurm_job_id}.{step.id}",
            "name": step.name,
            "stderr": step.stderr,
            "stdin": step.stdin,
            "stdout": step.stdout,
        },
        "submit_line": step.submit_line,
        "task": {"distribution": step.layout},
        "tres": {
            "requested": _usage(step.usage_in),
            "consumed": _usage(step.usage_out),
            "allocated": tres(step.tres_alloc),
        },
    }


def _memory(job: Accounted, *, per_cpu: bool) -> Json:
    asked = job.ledger.mem_per_cpu_bytes if per_cpu else job.ledger.mem_per_node_bytes
    return number(None if asked is None else asked // MIB)


def _limit(job: Accounted) -> Json:
    if job.ledger.wall_unlimited:
        return dict(INFINITE)
    return number(None if job.record.wall_s is None else job.record.wall_s // 60)


def job_of(job: Accounted, steps: Sequence[Step], cluster: str) -> Json:
    """A job with some of its steps."""
    record, ledger = job.record, job.ledger
    waits = bool(ledger.array_bits)
    cancelled_waiting = bool(record.end_time and not record.start_time)
    return {
        "account": record.account,
        "comment": {
            "administrator": ledger.admin_comment,
            "job": record.comment,
            "system": ledger.system_comment,
        },
        "allocation_nodes": ledger.nodes_alloc,
        "array": {
            "job_id": record.array_job_id,
            "limits": {"max": {"running": {"tasks": ledger.array_max_running}}},
            "task_id": number(int(record.array_task) if record.array_job_id and not waits else None),
            "task": ledger.array_bits,
        },
        "association": {"cluster": cluster, "id": ledger.association_id},
        "block": ledger.block,
        "cluster": ledger.cluster or cluster,
        "constraints": ledger.constraint,
        "container": ledger.container,
        "sluid": ledger.sluid,
        "derived_exit_code": exit_code(ledger.derived_exit_code, ledger.derived_exit_signal),
        "time": {
            "elapsed": ledger.elapsed_s,
            "eligible": record.eligible_time,
            "end": record.end_time,
            "planned": number(ledger.planned_s),
            "start": NO_VAL if cancelled_waiting else record.start_time,
            "submission": record.submit_time,
            "suspended": ledger.suspended_s,
            "system": _cpu(ledger.system_cpu_s),
            "limit": _limit(job),
            "total": _cpu(ledger.total_cpu_s),
            "user": _cpu(ledger.user_cpu_s),
        },
        "exclusive": ledger.exclusive,
        "exit_code": exit_code(record.exit_code, record.exit_signal),
        "extra": ledger.extra,
        "failed_node": ledger.failed_node,
        "flags": list(ledger.flags),
        "group": ledger.group,
        "het": {
            "job_id": record.het_job_id,
            "job_offset": number(record.het_offset if record.het_job_id else None),
        },
        "job_id": record.slurm_job_id,
        "name": record.name,
        "licenses": ledger.licenses,
        "mcs": {"label": ledger.mcs_label},
        "nodes": record.node_list or "None assigned",
        "oversubscribe": ledger.oversubscribe,
        "partition": record.partition,
        "priority": number(record.priority),
        "qos": record.qos,
        "qosreq": ledger.qos_req,
        "required": {
            "CPUs": ledger.cpus_req,
            "memory_per_cpu": _memory(job, per_cpu=True),
            "memory_per_node": _memory(job, per_cpu=False),
        },
        "kill_request_user": ledger.killed_by,
        "restart_cnt": record.restarts,
        "reservation": {
            "id": ledger.reservation_id,
            "name": ledger.reservation,
            "requested": ledger.reservation_req,
        },
        "segment_size": ledger.segment_size,
        "original_sluid": ledger.original_sluid,
        "stdin_expanded": ledger.stdin_path,
        "stdout_expanded": record.stdout,
        "stderr_expanded": record.stderr if ledger.stderr else "",
        "stdout": ledger.stdout,
        "stderr": ledger.stderr,
        "stdin": ledger.stdin,
        "state": {"current": record.raw_state.split(","), "reason": record.reason or "None"},
        "steps": [step_of(step, job) for step in steps],
        "submit_line": ledger.submit_line,
        "tres": {"allocated": _allocated(job), "requested": tres(ledger.tres_req)},
        "user": record.user,
        "wckey": {"wckey": ledger.wckey, "flags": []},
        "working_directory": record.workdir,
    }


def _allocated(job: Accounted) -> list[dict[str, object]]:
    found = tres(job.ledger.tres_alloc)
    if job.ledger.energy_j is None:  # Slurm's word for "not known"
        found.append(_tres("energy", -2))
    return sorted(found, key=lambda one: (IDS.get(str(one["type"]), 99), str(one["type"]), str(one["name"])))


def document(call: Call, told: Iterable[tuple[str, Iterable[Accounted]]], choice: Choice) -> str:
    """The whole document.

    Args:
        call: The call that it answers.
        told: The jobs of each cluster.
        choice: Which of them, and whether with steps.
    """
    by_cluster = list(told)
    jobs = [
        job_of(job, () if choice.allocations else job.steps, cluster)
        for cluster, answer in by_cluster
        for job in choice.jobs(answer)
    ]
    return json_document.document(call, by_cluster[0][0] if len(by_cluster) == 1 else "", {"jobs": jobs})

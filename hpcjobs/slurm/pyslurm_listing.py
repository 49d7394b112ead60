"""Every job and node as pyslurm lists them, in the agent's process; only what changed since the last time is told.

Reading all of a job costs ten times as much as finding out that it is as it was, and most are.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, TypeVar

from hpcjobs.model.amount import MIB
from hpcjobs.model.gres import gpus_of_tres
from hpcjobs.model.job import WAITING, JobRecord
from hpcjobs.slurm import pyslurm_cluster
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.delta import Listing, Marks
from hpcjobs.slurm.pyslurm_particulars import particulars_mark, particulars_of
from hpcjobs.slurm.pyslurm_session import Tolerant, array_task, slurm_errors, user_name
from hpcjobs.slurm.states import read_state

T = TypeVar("T")

JOB_MARKS: Final = operator.attrgetter(
    "state", "state_reason", "comment", "user_id", "name", "account", "partition", "qos", "num_nodes",
    "allocated_nodes", "ntasks", "cpus", "time_limit", "submit_time", "eligible_time", "start_time", "end_time",
    "exit_code", "exit_code_signal", "requeue_count", "priority", "working_directory", "standard_output",
    "standard_error", "array_id", "array_tasks_waiting", "array_tasks_parallel", "array_task_id",
    "heterogeneous_id", "heterogeneous_offset",
    # What the requested and the allocated TRES, dear to read, are made of.
    "memory", "resize_time",
)  # fmt: skip
"""Everything that a JobRecord is made of, as cheap as it can be read, but for the dependencies and gres_per_node."""


def _gpus(gres: Mapping[str, Any]) -> dict[str, int]:
    return gpus_of_tres({f"gres/{name}": int(entry.count) for name, entry in gres.items()})


def _record(job: Any) -> JobRecord:  # noqa: ANN401
    raw_state, reason = str(job.state), str(job.state_reason or "").removeprefix("None")
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment)
    started = state not in WAITING
    tres = (job.allocated_tres if started else None) or job.requested_tres
    stdout = job.standard_output or ""
    return JobRecord(
        slurm_job_id=job.id,
        attempt=attempt,
        user=user_name(job.user_id),
        state=state,
        fate=fate,
        raw_state=raw_state,
        name=job.name or "",
        account=job.account or "",
        partition=job.partition or "",
        qos=job.qos or "",
        reason=reason,
        comment=comment,
        nodes=job.num_nodes or 0,
        node_list=job.allocated_nodes or "",
        ntasks=job.ntasks or 0,
        cpus=job.cpus or 0,
        gpus=_gpus(tres.gres) if tres else {},
        mem_bytes=(tres.mem.count if tres and tres.mem else 0) * MIB,
        wall_s=job.time_limit * 60 if isinstance(job.time_limit, int) else None,
        submit_time=job.submit_time or 0,
        eligible_time=job.eligible_time or 0,
        start_time=job.start_time or 0,
        end_time=job.end_time or 0,
        exit_code=job.exit_code or 0,
        exit_signal=job.exit_code_signal or 0,
        restarts=job.requeue_count or 0,
        priority=job.priority or 0,
        dependency=_dependency(job.dependencies),
        workdir=job.working_directory or "",
        stdout=stdout,
        stderr=job.standard_error or stdout,
        array_job_id=job.array_id or 0,
        array_task=array_task(job),
        het_job_id=job.heterogeneous_id or 0,
        het_offset=(job.heterogeneous_offset or 0) if job.heterogeneous_id else 0,
        particulars=particulars_of(job),
    )


def _dependency(parsed: Any) -> str:  # noqa: ANN401
    """Slurm's own text again, from pyslurm's reading of it."""
    if not parsed:
        return ""
    kinds = {kind: numbers for kind, numbers in parsed.items() if kind != "satisfy" and numbers}
    parts = [part for kind, numbers in kinds.items() for part in _items(kind, numbers)]
    return ("?" if parsed.get("satisfy") == "any" else ",").join(parts)


def _items(kind: str, numbers: Any) -> list[str]:  # noqa: ANN401
    """What is depended on in one way; jobs whose states are told stand each for itself, as slurmctld writes them."""
    if numbers is True:
        return [kind]
    told = [str(number) for number in numbers]
    if any("(" in number for number in told):
        return [f"{kind}:{number}" for number in told]
    return [f"{kind}:{':'.join(told)}"]


def _job_mark(job: Any) -> Hashable:  # noqa: ANN401
    # Mappings cannot be hashed; they are seldom there.
    return JOB_MARKS(job), repr(job.dependencies or ""), repr(job.gres_per_node or ""), particulars_mark(job)


_jobs: Marks[int] = Marks()
_serial = 0


def _read(job: Any, mark: Callable[[Any], T]) -> T:  # noqa: ANN401
    """Read an object of pyslurm, tolerantly only where it must be: that takes three times as long."""
    try:
        return mark(job)
    except UnicodeDecodeError:
        return mark(Tolerant(job))


def changes(since: int) -> Listing:
    """What has changed.

    Args:
        since: Serial number of the listing that the caller has; any other than the last of this process gets all.
    """
    global _serial
    if since != _serial or not _serial:
        since = 0
        _jobs.clear()
        pyslurm_cluster.forget()
    _serial = time.time_ns()
    with slurm_errors() as pyslurm:
        jobs: Mapping[int, Any] = pyslurm.Jobs.load()
        changed, gone = _jobs.compare({number: hash(_read(job, _job_mark)) for number, job in jobs.items()})
        records = [_read(jobs[number], _record) for number in changed]
        nodes, nodes_gone, partitions = pyslurm_cluster.changes(pyslurm)
        reservations = pyslurm_cluster.reservations(pyslurm)
    return Listing(since, _serial, records, gone, nodes, nodes_gone, partitions, reservations)

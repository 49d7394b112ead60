"""What the pyslurm agent does, in the user's own process. Nothing else imports pyslurm.

The module holds the interpreter's lock for as long as the controller takes and may end the process when slurm.conf
is missing, which is why it lives in a process that can be lost.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import msgspec

from hpcjobs.agents.serve import Operation
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import UNTYPED, gpus_of_tres
from hpcjobs.model.job import JobRecord, State
from hpcjobs.slurm.base import MIB, Launch, split_comment
from hpcjobs.slurm.pyslurm_acting import act, history
from hpcjobs.slurm.pyslurm_description import description
from hpcjobs.slurm.pyslurm_session import Tolerant, array_task, slurm_errors, user_name
from hpcjobs.slurm.states import node_usable, read_state


def _gpus(gres: Mapping[str, Any]) -> dict[str, int]:
    return gpus_of_tres({f"gres/{name}": int(entry.count) for name, entry in gres.items()})


def _record(job: Any) -> JobRecord:  # noqa: ANN401
    raw_state, reason = str(job.state), str(job.state_reason or "").removeprefix("None")
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment)
    started = state not in (State.PENDING, State.HELD)
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
    )


def _dependency(parsed: Any) -> str:  # noqa: ANN401
    """Slurm's own text again, from pyslurm's reading of it."""
    if not parsed:
        return ""
    kinds = {kind: numbers for kind, numbers in parsed.items() if kind != "satisfy" and numbers}
    parts = [
        kind if numbers is True else f"{kind}:{':'.join(str(number) for number in numbers)}"
        for kind, numbers in kinds.items()
    ]
    return ("?" if parsed.get("satisfy") == "any" else ",").join(parts)


def _node(node: Any) -> Node:  # noqa: ANN401
    raw_state = str(node.state)
    configured = {name: int(count) for name, count in (node.configured_gres or {}).items()}
    gpus = gpus_of_tres({f"gres/{name}": count for name, count in configured.items()})
    used = gpus_of_tres({f"gres/{name}": int(count) for name, count in (node.allocated_gres or {}).items()})
    if set(used) == {UNTYPED} and len(gpus) == 1:
        # The controller tracks no types; on a node with one type there is no doubt.
        used = {next(iter(gpus)): used[UNTYPED]}
    return Node(
        name=node.name,
        raw_state=raw_state,
        usable=node_usable(raw_state),
        cpus=node.effective_cpus or 0,
        cpus_alloc=node.allocated_cpus or 0,
        mem_bytes=(node.real_memory or 0) * MIB,
        mem_alloc_bytes=(node.allocated_memory or 0) * MIB,
        gpus=gpus,
        gpus_alloc=used,
        partitions=tuple(node.partitions or ()),
        features=tuple(node.available_features or ()),
        reason=node.reason or "",
    )


def view(cluster: str, now: float) -> ClusterView:
    """Every job and node."""
    with slurm_errors() as pyslurm:
        jobs = [_record(Tolerant(job)) for job in pyslurm.Jobs.load().values()]
        nodes = [_node(Tolerant(node)) for node in pyslurm.Nodes.load().values()]
    return ClusterView(cluster, now, {job.slurm_job_id: job for job in jobs}, {node.name: node for node in nodes})


def find(attempt: str) -> int | None:
    """The number of the job that carries the mark, if the controller lists it to this user."""
    with slurm_errors() as pyslurm:
        for number, job in pyslurm.Jobs.load().items():
            # A mark can be read in another's comment and copied; it counts in one's own jobs only.
            if job.user_id == os.getuid() and split_comment(Tolerant(job).comment)[1] == attempt:
                return int(number)
    return None


def submit(launch: dict[str, Any]) -> int:
    """Submit as whoever this process is."""
    wanted = msgspec.convert(launch, Launch)
    with slurm_errors() as pyslurm, tempfile.TemporaryDirectory(prefix="hpcjobs-") as folder:
        script: str = wanted.spec.script
        if wanted.spec.args:
            # pyslurm passes arguments on only for a script that it reads from a file.
            script = f"{folder}/{(wanted.spec.script_name or 'script').replace('/', '_')}"
            with open(script, "w", newline="") as file:
                file.write(wanted.spec.script)
        asked = pyslurm.JobSubmitDescription(
            script=script, script_args=list(wanted.spec.args) or None, **description(wanted)
        )
        return int(asked.submit())


OPERATIONS: Mapping[str, Operation] = {"view": view, "find": find, "submit": submit, "act": act, "history": history}

"""Small builders that several modules of the fast tier share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import Fate, Job, JobRecord, State
from hpcjobs.model.spec import JobSpec, Resources

SCRIPT = "#!/bin/sh\nsrun hostname\n"


def spec(script: str = SCRIPT, resources: Resources | None = None, **fields: Any) -> JobSpec:
    return JobSpec(script=script, resources=resources or Resources(), **fields)


def record(number: int = 7, **fields: Any) -> JobRecord:
    told = {"user": "alice", "state": State.PENDING, "raw_state": "PENDING", "submit_time": 100, "name": "train"}
    return JobRecord(slurm_job_id=number, **(told | fields))


def finished(number: int = 7, **fields: Any) -> JobRecord:
    return record(number, **({"state": State.FINISHED, "fate": Fate.COMPLETED, "raw_state": "COMPLETED"} | fields))


def job(**fields: Any) -> Job:
    return Job(**({"id": "0" * 32, "cluster": "big", "slurm_job_id": 7, "created_at": 1.0, "changed_at": 1.0} | fields))


def node(name: str = "n1", **fields: Any) -> Node:
    told: dict[str, Any] = {
        "raw_state": "IDLE",
        "usable": True,
        "cpus": 64,
        "cpus_alloc": 0,
        "mem_bytes": 2**40,
        "mem_alloc_bytes": 0,
        "gpus": {"a100": 8},
        "gpus_alloc": {},
        "partitions": ("gpu",),
        "features": (),
    }
    return Node(name, **(told | fields))


def view(*jobs: JobRecord, nodes: tuple[Node, ...] = (), at: float = 1000.0) -> ClusterView:
    return ClusterView("big", at, {job.slurm_job_id: job for job in jobs}, {node.name: node for node in nodes})


def until(what: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait until it is so. The bound is for what never comes, not for a machine that is slow today."""
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False

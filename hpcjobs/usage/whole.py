"""Whose all GPUs of a node are: known of the listing where the node itself cannot say. Pure.

A job that has nodes and runs nothing on some of them has no process there, and its GPUs there are as idle as can be.
"""

from __future__ import annotations

from typing import NamedTuple

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import State
from hpcjobs.sbatch.hostlists import nodes_in


class Holder(NamedTuple):
    """A job that has all GPUs of a node.

    Attributes:
        slurm_job_id: Its number.
        since: Unix seconds when it started.
    """

    slurm_job_id: int
    since: int


def holder_of(view: ClusterView, name: str) -> Holder | None:
    """The job that has all GPUs of a node; None: several have them, or nobody has all.

    Args:
        view: A listing.
        name: The node.
    """
    node = view.nodes.get(name)
    total = sum(node.gpus.values()) if node else 0
    if node is None or not total or sum(node.gpus_alloc.values()) != total:
        return None
    there = [
        job for job in view.jobs.values() if job.state is State.RUNNING and job.gpus and name in nodes_in(job.node_list)
    ]
    return Holder(there[0].slurm_job_id, there[0].start_time) if len(there) == 1 else None

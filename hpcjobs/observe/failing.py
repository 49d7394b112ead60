"""Nodes that failed under jobs, as two listings tell it. Pure.

Slurm forgets which node a job lost as soon as it has requeued it, and every job MinJobAge after its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import JobRecord, State
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.store.repository import Known

ON_NODES: Final = frozenset({State.RUNNING, State.SUSPENDED})
ENDED_OTHERWISE: Final = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"}
)


def failed_nodes(before: JobRecord, after: JobRecord, view: ClusterView) -> list[str]:
    """Names of the nodes that a job has lost between two listings, sorted: it has left them, and they are down.

    Args:
        before: The job as it was.
        after: As it is.
        view: The listing now.
    """
    stays = after.state in ON_NODES and after.restarts == before.restarts
    if before.state not in ON_NODES or stays or not before.node_list:
        return []
    if not ENDED_OTHERWISE.isdisjoint(after.raw_state.split(",")):
        return []
    found = {name for name in expand_hostlist(before.node_list) if _is_down(name, view)}
    return sorted(found | {*filter(None, [after.particulars.failed_node])})


def _is_down(name: str, view: ClusterView) -> bool:
    return name in view.nodes and "DOWN" in view.nodes[name].raw_state.rstrip("*").split("+")


def failure_events(before: ClusterView | None, view: ClusterView, known: Mapping[int, Known]) -> list[Event]:
    """What a listing tells of nodes that failed under jobs.

    Args:
        before: The listing before, or None.
        view: The listing now.
        known: The jobs of both, by Slurm's number.
    """
    told = []
    for number, old in before.jobs.items() if before else ():
        job = view.jobs.get(number)
        for name in failed_nodes(old, job, view) if job is not None and job is not old else ():
            data = {"node": name, "reason": view.nodes[name].reason if name in view.nodes else ""}
            about = (known[number].id if number in known else None, old.user, old.account)
            told.append(
                Event(0, view.asked_at, EventKind.NODE_FAILED, view.cluster, *about, {**data, "slurm_job_id": number})
            )
    return told

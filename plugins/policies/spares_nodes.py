"""Nodes of large jobs, and spare ones that preemptible jobs have until these need them. Pure; see spares.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Requeue
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.queue import first, hosts_of, is_idle, movable, waiting, waits_for_room


def away_of(view: ClusterView, since: float) -> set[str]:
    """Names of nodes that have failed under a job since then, in Unix seconds, and are not back."""
    failed = {one.node for one in view.failures if one.at > since and one.node in view.nodes}
    return {name for name in failed if not view.nodes[name].usable}


def is_full(name: str, view: ClusterView) -> bool:
    """Whether nobody else could start on a node: what is left of one that is shared is not kept from others."""
    node = view.nodes.get(name)
    if node is None or not node.usable:
        return False
    if node.gpus:
        return sum(node.gpus_alloc.values()) >= sum(node.gpus.values())
    return node.cpus_alloc >= node.cpus


def lent(name: str, spare: Sequence[str], view: ClusterView, now: float, *, more: bool) -> Iterator[JobRecord]:
    """Preemptible jobs that have spare nodes, and those that wait and can have some now, in the order of the queue.

    Args:
        name: Of the reservation that has the spare nodes.
        spare: Names of these.
        view: The last listing.
        now: Unix seconds.
        more: Whether jobs that wait get any.
    """
    yield from (job for job in movable(view, 0.0, now) if job.particulars.reservation == name)
    idle = [one for one in spare if is_idle(view.nodes[one])]
    soft = [job for job, told in waiting(view) if told.preemptible and not told.pinned and told.gang_size < 2]
    for job in first(soft) if more else ():
        ask = ask_of(job, view, name) if waits_for_room(job, now) and job.particulars.requeue else None
        there = [one for one in idle if ask is not None and ask.fits(view.nodes[one])]
        if ask is not None and len(there) >= ask.nodes:
            idle = [one for one in idle if one not in there[: ask.nodes]]
            yield job


def make_room(spare: Sequence[str], needed: int, view: ClusterView, now: float) -> Iterator[Requeue]:
    """Take spare nodes back from preemptible jobs, as many as are needed.

    Args:
        spare: Names of the nodes that large jobs can have.
        needed: How many these need.
        view: The last listing.
        now: Unix seconds.
    """
    lacking = needed - sum(is_idle(view.nodes[one]) for one in spare)
    for job in movable(view, 0.0, now):
        gives = {*hosts_of(job)}.intersection(spare)
        if lacking > 0 and gives:
            lacking -= len(gives)
            yield Requeue(job.slurm_job_id, "A large job that lost its nodes needs the spare node that it had.")

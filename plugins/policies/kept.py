"""Nodes that are kept for jobs from tick to tick: the reservation says which, so nothing is remembered. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence, Set
from math import inf
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Reserve
from hpcjobs.sbatch.asks import Ask
from hpcjobs_plugins.policies.room import Free, Room, kinds, room_for

MINUTE_S: Final = 60.0


def reserved(view: ClusterView) -> set[str]:
    """Names of the nodes of all reservations; Slurm lists them for a while when they are over."""
    return {name for one in view.reservations.values() if one.end > view.asked_at for name in one.nodes}


def name_of(prefix: str, job: JobRecord) -> str:
    """The name of a reservation for a job: another one when it is requeued, because the old one may be going still."""
    return f"{prefix}{job.slurm_job_id}_{job.restarts}"


def is_good(name: str, asks: Iterable[Ask], view: ClusterView) -> bool:
    """Whether a reservation is there, and all its nodes can be used and fit all of the jobs."""
    there = view.reservations.get(name)
    if there is None or not all(one in view.nodes and view.nodes[one].usable for one in there.nodes):
        return False
    return all(ask.fits(view.nodes[one]) for ask in kinds(asks) for one in there.nodes)


def room_kept(
    name: str,
    asks: Collection[Ask],
    view: ClusterView,
    nodes: Sequence[Free],
    taken: Set[str],
    now: float,
    sooner_s: float = inf,
) -> Room | None:
    """The nodes of a reservation as long as all of them are good, else the earliest room there is.

    Args:
        name: Of the reservation, if it is there.
        asks: What the jobs ask for; see room_for.
        view: The last listing.
        nodes: See freed.
        taken: Names of nodes that are not to be counted on; its own can be.
        now: Unix seconds.
        sooner_s: Other nodes are taken where they are free so much earlier, in seconds.

    Returns:
        Nodes and time; None: there will never be so many.
    """
    there = view.reservations.get(name)
    if there is None:
        return room_for(asks, nodes, taken, now)
    taken = taken - {*there.nodes}
    if not is_good(name, asks, view):
        return room_for(asks, nodes, taken, now)
    before = there.start - sooner_s
    sooner = nodes[: bisect_left(nodes, before, key=lambda free: free.at)] if now < before else []
    return room_for(asks, sooner, taken, now) or Room(tuple(sorted(there.nodes)), float(there.start))


def reserve(
    name: str, room: Room, jobs: Iterable[JobRecord], view: ClusterView, window_s: float, now: float, why: str
) -> Reserve:
    """Keep nodes for jobs; repeated as long as the jobs wait, which prolongs it.

    Args:
        name: Of the reservation.
        room: Nodes, and from when.
        jobs: Who may use them.
        view: The last listing.
        window_s: How long it lasts beyond its start, in seconds.
        now: Unix seconds.
        why: The reason, a sentence.
    """
    start = room.start if room.start > now else 0.0
    end = end_of(view.reservations.get(name), start, window_s, now)
    return Reserve(name, room.nodes, start, end, tuple(job.slurm_job_id for job in jobs), why)


def end_of(there: Reservation | None, start: float, window_s: float, now: float) -> float:
    """When a reservation is to end that is prolonged for as long as it is wished.

    Args:
        there: As it is; None: it is not made yet.
        start: Unix seconds at which it begins.
        window_s: How long it lasts beyond that, in seconds; prolonged when half of it has gone, so seldom.
        now: Unix seconds.
    """
    end = -(-(max(start, now) + window_s) // MINUTE_S) * MINUTE_S
    if there is not None and end - window_s / 2 <= there.end <= end + MINUTE_S:
        return float(there.end)
    return end

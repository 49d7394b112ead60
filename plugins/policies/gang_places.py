"""Which nodes are kept for a gang, and when it gives them back. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cached_property
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.hints import NO_HINTS
from hpcjobs.model.steering import Reserve
from hpcjobs_plugins.policies.gang_members import Gang, reservation_of
from hpcjobs_plugins.policies.kept import is_good, reserve, reserved, room_kept
from hpcjobs_plugins.policies.queue import first, is_idle, waits_for_room
from hpcjobs_plugins.policies.room import Free, Part, Room, kinds

SOONER_S: Final = 60.0
"""Other nodes are reserved only where they are free so much earlier, in seconds."""
OTHERS: Final = 64
"""Of so many jobs of the highest priority it is asked whether they could use what a gang keeps."""


def place(
    gang: Gang, name: str, view: ClusterView, nodes: Sequence[Free], taken: Set[str], window_s: float, now: float
) -> Reserve | None:
    """Nodes for a gang: those that it has as long as all of them are good and none are free much earlier.

    Args:
        gang: The gang.
        name: Of its reservation.
        view: The last listing.
        nodes: See freed.
        taken: Names of nodes that are not to be counted on; its own can be.
        window_s: How long the reservation lasts beyond its start, in seconds.
        now: Unix seconds.
    """
    room = room_kept(name, gang.waiting, view, nodes, taken, now, SOONER_S)
    return _reserve(gang, name, room, view, window_s, now)


def place_of_late(
    gang: Gang, name: str, view: ClusterView, nodes: Sequence[Free], taken: Set[str], window_s: float, now: float
) -> Reserve | None:
    """The reservation of a gang whose first members run; see place.

    As long as a member waits for its first start, it stays as it is where there is no better: by it the member is
    known as one of this gang, and so are those that run.
    """
    there = view.reservations.get(name)
    if there is None or (not is_good(name, view) and all(job.restarts for job in gang.waiting)):
        return None  # the others start wherever there is room
    found = place(gang, name, view, nodes, taken, window_s, now)
    as_it_is = Room(tuple(sorted(there.nodes)), float(there.start))
    return found or _reserve(gang, name, as_it_is, view, window_s, now)


def _reserve(
    gang: Gang, name: str, room: Room | None, view: ClusterView, window_s: float, now: float
) -> Reserve | None:
    if room is None:
        return None
    why = f"{len(gang.members)} jobs start together on {len(room.nodes)} nodes."
    return reserve(name, room, gang.members, view, window_s, now, why)


def name_now(gang: Gang, turn: int, view: ClusterView, patience_s: float, now: float) -> str:
    """The name of a waiting gang's reservation: another with each deadline, unless what it has has just begun.

    Args:
        gang: The gang.
        turn: How many deadlines it has passed.
        view: The last listing.
        patience_s: For so long after its start a reservation is kept, whatever the deadline, in seconds.
        now: Unix seconds.
    """
    there = view.reservations.get(gang.had)
    if there is not None and 0 <= now - there.start <= patience_s:
        return gang.had
    return gang.name(turn)


def has_older(gang: Gang, name: str, view: ClusterView) -> bool:
    """Whether a reservation of members, other than this one, is still there: nothing is kept twice."""
    had = {reservation_of(job) for job in gang.waiting} - {"", name}
    return not had.isdisjoint(view.reservations)


class Others:
    """The jobs of no gang, and the idle nodes that they could use: found once for all gangs of a tick, where one asks.

    Args:
        view: The last listing.
        now: Unix seconds.
    """

    def __init__(self, view: ClusterView, now: float) -> None:
        self._view = view
        self._now = now

    def want(self, gang: Gang, name: str, patience_s: float) -> frozenset[str]:
        """Names of idle nodes that a gang leaves to others, because it has waited with them long enough.

        Args:
            gang: The gang.
            name: Of its reservation.
            patience_s: So long it may keep idle nodes that others could use, in seconds: from when it has been
                waiting, and from when its reservation has begun.

        Returns:
            Of a gang that has a reservation: nodes without which some job cannot start. Of one that has none: nodes on
            which one could start now.
        """
        there = self._view.reservations.get(name)
        if self._now - max(gang.since, there.start if there is not None else 0) <= patience_s:
            return frozenset()
        own = {*there.nodes} if there is not None else set()
        kept = reserved(self._view) - own
        found: set[str] = set()
        for nodes, fit in self._wants:
            good = fit - kept
            if len(good) >= nodes and (not own or len(good - own) < nodes):
                found |= good
        return frozenset(found)

    @cached_property
    def _wants(self) -> list[tuple[int, frozenset[str]]]:
        """Of each kind of the jobs of the highest priority: number of nodes, and names of the idle ones that fit."""
        jobs = [
            job
            for number, job in self._view.jobs.items()
            if waits_for_room(job, self._now) and self._view.hints.get(number, NO_HINTS).gang_size < 2
        ]
        idle = [node for node in self._view.nodes.values() if is_idle(node)]
        return [
            (max(1, job.nodes), frozenset(node.name for node in filter(Part(job).fits, idle)))
            for job in kinds(first(jobs)[:OTHERS])
        ]

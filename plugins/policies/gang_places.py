"""Which nodes are kept for a gang, and when it gives them back. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final, NamedTuple, Self

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steering import Reserve
from hpcjobs.sbatch.asks import Ask, ask_of
from hpcjobs_plugins.policies.gang_members import Gang, reservation_of
from hpcjobs_plugins.policies.kept import is_good, reserve, room_kept
from hpcjobs_plugins.policies.room import Free, Room

SOONER_S: Final = 60.0
"""Other nodes are reserved only where they are free so much earlier, in seconds."""


class Ground(NamedTuple):
    """Where gangs find nodes: the same for all of them in a tick, but for what one after the other takes.

    Attributes:
        view: The last listing.
        nodes: See freed.
        taken: Names of nodes that are not to be counted on; those that a gang has can be, by it.
        failed: Names of nodes that failed lately: one bad node ends all of a gang.
        patience_s: It keeps off them where it waits no more than so much longer, in seconds.
    """

    view: ClusterView
    nodes: Sequence[Free]
    taken: set[str]
    failed: Set[str]
    patience_s: float

    def without(self, names: Set[str]) -> Self:
        """Where some more are not to be counted on."""
        return self._replace(taken=self.taken | names) if names else self


def asks_of(gang: Gang, view: ClusterView) -> list[Ask] | None:
    """What each waiting member asks of its nodes; None: one asks for more than can be judged, see ask_of."""
    asks = [ask_of(job, view, job.particulars.reservation) for job in gang.waiting]
    known = [ask for ask in asks if ask is not None]
    return known if len(known) == len(asks) else None


def place(gang: Gang, name: str, ground: Ground, window_s: float, now: float) -> Reserve | None:
    """Nodes for a gang: those that it has as long as all of them are good and none are free much earlier.

    Args:
        gang: The gang.
        name: Of its reservation.
        ground: Where nodes are found.
        window_s: How long the reservation lasts beyond its start, in seconds.
        now: Unix seconds.
    """
    asks, view = asks_of(gang, ground.view), ground.view
    if asks is None:
        return None
    room = room_kept(name, asks, view, ground.nodes, ground.taken, now, SOONER_S)
    if room is not None and not ground.failed.isdisjoint(room.nodes):
        sound = room_kept(name, asks, view, ground.nodes, ground.taken | ground.failed, now, SOONER_S)
        room = sound if sound is not None and sound.start <= room.start + ground.patience_s else room
    return _reserve(gang, name, room, view, window_s, now)


def place_of_late(gang: Gang, name: str, ground: Ground, window_s: float, now: float) -> Reserve | None:
    """The reservation of a gang whose first members run; see place.

    As long as a member waits for its first start, it stays as it is where there is no better: by it the member is
    known as one of this gang, and so are those that run.
    """
    view = ground.view
    there, asks = view.reservations.get(name), asks_of(gang, view)
    good = asks is not None and is_good(name, asks, view)
    if there is None or (not good and all(job.restarts for job in gang.waiting)):
        return None  # the others start wherever there is room
    found = place(gang, name, ground, window_s, now)
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

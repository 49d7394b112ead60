"""What a gang leaves to jobs of no gang. Pure."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.hints import NO_HINTS
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.gang_members import Gang
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.queue import first, is_idle, waits_for_room

OTHERS: Final = 64
"""Of so many jobs of the highest priority it is asked whether they could use what a gang keeps."""


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
        asks = (ask_of(job, self._view) for job in first(jobs)[:OTHERS])
        wants = {(ask.nodes, ask.kind): ask for ask in asks if ask is not None}
        return [(ask.nodes, frozenset(node.name for node in filter(ask.fits, idle))) for ask in wants.values()]

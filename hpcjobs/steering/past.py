"""What policies are told of the past of a cluster, from the events."""

from __future__ import annotations

from typing import Final

from hpcjobs.model.cluster import Failure
from hpcjobs.model.event import Event, EventKind
from hpcjobs.store import events
from hpcjobs.store.events import EventFilter
from hpcjobs.store.store import Store

MOST: Final = 10_000
"""So many failures are remembered, the last ones."""
AT_ONCE: Final = 1000


class Past:
    """Reads the events of one cluster once, and then what is new.

    Args:
        store: Where they are.
        cluster: Its name.
    """

    def __init__(self, store: Store, cluster: str) -> None:
        self.store = store
        self.wanted = EventFilter(cluster=cluster, kinds=(EventKind.NODE_FAILED,))
        self._failures: tuple[Failure, ...] = ()
        self._upto = 0

    async def failures(self) -> tuple[Failure, ...]:
        """Failures of nodes, oldest first, for as long as events are kept or the service runs."""
        while True:
            piece = await self.store.read(events.stretch, self.wanted, self._upto, AT_ONCE)
            self._failures = (*self._failures, *map(_failure, piece.events))[-MOST:]
            self._upto = piece.upto
            if self._upto >= piece.newest:
                return self._failures


def _failure(event: Event) -> Failure:
    number = event.data.get("slurm_job_id")
    return Failure(str(event.data.get("node")), event.at, number if isinstance(number, int) else 0)

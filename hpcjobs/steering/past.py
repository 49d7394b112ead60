"""What policies are told of the past of a cluster, from the events."""

from __future__ import annotations

import asyncio
from typing import Final

from hpcjobs.model.cluster import Failure
from hpcjobs.model.event import Event, EventKind
from hpcjobs.store import events
from hpcjobs.store.events import EventFilter
from hpcjobs.store.store import Store

MOST: Final = 10_000
"""So many events are remembered, the last ones."""
AT_ONCE: Final = 1000
KINDS: Final = (EventKind.NODE_FAILED, EventKind.NODE_STATE, EventKind.NODE_LEMON, EventKind.NODE_PARDON)


class Past:
    """Reads the events of one cluster's nodes once, and then what is new.

    Args:
        store: Where they are.
        cluster: Its name.
    """

    def __init__(self, store: Store, cluster: str) -> None:
        self.store = store
        self.wanted = EventFilter(cluster=cluster, kinds=KINDS)
        self._events: tuple[Event, ...] = ()
        self._failures: tuple[Failure, ...] = ()
        self._upto = 0
        self._reading = asyncio.Lock()

    async def events(self) -> tuple[Event, ...]:
        """What happened to nodes, oldest first, for as long as events are kept or the service runs.

        That they came into use again is not among it.
        """
        await self._read()
        return self._events

    async def failures(self) -> tuple[Failure, ...]:
        """Failures of nodes under jobs; as ``events``."""
        await self._read()
        return self._failures

    async def _read(self) -> None:
        async with self._reading:  # what one who asks has read is not read by another once more
            while True:
                piece = await self.store.read(events.stretch, self.wanted, self._upto, AT_ONCE)
                failed = (event for event in piece.events if event.kind is EventKind.NODE_FAILED)
                self._events = (*self._events, *filter(_tells, piece.events))[-MOST:]
                self._failures = (*self._failures, *map(_failure, failed))[-MOST:]
                self._upto = piece.upto
                if self._upto >= piece.newest:
                    return


def _tells(event: Event) -> bool:
    """Whether it is more than that a node is in use again."""
    return event.kind is not EventKind.NODE_STATE or not event.data.get("usable")


def _failure(event: Event) -> Failure:
    number = event.data.get("slurm_job_id")
    return Failure(str(event.data.get("node")), event.at, number if isinstance(number, int) else 0)

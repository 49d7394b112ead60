"""Everything that happens by the clock, as one table: name, period, a plain ``tick(now)``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from apscheduler.schedulers.asyncio import AsyncIOScheduler

Tick = Callable[[float], Awaitable[None]]


class Entry(NamedTuple):
    """One line of the table.

    Attributes:
        name: Shown in logs.
        period_s: Seconds between the starts of two ticks; a tick that is late is not made up for.
        tick: Called with Unix seconds; never two at a time.
        at_once: Whether the first tick comes at the start and not a period later.
    """

    name: str
    period_s: float
    tick: Tick
    at_once: bool = False


class Clock:
    """Runs a table on the running event loop, from start() to stop().

    Args:
        entries: The table.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        for entry in entries:
            self._scheduler.add_job(
                self._run,
                "interval",
                args=(entry.tick,),
                seconds=entry.period_s,
                id=entry.name,
                **({"next_run_time": datetime.now(UTC)} if entry.at_once else {}),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=60,
            )

    async def _run(self, tick: Tick) -> None:
        if self._stopped:  # begun by the scheduler, and overtaken by stop()
            return
        task = asyncio.ensure_future(tick(time.time()))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)  # the scheduler cancels what runs when it is shut down

    def start(self) -> None:
        """Let it run."""
        self._scheduler.start()

    async def stop(self, grace_s: float = 5.0) -> None:
        """Begin no further tick, and let those that have begun come to their end.

        Args:
            grace_s: How long they may take, in seconds; after that they are cancelled.
        """
        self._stopped = True
        self._scheduler.shutdown(wait=False)
        if running := list(self._running):
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

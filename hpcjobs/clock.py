"""Everything that happens by the clock, as one table: name, period, a plain ``tick(now)``."""

from __future__ import annotations

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


def start(entries: Sequence[Entry]) -> AsyncIOScheduler:
    """Start the clock on the running event loop.

    Args:
        entries: The table.

    Returns:
        The scheduler; ``shutdown()`` stops it.
    """
    scheduler = AsyncIOScheduler(timezone="UTC")
    for entry in entries:

        async def run(tick: Tick = entry.tick) -> None:
            await tick(time.time())

        scheduler.add_job(
            run,
            "interval",
            seconds=entry.period_s,
            id=entry.name,
            **({"next_run_time": datetime.now(UTC)} if entry.at_once else {}),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=60,
        )
    scheduler.start()
    return scheduler

"""Tells plugins what happens, where one of them wants to know."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from hpcjobs.errors import HpcjobsError
from hpcjobs.hooks.host import Hooks
from hpcjobs.hooks.process import HookFailed
from hpcjobs.model.event import Event
from hpcjobs.plugin import Observe
from hpcjobs.push.hub import EventHub
from hpcjobs.store.events import EventFilter

log = logging.getLogger(__name__)

PAUSE_S = 2.0


class Telling:
    """One listener for all plugins. Without a plugin that observes nobody listens, and no event is read.

    Args:
        hooks: The plugins.
        hub: Who tells of events.
    """

    def __init__(self, hooks: Hooks, hub: EventHub) -> None:
        self.hooks = hooks
        self.hub = hub
        self._task: asyncio.Task[None] | None = None

    async def tick(self, _now: float) -> None:
        """Begin to listen where somebody wants to know by now."""
        if self._wanted() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _wanted(self) -> bool:
        return any(not entry.broken for entry in self.hooks.at_work.having(Observe.kind))

    async def _run(self) -> None:
        with self.hub.subscribe(EventFilter(), None) as heard:
            while self._wanted() and not heard.closed:
                try:
                    items = await heard.next(PAUSE_S)
                except HpcjobsError as error:
                    log.warning("plugins are told nothing now: %s", error.detail)
                    await asyncio.sleep(PAUSE_S)
                    continue
                for item in items:
                    if isinstance(item, Event):
                        await self._tell(item)

    async def _tell(self, event: Event) -> None:
        body = msgspec.msgpack.encode(event)
        with self.hooks.held() as at_work:
            for entry in at_work.having(Observe.kind):
                if not entry.broken:
                    try:
                        await at_work.ask(entry, "observe", {"event": body}, type(None))
                    except HookFailed as error:
                        await self.hooks.ask.failed(at_work, entry, "observe", error, time.time())

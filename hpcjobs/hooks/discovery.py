"""Discoveries by the clock: each in a process for itself; what it keeps is on disk, what it tells becomes events."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from typing import NamedTuple

from hpcjobs.errors import HpcjobsError
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.host import Hooks
from hpcjobs.hooks.process import HookFailed, PluginProcess
from hpcjobs.model.event import Event, EventKind
from hpcjobs.plugin import Discover, Discovery, Finding
from hpcjobs.store import events, generations
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """What is discovered by whom."""

    plugin: str
    cluster: str


class Discoveries:
    """The discoveries of one service.

    Args:
        store: Where what they keep is.
        hooks: The plugins.
        clusters: Names of the clusters.
    """

    def __init__(self, store: Store, hooks: Hooks, clusters: Sequence[str]) -> None:
        self.store = store
        self.hooks = hooks
        self.clusters = tuple(clusters)
        self._due: dict[Place, float] = {}
        """When each is due next, in Unix seconds."""
        self._of = -1
        """The generation that these times are of."""
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._trouble: set[Place] = set()

    async def tick(self, now: float) -> None:
        """Begin the discoveries that are due.

        Args:
            now: Unix seconds.
        """
        at_work = self.hooks.at_work
        if at_work.number != self._of:
            self._of, self._due = at_work.number, {}
        for entry in at_work.having(Discover.kind):
            if entry.broken:
                continue
            for cluster in self.clusters:
                place = Place(entry.setting.name, cluster)
                if self._due.get(place, 0.0) <= now and place not in self._running:
                    self._due[place] = now + entry.brought.period_s
                    task = asyncio.create_task(self._discover(at_work, entry, place, now))
                    self._running[place] = task
                    task.add_done_callback(functools.partial(self._over, place))

    def _over(self, place: Place, task: asyncio.Task[None]) -> None:
        del self._running[place]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("plugin %s: its discovery of %s failed", place.plugin, place.cluster, exc_info=error)

    async def stop(self) -> None:
        """End those that are under way: what they would have found is found another time."""
        for task in (running := list(self._running.values())):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _discover(self, at_work: AtWork, entry: Entry, place: Place, now: float) -> None:
        try:
            known = await self.store.read(generations.states, place.plugin)
            before = known.get(place.cluster)
            found = await self._found(entry, place, before[1] if before else None, now)
            if found is not None and self._in_use(place):
                await self._keep(at_work, place, found, now)
        except HookFailed as error:
            await self._failed(at_work, entry, place, error, now)
        except HpcjobsError as error:
            log.warning("plugin %s: what it found of %s is not kept: %s", place.plugin, place.cluster, error.detail)
        else:
            if place in self._trouble:
                await self._tell(place, Finding("discovery-works", "The discovery works again."), now)
                self._trouble.discard(place)

    @staticmethod
    async def _found(entry: Entry, place: Place, before: bytes | None, now: float) -> Discovery | None:
        """The one call of a process of its own."""
        process = PluginProcess([entry.setting])
        try:
            (brought,) = await process.start()
            if brought.fault:
                raise HookFailed(brought.fault)
            args = {"plugin": place.plugin, "cluster": place.cluster, "state": before, "now": now}
            return await process.ask("discover", args, Discovery | None, entry.brought.discovery_s)  # type: ignore[arg-type]
        finally:
            await process.close()

    async def _keep(self, at_work: AtWork, place: Place, found: Discovery, now: float) -> None:
        told = _events(place, found.findings, now)
        await self.store.write(generations.keep_found, place.plugin, place.cluster, now, found.state, told)
        with self.hooks.held() as in_use:
            if in_use is at_work:
                await self.hooks.remember(at_work, place.plugin, place.cluster, found.state)

    async def _failed(self, at_work: AtWork, entry: Entry, place: Place, error: HookFailed, now: float) -> None:
        await self.hooks.ask.failed(at_work, entry, "discover", error, now)
        if place not in self._trouble:
            await self._tell(place, Finding("discovery-failed", f"discover: {error}"), now)
            self._trouble.add(place)

    def _in_use(self, place: Place) -> bool:
        """Whether its plugin is in use still, in whichever generation."""
        return any(entry.setting.name == place.plugin for entry in self.hooks.at_work.entries)

    async def _tell(self, place: Place, finding: Finding, now: float) -> None:
        await self.store.write(events.write, _events(place, [finding], now))


def _events(place: Place, findings: Sequence[Finding], now: float) -> list[Event]:
    return [
        Event(0, now, EventKind.PLUGIN_FINDING, place.cluster,
            data={"plugin": place.plugin, "code": one.code, "text": one.text, "subject": one.subject})
        for one in findings
    ]  # fmt: skip

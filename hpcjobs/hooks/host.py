"""The plugins of the service: taken up at its start, exchanged while it runs, shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, NotFound, Refusal, Refused
from hpcjobs.hooks.asking import Asking
from hpcjobs.hooks.frames import Brought
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.loading import installed
from hpcjobs.hooks.process import HookFailed
from hpcjobs.hooks.told import tell_of, tell_of_change
from hpcjobs.model.plugin import Generation, PluginSet, PluginState
from hpcjobs.plugin import Discover
from hpcjobs.settings import PluginSettings
from hpcjobs.store import generations
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

STOP_S: Final = 10.0
"""How long what is under way may hold up the end of the service, in seconds."""


class Hooks:
    """The plugins of one service.

    Args:
        store: Where generations are written down.
        baseline: The plugins that the settings file names.

    Attributes:
        ask: Asks those of a generation.
    """

    def __init__(self, store: Store, baseline: Sequence[PluginSettings]) -> None:
        self.store = store
        self.baseline = tuple(baseline)
        self.ask = Asking(store)
        self._now = AtWork(())
        self._changing = asyncio.Lock()
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def at_work(self) -> AtWork:
        """The generation in use."""
        return self._now

    @contextmanager
    def held(self) -> Iterator[AtWork]:
        """The generation in use, which is not let go before this ends."""
        at_work = self._now
        with at_work.held():
            yield at_work

    async def start(self) -> None:
        """Take up the last generation, or that of the settings file where the file has changed since.

        Code that has changed since makes it a new one.

        The service starts whatever its plugins do: what cannot be loaded is broken, and is told of.
        """
        kept = await self.store.read(generations.newest)
        if kept is not None and kept.baseline == self.baseline:
            self._now = await self._loaded(kept.plugins)
            self._now.number, self._now.since, self._now.by = kept.number, kept.since, kept.by
            code = _code(self._now)
            if any(code[entry.setting.name] != kept.code.get(entry.setting.name) for entry in self._now.working()):
                await self._write(self._now, "", time.time())
        elif self.baseline or kept is not None:
            self._now = await self._loaded(self.baseline)
            await self._write(self._now, "", time.time())
        for entry in self._now.entries:
            if entry.broken:
                log.error("plugin %s cannot be used: %s", entry.setting.name, entry.broken)
                await tell_of(self.store, entry, self._now, time.time())

    async def stop(self) -> None:
        """Let go of all."""
        ends = [asyncio.create_task(self._now.end()), *self._ends]
        _, late = await asyncio.wait(ends, timeout=STOP_S)
        for end in late:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def _loaded(self, plugins: Sequence[PluginSettings]) -> AtWork:
        made = AtWork(plugins)
        try:
            await made.load()
            for entry in made.having(Discover.kind):
                if not entry.broken:
                    await self._reminded(made, entry)
        except BaseException:
            await made.close()
            raise
        return made

    async def _reminded(self, made: AtWork, entry: Entry) -> None:
        """Give a plugin what its discoveries found in an earlier life."""
        plugin = entry.setting.name
        for cluster, (_, state) in (await self.store.read(generations.states, plugin)).items():
            try:
                await self.remember(made, plugin, cluster, state)
            except HookFailed as error:  # as of another version of it: the next discovery makes it anew
                log.warning("plugin %s does not take what it knew of %s: %s", plugin, cluster, error)
                entry.failed(f"remember: {error}", time.time())

    async def _write(self, made: AtWork, by: str, now: float) -> None:
        plugins = tuple(entry.setting for entry in made.entries)
        kept = await self.store.write(generations.add, now, by, self.baseline, plugins, _code(made))
        made.number, made.since, made.by = kept.number, kept.since, kept.by

    async def shown(self, *, settings: bool, failures: bool) -> Generation:
        """The plugins in use, with their settings and what their failures say or without, and what could be."""
        return await self._shown(self._now, settings=settings, failures=failures)

    @staticmethod
    async def _shown(at_work: AtWork, *, settings: bool, failures: bool) -> Generation:
        could_be = await asyncio.to_thread(installed)  # reads the metadata of all distributions
        plugins = tuple(entry.info(settings=settings, failures=failures) for entry in at_work.entries)
        return Generation(at_work.number, at_work.since, at_work.by, plugins, tuple(could_be))

    async def earlier(self, number: int, *, settings: bool) -> Generation:
        """The plugins of an earlier generation, with their settings or without.

        Raises:
            NotFound: There has been none of this number.
            Unavailable: The database does not answer.
        """
        kept = await self.store.read(generations.numbered, number)
        if kept is None:
            raise NotFound(f"There has been no generation {number} of plugins.")
        plugins = []
        for setting in kept.plugins:
            entry = Entry(setting, Brought(setting.name, *kept.code.get(setting.name, ("", ""))))
            plugins.append(
                msgspec.structs.replace(entry.info(settings=settings, failures=False), state=PluginState.OFF)
            )
        return Generation(kept.number, kept.since, kept.by, tuple(plugins))

    async def change(self, wanted: PluginSet, by: str, now: float) -> Generation:
        """Put a new generation, loaded beside the present one, in its place; with the same plugins, to read new code.

        Args:
            wanted: The plugins.
            by: Who asked for it.
            now: Unix seconds.

        Returns:
            The new generation.

        Raises:
            Refused: A plugin cannot be used. The generation in use stays.
            Conflict: It was made from another generation than the one in use.
            Unavailable: The database does not answer. The generation in use stays.
        """
        names = [plugin.name for plugin in wanted.plugins]
        if len(set(names)) != len(names):
            raise Refused([Refusal("plugins", "Each plugin can be there once.", "plugin-twice")])
        async with self._changing:
            kept = f"Generation {self._now.number} stays in use."
            if wanted.generation is not None and wanted.generation != self._now.number:
                raise Conflict(f"Generation {self._now.number} is in use, not {wanted.generation}.", kept=kept)
            made = await self._loaded(wanted.plugins)
            faults = [
                Refusal(f"plugins.{index}", entry.broken, "plugin-not-loaded")
                for index, entry in enumerate(made.entries)
                if entry.broken
            ]
            if faults:
                await made.end()
                raise Refused(faults, kept=kept)
            # Shielded: what is written down must also come into use, though the caller hangs up.
            await asyncio.shield(self._exchange(made, by, now))
        return await self._shown(made, settings=True, failures=True)

    async def _exchange(self, made: AtWork, by: str, now: float) -> None:
        try:
            await self._write(made, by, now)
        except BaseException:
            await made.close()
            raise
        before, self._now = self._now, made
        end = asyncio.create_task(before.end())
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        await tell_of_change(self.store, before, made, now)

    async def remember(self, at_work: AtWork, plugin: str, cluster: str, state: bytes) -> None:
        """Give the hooks of a plugin what its discovery found.

        Raises:
            HookFailed: They do not take it.
        """
        args = {"plugin": plugin, "cluster": cluster, "state": state}
        for process in at_work.processes_of(plugin):
            await process.know("remember", args, plugin, cluster)


def _code(made: AtWork) -> dict[str, tuple[str, str]]:
    """Version and digest of each plugin."""
    return {entry.setting.name: (entry.brought.version, entry.brought.digest) for entry in made.entries}

"""One generation of plugins at work: its process, and how each plugin of it fares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from hpcjobs.hooks.budget import Budget
from hpcjobs.hooks.frames import Brought
from hpcjobs.hooks.process import HookFailed, PluginProcess
from hpcjobs.model.plugin import PluginInfo, PluginState
from hpcjobs.plugin import Report, Tick
from hpcjobs.settings import PluginSettings

T = TypeVar("T")
log = logging.getLogger(__name__)

DRAIN_S: Final = 120.0
"""How long jobs that are under way may hold up the end of a generation, in seconds."""
LOADED_AT_ONCE: Final = 4
"""How many plugins are loaded at a time where each is loaded by itself."""


class Entry:
    """One plugin of a generation.

    Args:
        setting: As it is to be used.
        brought: What came of loading it.
    """

    def __init__(self, setting: PluginSettings, brought: Brought) -> None:
        self.setting = setting
        self.brought = brought
        self.budget = Budget()
        self.broken = brought.fault
        """Why it is asked no more, or ``""``."""
        self.last_failure = brought.fault

    def failed(self, why: str, now: float) -> bool:
        """Note a failure; returns whether it was one too many."""
        self.last_failure = why
        if self.budget.failed(now) and not self.broken:
            self.broken = f"It failed {self.budget.most} times within {self.budget.window_s:g} s; the last time: {why}"
            return True
        return False

    def noted(self, why: str) -> None:
        """Note a failure that harms nobody else, and switches nothing off."""
        self.last_failure = why
        self.budget.failures += 1

    def info(self, *, settings: bool, failures: bool) -> PluginInfo:
        """As it is shown: with its settings, with what its failures say, or without."""
        return PluginInfo(
            name=self.setting.name,
            version=self.brought.version,
            digest=self.brought.digest,
            hooks=self.brought.hooks,
            required=self.setting.required,
            timeout_s=self.setting.timeout_s,
            dry_run=self.setting.dry_run,
            state=PluginState.BROKEN if self.broken else PluginState.ON,
            failures=self.budget.failures,
            last_failure=self.last_failure if failures else "",
            settings=dict(self.setting.settings) if settings else None,
        )


class AtWork:
    """A generation: loaded, asked, and in the end let go.

    Args:
        plugins: In order.
    """

    def __init__(self, plugins: Sequence[PluginSettings]) -> None:
        self.process = PluginProcess(plugins)
        self.policies = PluginProcess(())
        """Where policies tick: nothing else waits for them. Started by the first tick."""
        self.reports = PluginProcess(())
        """Where reports are made, likewise."""
        self.entries: list[Entry] = [Entry(setting, Brought(setting.name)) for setting in plugins]
        self.number = 0
        self.since = 0.0
        self.by = ""
        self._holders = 0
        self._idle = asyncio.Event()

    async def load(self) -> None:
        """Load the plugins; those that cannot be are broken from the start."""
        if not self.entries:
            return
        try:
            brought = {one.name: one for one in await self.process.start()}
        except HookFailed as error:
            log.warning("plugins could not be loaded together, each is loaded by itself: %s", error)
            brought = await self._apart()
        self.entries = [Entry(entry.setting, brought[entry.setting.name]) for entry in self.entries]
        self.policies, self.reports = self._made_for(Tick.kind), self._made_for(Report.kind)

    @property
    def _aside(self) -> dict[str, PluginProcess]:
        """Processes beside that of the other hooks, by the kind of those that are called there."""
        return {Tick.kind: self.policies, Report.kind: self.reports}

    def _made_for(self, kind: str) -> PluginProcess:
        entries = [entry for entry in self.having(kind) if not entry.broken]
        return PluginProcess([entry.setting for entry in entries], [entry.brought for entry in entries])

    async def _apart(self) -> dict[str, Brought]:
        """Find out who took the process with it, and load the others without."""
        room = asyncio.Semaphore(LOADED_AT_ONCE)

        async def alone(setting: PluginSettings) -> Brought:
            process = PluginProcess([setting])
            try:
                async with room:
                    (brought,) = await process.start()
            except HookFailed as error:
                return Brought(setting.name, fault=f"It could not be loaded: {error}.")
            finally:
                await process.close()
            return brought

        found = await asyncio.gather(*(alone(entry.setting) for entry in self.entries))
        brought = {one.name: one for one in found}
        good = [entry.setting for entry in self.entries if not brought[entry.setting.name].fault]
        if good:
            self.process = PluginProcess(good)
            try:
                brought |= {one.name: one for one in await self.process.start()}
            except HookFailed as error:
                fault = f"The plugins could not be loaded together: {error}."
                brought |= {setting.name: Brought(setting.name, fault=fault) for setting in good}
        return brought

    def working(self) -> list[Entry]:
        """The plugins that are asked."""
        return [entry for entry in self.entries if not entry.broken]

    def having(self, kind: str) -> list[Entry]:
        """The plugins with a hook of a kind, and those of which nobody knows, because they could not be loaded."""
        return [entry for entry in self.entries if kind in entry.brought.hooks or entry.brought.fault]

    def processes_of(self, plugin: str) -> list[PluginProcess]:
        """Where hooks of a plugin are called."""
        kinds = {kind for entry in self.entries if entry.setting.name == plugin for kind in entry.brought.hooks}
        return [self.process, *(process for kind, process in self._aside.items() if kind in kinds)]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep it from being let go, as while a job goes from one plugin to the next."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._idle.set()

    async def ask(self, entry: Entry, op: str, args: dict[str, Any], kind: type[T]) -> T:
        """Have a hook called, when those before are over; see PluginProcess.ask."""
        process = self._aside.get(op, self.process)
        told, timeout_s = {"plugin": entry.setting.name, **args}, entry.setting.timeout_s
        async with process.room:
            return await process.ask(op, told, kind, timeout_s, lambda: entry.broken)

    async def end(self) -> None:
        """Let it go, after what is under way."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    while self._holders:
                        self._idle.clear()
                        await self._idle.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Let it go at once."""
        await self.process.close()
        await self.policies.close()
        await self.reports.close()

"""One generation of plugins at work: its process, and how each plugin of it fares."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from hpcjobs.hooks.budget import Budget
from hpcjobs.hooks.frames import Brought
from hpcjobs.hooks.process import HookFailed, PluginProcess
from hpcjobs.model.plugin import PluginInfo, PluginState
from hpcjobs.plugin import Tick
from hpcjobs.settings import PluginSettings

T = TypeVar("T")
DRAIN_S = 10.0
"""How long calls that are under way may hold up the end of a generation, in seconds."""


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

    def info(self, *, whole: bool) -> PluginInfo:
        """As it is shown; ``whole``: with its settings."""
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
            last_failure=self.last_failure,
            settings=dict(self.setting.settings) if whole else None,
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
        self.entries: list[Entry] = [Entry(setting, Brought(setting.name)) for setting in plugins]
        self.number = 0
        self.since = 0.0
        self.by = ""
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def load(self) -> None:
        """Load the plugins; those that cannot be are broken from the start."""
        if not self.entries:
            return
        try:
            brought = {one.name: one for one in await self.process.start()}
        except HookFailed as error:
            brought = {}
            fault = f"the plugins could not be loaded together: {error}"
        else:
            fault = "it was not loaded"
        self.entries = [
            Entry(entry.setting, brought.get(entry.setting.name, Brought(entry.setting.name, fault=fault)))
            for entry in self.entries
        ]
        self.policies = PluginProcess([entry.setting for entry in self.having(Tick.kind) if not entry.broken])

    def having(self, kind: str) -> list[Entry]:
        """The plugins with a hook of a kind, and those of which nobody knows, because they could not be loaded."""
        return [entry for entry in self.entries if kind in entry.brought.hooks or entry.brought.fault]

    async def ask(self, entry: Entry, op: str, args: dict[str, Any], kind: type[T]) -> T:
        """Have a hook called; see PluginProcess.ask."""
        process = self.policies if op == Tick.kind else self.process
        self._under_way += 1
        self._idle.clear()
        try:
            return await process.ask(op, {"plugin": entry.setting.name, **args}, kind, entry.setting.timeout_s)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def end(self) -> None:
        """Let it go, after what is under way."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
        except TimeoutError:
            pass
        await self.process.close()
        await self.policies.close()

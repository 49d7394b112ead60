"""The plugins of the service: asked in order, exchanged while it runs, switched off where they fail too often."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, NotFound, PluginFailed, Refusal, Refused
from hpcjobs.hooks.frames import Brought, Judged, Placed
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.loading import installed
from hpcjobs.hooks.process import HookFailed
from hpcjobs.hooks.told import tell_of, tell_of_change
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.placement import Placement, fault_of
from hpcjobs.model.plugin import ConfigurationFile, Generation, PluginSet, PluginState
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action
from hpcjobs.plugin import Configure, Context, Discover, Inventory, Place, Tick
from hpcjobs.settings import PluginSettings
from hpcjobs.store import generations
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

RETRY_S: Final = 30
"""When it is worth while to submit again what a broken plugin keeps from being judged, in seconds."""
STOP_S: Final = 10.0
"""How long what is under way may hold up the end of the service, in seconds."""


class Hooks:
    """The plugins of one service.

    Args:
        store: Where generations are written down.
        baseline: The plugins that the settings file names.
    """

    def __init__(self, store: Store, baseline: Sequence[PluginSettings]) -> None:
        self.store = store
        self.baseline = tuple(baseline)
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

    async def admit(self, at_work: AtWork, user: str, cluster: str, spec: JobSpec, now: float) -> JobSpec:
        """Have a job judged by every plugin, in order: each gets what the one before it passed on.

        Args:
            at_work: The generation, held.
            user: Whom it runs as.
            cluster: Where it goes.
            spec: As the rules of the house admitted it.
            now: Unix seconds.

        Returns:
            The job.

        Raises:
            Refused: At least one is against it; every refusal of each is in it.
            PluginFailed: One that must be asked could not answer.
        """
        refusals: list[Refusal] = []
        context = msgspec.msgpack.encode(Context(user, cluster, now))
        for entry in at_work.having("admit"):
            judged = await self._judged(at_work, entry, spec, context, now)
            if judged is not None:
                refusals.extend(judged.refusals)
                spec = judged.spec or spec
        if refusals:
            raise Refused(refusals)
        return spec

    async def _judged(self, at_work: AtWork, entry: Entry, spec: JobSpec, context: bytes, now: float) -> Judged | None:
        """What one plugin says; None: it is passed by."""
        required = entry.setting.required
        if not entry.broken:
            try:
                return await at_work.ask(
                    entry, "admit", {"spec": msgspec.msgpack.encode(spec), "context": context}, Judged
                )
            except HookFailed as error:
                await self.failed(at_work, entry, "admit", error, now)
                if required and not entry.broken:
                    name = entry.setting.name
                    raise PluginFailed(f"Plugin {name} could not judge the job: {error.shown}.") from error
        if required:
            raise _switched_off(entry)
        return None

    async def place(self, at_work: AtWork, spec: JobSpec, view: ClusterView, now: float) -> Placement | None:
        """Where a job should run, by the first plugin that says so.

        Args:
            at_work: The generation that admitted it, held.
            spec: As admitted.
            view: Of its cluster.
            now: Unix seconds.

        Returns:
            What it says; None: none of them has anything to say.

        Raises:
            Refused: A plugin is against it, or there is none that places jobs.
            PluginFailed: One that must be asked could not answer.
        """
        placing = at_work.having(Place.kind)
        if not placing:
            raise Refused([Refusal("parallel", "No plugin here places jobs: leave parallel out.", "no-placement")])
        told = msgspec.msgpack.encode(msgspec.structs.replace(view, jobs={}))
        args = {"spec": msgspec.msgpack.encode(spec), "cluster": view.cluster}
        for entry in placing:
            if entry.broken:
                if entry.setting.required:
                    raise _switched_off(entry)
                continue
            try:
                await at_work.process.know("view", {"cluster": view.cluster, "view": told}, view.cluster)
                placed = _meant(await at_work.ask(entry, "place", args, Placed), view)
            except HookFailed as error:
                await self.failed(at_work, entry, "place", error, now)
                if entry.setting.required:
                    name = entry.setting.name
                    raise PluginFailed(f"Plugin {name} could not place the job: {error.shown}.") from error
                continue
            if placed.refusal is not None:
                raise Refused([placed.refusal])
            if placed.placement is not None:
                return placed.placement
        return None

    async def tick(self, at_work: AtWork, entry: Entry, cluster: str, now: float) -> tuple[Action, ...] | None:
        """What a policy wants, of the view that its process knows (``at_work.policies``).

        Args:
            at_work: The generation that it is of.
            entry: The policy.
            cluster: Of which cluster.
            now: Unix seconds.

        Returns:
            Everything; None: it failed, which is noted.
        """
        try:
            said = await at_work.ask(entry, Tick.kind, {"cluster": cluster, "now": now}, list[Action])
        except HookFailed as error:
            await self.failed(at_work, entry, Tick.kind, error, now)
            return None
        return tuple(said)

    async def configure(self, view: ClusterView, now: float) -> list[ConfigurationFile]:
        """What the plugins write of a cluster's configuration. One that fails is told of in place of its files.

        Args:
            view: Of the cluster.
            now: Unix seconds.
        """
        with self.held() as at_work:
            return await self._configured(at_work, view, now)

    async def _configured(self, at_work: AtWork, view: ClusterView, now: float) -> list[ConfigurationFile]:
        inventory = msgspec.msgpack.encode(Inventory(view.cluster, view.nodes, view.partitions))
        written: list[ConfigurationFile] = []
        for entry in at_work.having(Configure.kind):
            name, why = entry.setting.name, entry.broken
            if not why:
                try:
                    files = await at_work.ask(entry, "configure", {"inventory": inventory}, dict[str, str])
                except HookFailed as error:
                    why = str(error)
                    await self.failed(at_work, entry, "configure", error, now)
                else:
                    written += [ConfigurationFile(name, file, text) for file, text in sorted(files.items())]
            if why:
                written.append(ConfigurationFile(name, "", "", why))
        return written

    async def remember(self, at_work: AtWork, plugin: str, cluster: str, state: bytes) -> None:
        """Give the hooks of a plugin what its discovery found.

        Raises:
            HookFailed: They do not take it.
        """
        args = {"plugin": plugin, "cluster": cluster, "state": state}
        await at_work.process.know("remember", args, plugin, cluster)
        if any(entry.setting.name == plugin for entry in at_work.having(Tick.kind)):
            await at_work.policies.know("remember", args, plugin, cluster)

    async def failed(self, at_work: AtWork, entry: Entry, kind: str, error: HookFailed, now: float) -> None:
        """Note that a hook failed; where that was too often, its plugin is switched off, with an event."""
        log.warning("plugin %s: %s: %s", entry.setting.name, kind, error)
        if not error.blameless and entry.failed(f"{kind}: {error}", now):
            log.error("plugin %s is switched off: %s", entry.setting.name, entry.broken)
            await tell_of(self.store, entry, at_work, now)


def _code(made: AtWork) -> dict[str, tuple[str, str]]:
    """Version and digest of each plugin."""
    return {entry.setting.name: (entry.brought.version, entry.brought.digest) for entry in made.entries}


def _meant(placed: Placed, view: ClusterView) -> Placed:
    """What a plugin says to where a job should run, where it can have meant that.

    Raises:
        HookFailed: It cannot.
    """
    if placed.placement is not None and (fault := fault_of(placed.placement, view.nodes.keys())):
        raise HookFailed(f"its placement {fault}")
    return placed


def _switched_off(entry: Entry) -> PluginFailed:
    return PluginFailed(
        f"Plugin {entry.setting.name} is switched off, and no job goes without its word. "
        "Operators see why: hpcjobs plugins list.",
        retry_after_s=RETRY_S,
    )

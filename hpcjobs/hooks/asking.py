"""The plugins of one generation are asked, in order, each for what it is there for."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from hpcjobs.errors import PluginFailed, Refusal, Refused
from hpcjobs.hooks.frames import Judged, Placed
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.process import HookFailed
from hpcjobs.hooks.told import tell_of
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.placement import Placement, fault_of
from hpcjobs.model.plugin import ConfigurationFile
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action, printable, unmeant
from hpcjobs.plugin import Configure, Context, Inventory, Place, Tick
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

RETRY_S: Final = 30
"""When it is worth while to submit again what a broken plugin keeps from being judged, in seconds."""


class Asking:
    """Asks them, and notes which of them fail.

    Args:
        store: Where it is told that one is switched off.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

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
            return await asyncio.to_thread(_wanted, said)
        except HookFailed as error:
            await self.failed(at_work, entry, Tick.kind, error, now)
            return None

    async def configure(self, at_work: AtWork, view: ClusterView, now: float) -> list[ConfigurationFile]:
        """What the plugins write of a cluster's configuration. One that fails is told of in place of its files.

        Args:
            at_work: The generation, held.
            view: Of the cluster.
            now: Unix seconds.
        """
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

    async def failed(self, at_work: AtWork, entry: Entry, kind: str, error: HookFailed, now: float) -> None:
        """Note that a hook failed; where that was too often, its plugin is switched off, with an event."""
        log.warning("plugin %s: %s: %s", entry.setting.name, kind, error)
        if not error.blameless and entry.failed(f"{kind}: {error}", now):
            log.error("plugin %s is switched off: %s", entry.setting.name, entry.broken)
            await tell_of(self.store, entry, at_work, now)


def _meant(placed: Placed, view: ClusterView) -> Placed:
    """What a plugin says to where a job should run, where it can have meant that.

    Raises:
        HookFailed: It cannot.
    """
    if placed.placement is not None and (fault := fault_of(placed.placement, view.nodes.keys())):
        raise HookFailed(f"its placement {fault}")
    return placed


def _wanted(said: list[Action]) -> tuple[Action, ...]:
    """What a policy wants, where it can have meant all of it.

    Raises:
        HookFailed: It cannot.
    """
    if fault := next(filter(None, map(unmeant, said)), ""):
        raise HookFailed(f"its answer cannot be meant: {fault}")
    return tuple(map(printable, said))


def _switched_off(entry: Entry) -> PluginFailed:
    return PluginFailed(
        f"Plugin {entry.setting.name} is switched off, and no job goes without its word. "
        "Operators see why: hpcjobs plugins list.",
        retry_after_s=RETRY_S,
    )

"""The plugins of one generation are asked, in order, each for what it is there for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.errors import PluginFailed, Refusal, Refused
from hpcjobs.hooks.frames import Judged, Placed, Wrapped
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.process import HookFailed
from hpcjobs.hooks.told import tell_of
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs.model.container import fault_of as fault_of_launch
from hpcjobs.model.placement import Placement, fault_of
from hpcjobs.model.plugin import ConfigurationFile
from hpcjobs.model.recovery import Decision, Ended, Retry, Tried
from hpcjobs.model.report import Table, misshapen
from hpcjobs.model.reservation import MOST_TIME
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import NODE, Action, printable, unmeant
from hpcjobs.plugin import Configure, Context, Inventory, Place, Recover, Report, Tick, Wrap
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

    async def report(self, at_work: AtWork, entry: Entry, name: str, answer: Table) -> Table:
        """A plugin's own report. One that fails switches its plugin not off: it is made where nobody else waits.

        Args:
            at_work: The generation, held.
            entry: The plugin.
            name: Which of its reports.
            answer: What usage says to its question.

        Raises:
            PluginFailed: It could not make it, or its plugin is switched off.
        """
        plugin = entry.setting.name
        if entry.broken:
            told = f"Plugin {plugin} is switched off, and makes no reports. Operators see why: hpcjobs plugins list."
            raise PluginFailed(told, retry_after_s=RETRY_S)
        args = {"name": name, "answer": await asyncio.to_thread(msgspec.msgpack.encode, answer)}
        try:
            return await asyncio.to_thread(_reported, await at_work.ask(entry, Report.kind, args, bytes), answer)
        except HookFailed as error:
            log.warning("plugin %s: report %s: %s", plugin, name, error)
            if not error.blameless:
                entry.noted(f"{Report.kind}: {error}")
            raise PluginFailed(f"Plugin {plugin} could not make its report {name}: {error.shown}.") from error

    async def recover(
        self, at_work: AtWork, ended: Ended, tried: Sequence[Tried], now: float
    ) -> tuple[str, Decision] | None:
        """What is to become of a job whose run ended badly: the first plugin that answers says it.

        Args:
            at_work: The generation, held.
            ended: The run that ended.
            tried: Those before it, the oldest first.
            now: Unix seconds.

        Returns:
            The plugin's name and what it says; None: none has anything to say.
        """
        args = {"ended": msgspec.msgpack.encode(ended), "tried": msgspec.msgpack.encode(tried)}
        for entry in at_work.having(Recover.kind):
            if entry.broken:
                continue
            try:
                said = _decided(await at_work.ask(entry, Recover.kind, args, bytes))
            except HookFailed as error:
                await self.failed(at_work, entry, Recover.kind, error, now)
                continue
            if said is not None:
                return entry.setting.name, said
        return None

    @staticmethod
    def runtimes(at_work: AtWork) -> frozenset[str]:
        """What a generation runs containers by, also where the plugin for it is switched off: ``wrap`` says so."""
        return frozenset(entry.brought.runtime for entry in at_work.entries if entry.brought.runtime)

    async def wrap(
        self,
        at_work: AtWork,
        launch: Launch,
        container: Container,
        mounts: Sequence[Mount],
        devices: Devices,
        now: float,
    ) -> Launch:
        """How a program is started in a container: the first plugin that is for its runtime says it.

        It must be asked whether it is ``required`` or not: a job that asks for a container never runs without.

        Args:
            at_work: The generation that admitted the job, held.
            launch: With its runtime, image, scope and working directory.
            container: As the job asks for it.
            mounts: All that it has of the host.
            devices: What its accelerators need.
            now: Unix seconds.

        Raises:
            Refused: The plugin is against it, or there is none for this runtime.
            PluginFailed: It could not answer, or is switched off.
        """
        entry = _wrapping(at_work, launch.runtime)
        if not launch.workdir.isprintable():  # a word of most runtimes, and its plugin is not to be blamed for it
            odd = f"No container can start in {launch.workdir!r:.200}: not all of its characters are printable."
            raise Refused([Refusal("container.workdir" if container.workdir else "workdir", odd)])
        told = {"launch": launch, "container": container, "mounts": tuple(mounts), "devices": devices}
        args = {name: msgspec.msgpack.encode(value) for name, value in told.items()}
        try:
            wrapped = _started(await at_work.ask(entry, Wrap.kind, args, Wrapped), launch)
        except HookFailed as error:
            await self.failed(at_work, entry, Wrap.kind, error, now)
            name = entry.setting.name
            raise PluginFailed(f"Plugin {name} could not put the job in its container: {error.shown}.") from error
        if wrapped.launch is None:
            raise Refused(wrapped.refusals)
        return wrapped.launch

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


def _wrapping(at_work: AtWork, runtime: str) -> Entry:
    """The plugin that runs containers by a runtime.

    Raises:
        Refused: There is none.
        PluginFailed: It is switched off, or nobody knows, because a plugin could not be loaded.
    """
    having = at_work.having(Wrap.kind)
    found = next((entry for entry in having if entry.brought.runtime == runtime), None)
    if found is not None:
        if found.broken:
            raise _switched_off(found)
        return found
    if unknown := [entry.setting.name for entry in having if entry.brought.fault]:
        told = f"Nobody knows whether a plugin here runs containers by {runtime}: {unknown[0]} could not be loaded."
        raise PluginFailed(f"{told} Operators see why: hpcjobs plugins list.", retry_after_s=RETRY_S)
    there = ", ".join(sorted({entry.brought.runtime for entry in having})) or "nothing"
    told = f"No plugin here runs containers by {runtime}: what they know is {there}."
    raise Refused([Refusal("container.runtime", told, "no-runtime")])


def _started(wrapped: Wrapped, asked: Launch) -> Wrapped:
    """What a plugin makes of a container, where it can have meant that.

    Raises:
        HookFailed: It cannot.
    """
    if wrapped.launch is not None and (fault := fault_of_launch(wrapped.launch, asked)):
        raise HookFailed(f"its launch {fault}")
    return wrapped


def _decided(said: bytes) -> Decision | None:
    """What a plugin says to a run that ended, where it can have meant that.

    Raises:
        HookFailed: It cannot.
    """
    try:
        decision: Decision | None = msgspec.msgpack.decode(said, type=Decision | None)
    except msgspec.DecodeError as error:
        raise HookFailed(f"what it decided cannot be read: {error}") from error
    if isinstance(decision, Retry):
        if not 0 <= decision.at <= MOST_TIME or (decision.nodes is not None and decision.nodes < 1):
            raise HookFailed(f"nobody can have meant {decision!r:.200}")
        if strange := [name for name in decision.avoid if not NODE.fullmatch(name)]:
            raise HookFailed(f"no node can be called {strange[0]!r:.100}")
    return decision


def _wanted(said: list[Action]) -> tuple[Action, ...]:
    """What a policy wants, where it can have meant all of it.

    Raises:
        HookFailed: It cannot.
    """
    if fault := next(filter(None, map(unmeant, said)), ""):
        raise HookFailed(f"its answer cannot be meant: {fault}")
    return tuple(map(printable, said))


def _reported(body: bytes, answer: Table) -> Table:
    """A plugin's report, with what is not the plugin's to say.

    Raises:
        HookFailed: It is none.
    """
    try:
        said = msgspec.msgpack.decode(body, type=Table)
    except msgspec.MsgspecError as error:
        raise HookFailed(f"its answer is none: {error}") from error
    if fault := misshapen(said):
        raise HookFailed(f"its table {fault}")
    return msgspec.structs.replace(
        said, period=answer.period, since=answer.since, until=answer.until, as_of=answer.as_of, more=0,
        notes=(*answer.notes, *(note for note in said.notes if note not in answer.notes)),
    )  # fmt: skip


def _switched_off(entry: Entry) -> PluginFailed:
    return PluginFailed(
        f"Plugin {entry.setting.name} is switched off, and no job goes without its word. "
        "Operators see why: hpcjobs plugins list.",
        retry_after_s=RETRY_S,
    )

"""The policies of one cluster by the clock: asked, joined, compared with what is so, and carried out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError, ViewStale
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.host import Hooks
from hpcjobs.hooks.process import HookFailed
from hpcjobs.model.aims import Said
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import Event
from hpcjobs.model.hints import NO_HINTS
from hpcjobs.model.policy import PolicyInfo, PolicyReport, Trouble
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Action
from hpcjobs.model.suspicion import Suspicion
from hpcjobs.observe.observer import Observer
from hpcjobs.plugin import Tick
from hpcjobs.steering.absent import Absent
from hpcjobs.steering.acts import Doer
from hpcjobs.steering.asked import as_asked
from hpcjobs.steering.hinted import Hinted
from hpcjobs.steering.orders import NOT_GIVEN, Giver, is_passing, pause_s
from hpcjobs.steering.past import Past
from hpcjobs.steering.plan import Step
from hpcjobs.steering.plan_all import first_of, name_of, plan_all
from hpcjobs.steering.plan_cluster import ClusterStep
from hpcjobs.steering.requeues import REQUEUE
from hpcjobs.steering.telling import OTHERS, Told
from hpcjobs.store import events, repository, steered
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

MOST_STEPS: Final = 500
"""Jobs that are changed after one tick, and those in one reservation with them; the others after the next."""
AT_ONCE: Final = 8
"""Orders that are under way at a time."""
EARLY_S: Final = 0.3
"""Policies are asked when there is a listing: one that comes so little before their time is taken for the one meant."""
MOST_SILENT: Final = 3
"""A policy that has failed so often since the service started, and said nothing, wishes nothing."""


def _nothing(_view: ClusterView, _now: float) -> Sequence[Action]:
    return ()


class Policy:
    """What is remembered of one policy."""

    def __init__(self) -> None:
        self.due = 0.0
        self.said: tuple[Action, ...] | None = None
        """What it wants; None: it has not said so since the service started."""
        self.ticked_at: float | None = None
        self.took_s = 0.0
        self.failed = ""
        self.silent = 0
        """How often it has failed before it first said something."""

    @property
    def wants(self) -> tuple[Action, ...] | None:
        """What it wants; None: nobody knows."""
        return () if self.said is None and self.silent >= MOST_SILENT else self.said


class PolicyRunner:
    """The policies of one cluster.

    Attributes:
        turns: How many turns there were in which policies were asked.
        turn_s: Time that these took, in seconds, with the time of their orders.
        order_s: Time in which orders of theirs were under way, in seconds.

    Args:
        store: Where what they change is written down.
        hooks: The plugins.
        observer: Of the cluster.
        service_user: An operator of Slurm, in whose name it is done.
        past: Nodes that failed under jobs.
        suspicions: Nodes against which something speaks, by name.
        others: What else is to be done, by what is listed and the time: it comes before all policies.
    """

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        observer: Observer,
        service_user: str,
        past: Past,
        suspicions: Callable[[], Mapping[str, Suspicion]] = dict,
        others: Callable[[ClusterView, float], Sequence[Action]] = _nothing,
    ) -> None:
        self.store = store
        self.hooks = hooks
        self.observer = observer
        self.service_user = service_user
        self.others = others
        self.doer = Doer(self._keep)
        self._absent = Absent()
        self.past = past
        self.suspicions = suspicions
        self.turns = 0
        self.turn_s = 0.0
        self.order_s = 0.0
        self._turn = asyncio.Lock()
        self._policies: dict[str, Policy] = {}
        self._began = 0.0
        """Seconds of time.monotonic() at which this turn began."""
        self._of: AtWork | None = None
        """The generation that was asked last."""
        self._rows: dict[Key, Steered] | None = None
        self._hinted = Hinted(store)
        self._told: tuple[AtWork, float] | None = None
        """The generation whose process knows a view, and when that was asked for."""
        self._troubles: dict[str, Trouble] = {}
        """By what they are of."""

    async def tick(self, now: float) -> None:
        """Ask those policies that are due, and carry out what all want. One turn waits for the one before.

        Args:
            now: Unix seconds.
        """
        try:
            async with self._turn:
                await self._tick(now)
        except HpcjobsError as error:
            log.warning("cluster %s: policies wait: %s", self.observer.cluster, error.detail)

    async def _tick(self, now: float) -> None:
        self._began = time.monotonic()
        at_work = self.hooks.at_work
        entries = [entry for entry in at_work.having(Tick.kind) if not entry.broken]
        if at_work is not self._of:
            self._of = at_work
            self._troubles.clear()  # with other policies it may go
            for policy in self._policies.values():
                policy.due = 0.0
        if self._rows is None:
            self._rows = await self.store.read(steered.rows, self.observer.cluster)
        try:
            view = self.observer.fresh_view(None, now)
        except ViewStale:
            return  # what is wished holds, and nothing new is decided on an old picture
        others = Said(OTHERS, tuple(self.others(view, now)))
        if not entries and not self._policies and not self._rows and not others.actions:
            return
        ids = {known.record.slurm_job_id: known.id for known in self.observer.listed()}
        told = Told(self.observer.cluster, view.jobs, ids, view.nodes)
        happened = await self._let_go(entries, told, now)
        due = [entry for entry in entries if self._policy(entry).due <= now]
        began = time.monotonic()
        if due:
            self.turns += 1
            with at_work.held():
                await self._show(at_work, view, told.ids, now)
                for entry in due:
                    happened += await self._ask(at_work, entry, told, now)
        if happened:
            await self.store.write(events.write, happened)
        await self._carry_out(entries, {entry.setting.name for entry in due}, others, view, told, now)
        if due:
            self.turn_s += time.monotonic() - began

    def _policy(self, entry: Entry) -> Policy:
        return self._policies.setdefault(entry.setting.name, Policy())

    async def _let_go(self, entries: Sequence[Entry], told: Told, now: float) -> list[Event]:
        """Forget the policies that are not in use any more, with all that they wish."""
        gone = self._policies.keys() - {entry.setting.name for entry in entries}
        happened: list[Event] = []
        for name in sorted(gone):
            happened += await asyncio.to_thread(told.of_policy, name, self._policies.pop(name).said or (), (), now)
        return happened

    async def _show(self, at_work: AtWork, view: ClusterView, ids: Mapping[int, str], now: float) -> None:
        """Let the process of the policies know how the cluster looks, without what policies have changed of it."""
        if self._told == (at_work, view.asked_at):
            return
        rows = self._rows or {}
        attempts = {record.attempt for record in view.jobs.values() if record.attempt}
        told = await self._hinted.of(attempts)
        hints = {
            number: found
            for number, record in view.jobs.items()
            if record.attempt and (found := told[record.attempt]) != NO_HINTS
        }
        shown = msgspec.structs.replace(
            view, hints=hints, failures=await self.past.failures(), suspicions=self.suspicions()
        )
        body = await asyncio.to_thread(lambda: msgspec.msgpack.encode(as_asked(shown, ids, dict(rows), now)))
        try:
            await at_work.policies.know("view", {"cluster": view.cluster, "view": body}, view.cluster)
        except HookFailed as error:
            log.warning("cluster %s: policies cannot be shown its jobs: %s", view.cluster, error)
        else:
            self._told = (at_work, view.asked_at)

    async def _ask(self, at_work: AtWork, entry: Entry, told: Told, now: float) -> list[Event]:
        """One tick of one policy."""
        name, policy = entry.setting.name, self._policy(entry)
        policy.due = now + entry.brought.tick_s - EARLY_S
        began = time.monotonic()
        said = await self.hooks.ask.tick(at_work, entry, told.cluster, now)
        policy.took_s, policy.ticked_at = time.monotonic() - began, now
        policy.failed = entry.last_failure if said is None else ""
        if said is None:
            policy.silent += 1
            return []
        before, policy.said = policy.said or (), said
        dry_run = entry.setting.dry_run
        return await asyncio.to_thread(told.of_policy, name, before, said, now, dry_run=dry_run)

    async def _carry_out(
        self, entries: Sequence[Entry], asked: Set[str], others: Said, view: ClusterView, told: Told, now: float
    ) -> None:
        """Change what is not as it is wished, and do what those wanted once that were asked just now."""
        policies = {entry.setting.name: self._policy(entry).wants for entry in entries if not entry.setting.dry_run}
        if None in policies.values() or self.observer.known_down():
            return  # after a start, what a policy wished before holds until it has spoken
        rows = self._rows if self._rows is not None else {}
        await self._forget(rows, view, told.ids, now)
        said = [others, *(Said(name, wanted or ()) for name, wanted in policies.items())]
        # Aside from the event loop: with 100,000 actions it takes seconds. Rows are changed by this turn alone.
        aims, every = await asyncio.to_thread(plan_all, said, view, told.ids, rows, now)
        self._troubles = {of: trouble for of, trouble in self._troubles.items() if trouble.retry_at > now}
        free = [step for step in every if name_of(step) not in self._troubles]
        beside = [step for step in free if isinstance(step, ClusterStep)]
        giver = Giver(self.observer.backend, self.service_user)
        made = await self._take(giver, (), [step for step in beside if step.makes], told, self._late(now))
        lacking = {step.makes for step in every if isinstance(step, ClusterStep)} - {"", *made}
        jobs = [step for step in free if isinstance(step, Step) and step.inside not in lacking]
        jobs = first_of(jobs, aims.jobs, MOST_STEPS)
        await self._take(giver, jobs, [step for step in beside if not step.makes], told, self._late(now))
        acts = [(policy, act) for policy, act in aims.acts if policy in {*asked, OTHERS}]
        if acts and (happened := await self.doer.do(giver, acts, told, rows, view.asked_at, self._late(now))):
            await self.store.write(events.write, happened)

    def _late(self, now: float) -> float:
        """The time by now, in Unix seconds: a turn that began at ``now`` has asked and planned, which takes a while."""
        return now + time.monotonic() - self._began

    async def _take(
        self, giver: Giver, jobs: Sequence[Step], beside: Sequence[ClusterStep], told: Told, now: float
    ) -> set[str]:
        """Take steps: rows are written, then orders given. Returns the names of the reservations that were made."""
        every: tuple[Step | ClusterStep, ...] = (*jobs, *beside)
        written = [row for each in every for row in each.rows]
        if written:
            await self._keep(written, ())
        turn, began = asyncio.Semaphore(AT_ONCE), time.monotonic()

        async def in_turn(step: Step) -> HpcjobsError | None:
            async with turn:
                return await giver.give(step.orders)

        faults = [*await asyncio.gather(*map(in_turn, jobs))]
        faults += [await giver.give(step.orders) for step in beside]
        # Of a listing that was asked for while orders were under way nobody knows what it shows.
        took_s = time.monotonic() - began
        self.order_s += took_s
        if self._rows is not None:
            self._rows.update({row.key: msgspec.structs.replace(row, at=now + took_s) for row in written})
        dropped: list[Key] = []
        refused: list[Event] = []
        for step, fault in zip(every, faults, strict=True):
            if fault is None:
                dropped += step.dropped
                continue
            if fault is NOT_GIVEN:
                continue  # the next turn gives it
            of = name_of(step)
            self._troubles[of] = Trouble(of, fault.detail, now + took_s + pause_s(fault))
            if not is_passing(fault):
                dropped += step.once
                refused.append(told.of_refusal(step, of, fault.detail, now))
        if dropped or refused:
            await self._keep((), dropped, refused)
        return {step.makes for step, fault in zip(beside, faults[len(jobs) :], strict=True) if fault is None}

    async def _forget(self, rows: Mapping[Key, Steered], view: ClusterView, ids: Mapping[int, str], now: float) -> None:
        """Forget what was changed of jobs that have ended and are listed no more, and of what is away for long."""
        unlisted, gone = self._absent.see(rows, view, ids, now)
        found = await self.store.read(repository.jobs_by_id, unlisted) if unlisted else {}
        ended = {job_id for job_id in unlisted if job_id not in found or found[job_id].final}
        forgotten = [key for key in rows if (key.kind == "job" and key.subject in ended) or key[:2] in gone]
        if forgotten:
            await self._keep((), forgotten)

    async def _keep(self, written: Sequence[Steered], dropped: Sequence[Key], happened: Sequence[Event] = ()) -> None:
        await self.store.write(steered.write, self.observer.cluster, written, dropped, happened)
        rows = self._rows if self._rows is not None else {}
        for row in written:
            rows[row.key] = row
        for key in dropped:
            rows.pop(key, None)

    def shown(self) -> PolicyReport:
        """What the policies want, and how they fare."""
        at_work = self.hooks.at_work
        policies = []
        for entry in at_work.having(Tick.kind):
            one = self._policies.get(entry.setting.name, Policy())
            failed = entry.broken or one.failed
            policies.append(
                PolicyInfo(entry.setting.name, entry.setting.dry_run, one.ticked_at, one.took_s, failed, one.said or ())
            )
        ended = {known.id for known in self.observer.listed() if known.final}
        rows = [row for row in (self._rows or {}).values() if row.value != row.base and row.key.field != REQUEUE]
        subjects = {row.key[:2] for row in rows if row.key.subject not in ended}
        of_kind = Counter(kind for kind, _ in subjects)
        return PolicyReport(
            self.observer.cluster,
            at_work.number,
            tuple(policies),
            of_kind["job"],
            of_kind["node"],
            tuple(sorted(subject for kind, subject in subjects if kind == "reservation")),
            tuple(self._troubles.values()),
        )

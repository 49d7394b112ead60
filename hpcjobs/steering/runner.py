"""The policies of one cluster by the clock: asked, joined, compared with what is so, and carried out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError, ViewStale
from hpcjobs.hooks.generation import AtWork, Entry
from hpcjobs.hooks.host import Hooks
from hpcjobs.hooks.process import HookFailed
from hpcjobs.model.aims import WISHED, Said, changes, fold, keyed
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import Event
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.policy import PolicyInfo, PolicyReport, Trouble
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Action
from hpcjobs.observe.observer import Observer
from hpcjobs.plugin import Tick
from hpcjobs.steering.acts import AGAIN_S, Doer
from hpcjobs.steering.asked import as_asked
from hpcjobs.steering.past import Past
from hpcjobs.steering.plan import Step, plan_jobs
from hpcjobs.steering.plan_cluster import ClusterStep, plan_nodes, plan_reservations
from hpcjobs.steering.telling import DRY_RUN, Told, acts_of
from hpcjobs.store import events, repository, steered
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

MOST_STEPS: Final = 500
"""Jobs that are changed after one tick; the others after the next."""
AT_ONCE: Final = 8
"""Orders that are under way at a time."""


class Policy:
    """What is remembered of one policy."""

    def __init__(self) -> None:
        self.due = 0.0
        self.said: tuple[Action, ...] | None = None
        """What it wants; None: it has not said so since the service started."""
        self.ticked_at: float | None = None
        self.took_s = 0.0
        self.failed = ""


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
    """

    def __init__(self, store: Store, hooks: Hooks, observer: Observer, service_user: str) -> None:
        self.store = store
        self.hooks = hooks
        self.observer = observer
        self.service_user = service_user
        self.doer = Doer(observer, service_user)
        self.past = Past(store, observer.cluster)
        self.turns = 0
        self.turn_s = 0.0
        self.order_s = 0.0
        self._policies: dict[str, Policy] = {}
        self._of: AtWork | None = None
        """The generation that was asked last."""
        self._rows: dict[Key, Steered] | None = None
        self._hints: dict[str, Hints] = {}
        self._told: tuple[AtWork, float] | None = None
        """The generation whose process knows a view, and when that was asked for."""
        self._troubles: dict[str, Trouble] = {}
        """By what they are of."""

    async def tick(self, now: float) -> None:
        """Ask those policies that are due, and carry out what all want.

        Args:
            now: Unix seconds.
        """
        try:
            await self._tick(now)
        except HpcjobsError as error:
            log.warning("cluster %s: policies wait: %s", self.observer.cluster, error.detail)

    async def _tick(self, now: float) -> None:
        at_work = self.hooks.at_work
        entries = [entry for entry in at_work.having(Tick.kind) if not entry.broken]
        if at_work is not self._of:
            self._of = at_work
            self._troubles.clear()  # with other policies it may go
            for policy in self._policies.values():
                policy.due = 0.0
        if self._rows is None:
            self._rows = await self.store.read(steered.rows, self.observer.cluster)
        if not entries and not self._policies and not self._rows and not self.doer.rests:
            return
        try:
            view = self.observer.fresh_view(None, now)
        except ViewStale:
            return  # what is wished holds, and nothing new is decided on an old picture
        ids = {known.record.slurm_job_id: known.id for known in self.observer.listed()}
        told = Told(self.observer.cluster, view.jobs, ids, view.nodes)
        happened = self._let_go(entries, told, now)
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
        await self._carry_out(entries, {entry.setting.name for entry in due}, view, told, now)
        if due:
            self.turn_s += time.monotonic() - began

    def _policy(self, entry: Entry) -> Policy:
        return self._policies.setdefault(entry.setting.name, Policy())

    def _let_go(self, entries: Sequence[Entry], told: Told, now: float) -> list[Event]:
        """Forget the policies that are not in use any more, with all that they wish."""
        gone = self._policies.keys() - {entry.setting.name for entry in entries}
        happened: list[Event] = []
        for name in sorted(gone):
            for wish, state in changes(keyed(self._policies.pop(name).said or ()), ()):
                happened += told.of_action(name, wish, state, now)
        return happened

    async def _show(self, at_work: AtWork, view: ClusterView, ids: Mapping[int, str], now: float) -> None:
        """Let the process of the policies know how the cluster looks, without what policies have changed of it."""
        if self._told == (at_work, view.asked_at):
            return
        rows = self._rows or {}
        attempts = {record.attempt for record in view.jobs.values() if record.attempt}
        if unknown := attempts - self._hints.keys():
            self._hints |= dict.fromkeys(unknown, NO_HINTS) | await self.store.read(repository.hints_of, unknown)
        for attempt in self._hints.keys() - attempts:
            del self._hints[attempt]
        hints = {
            number: found
            for number, record in view.jobs.items()
            if record.attempt and (found := self._hints[record.attempt]) != NO_HINTS
        }
        shown = msgspec.structs.replace(view, hints=hints, failures=await self.past.failures())
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
        policy.due = now + entry.brought.tick_s
        began = time.monotonic()
        said = await self.hooks.ask.tick(at_work, entry, told.cluster, now)
        policy.took_s, policy.ticked_at = time.monotonic() - began, now
        policy.failed = entry.last_failure if said is None else ""
        if said is None:
            return []
        happened: list[Event] = []
        dry_run = entry.setting.dry_run
        for wish, state in changes(keyed(policy.said or ()), keyed(said)):
            happened += told.of_action(name, wish, DRY_RUN if dry_run and state == WISHED else state, now)
        if dry_run:
            for act in acts_of(said):
                happened += told.of_action(name, act, DRY_RUN, now)
        policy.said = said
        return happened

    async def _carry_out(
        self, entries: Sequence[Entry], asked: Set[str], view: ClusterView, told: Told, now: float
    ) -> None:
        """Change what is not as it is wished, and do what those wanted once that were asked just now."""
        policies = {entry.setting.name: self._policy(entry).said for entry in entries if not entry.setting.dry_run}
        if None in policies.values() or self.observer.known_down():
            return  # after a start, what a policy wished before holds until it has spoken
        aims = fold(Said(name, said or ()) for name, said in policies.items())
        for job in aims.jobs.values():
            if job.reservation not in view.reservations:
                job.reservation = ""  # it is made first
        rows = self._rows if self._rows is not None else {}
        self._troubles = {of: trouble for of, trouble in self._troubles.items() if trouble.retry_at > now}
        plan = plan_jobs(aims.jobs, view.jobs, told.ids, rows, view.asked_at, now)
        steps = [step for step in plan.steps if _name(step) not in self._troubles][:MOST_STEPS]
        nodes = plan_nodes(aims.nodes, view, rows, now)
        kept = plan_reservations(aims.reservations, view, rows, now)
        beside = [step for step in (*nodes, *kept) if step.what not in self._troubles]
        every: tuple[Step | ClusterStep, ...] = (*steps, *beside)
        written = [row for each in every for row in each.rows]
        if written or plan.forgotten:
            await self._keep(written, plan.forgotten, ())
        turn, began = asyncio.Semaphore(AT_ONCE), time.monotonic()
        faults = [*await asyncio.gather(*(self._step(step, turn) for step in steps))]
        faults += [await self._cluster_step(step) for step in beside]
        # Of a listing that was asked for while orders were under way nobody knows what it shows.
        took_s = time.monotonic() - began
        self.order_s += took_s
        done_at = now + took_s
        for row in written:
            rows[row.key] = msgspec.structs.replace(row, at=done_at)
        dropped: list[Key] = []
        refused: list[Event] = []
        for step, fault in zip(every, faults, strict=True):
            if not fault:
                dropped += step.dropped
                continue
            of = _name(step)
            self._troubles[of] = Trouble(of, fault, now + AGAIN_S)
            refused.append(told.of_refusal(step, of, fault, now))
        if dropped or refused:
            await self._keep((), dropped, refused)
        acts = [(policy, act) for policy, act in aims.acts if policy in asked]
        if happened := await self.doer.do(acts, told, view.asked_at, now):
            await self.store.write(events.write, happened)

    async def _keep(self, written: Sequence[Steered], dropped: Sequence[Key], happened: Sequence[Event]) -> None:
        await self.store.write(steered.write, self.observer.cluster, written, dropped, happened)
        rows = self._rows if self._rows is not None else {}
        for row in written:
            rows[row.key] = row
        for key in dropped:
            rows.pop(key, None)

    async def _step(self, step: Step, turn: asyncio.Semaphore) -> str:
        """Do one; returns why it could not be done, or ``""``."""
        async with turn:
            try:
                for order in step.orders:
                    await self.observer.backend.act(self.service_user, order)
            except HpcjobsError as error:
                return error.detail
        return ""

    async def _cluster_step(self, step: ClusterStep) -> str:
        """Do one; returns why it could not be done, or ``""``."""
        try:
            if isinstance(step.order, NodeOrder):
                await self.observer.backend.act_nodes(step.order)
            elif step.order is not None:
                await self.observer.backend.reserve(step.order)
        except HpcjobsError as error:
            return error.detail
        return ""

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
        subjects = {(key.kind, key.subject) for key in self._rows or ()}
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


def _name(step: Step | ClusterStep) -> str:
    """What a step is of, in words."""
    return step.what if isinstance(step, ClusterStep) else f"job {step.number}"

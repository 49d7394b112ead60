"""Brings Slurm's accounting to what tenants say: a plan, then its orders, each written down before it is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError, NotSupported
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.storage import StorageState
from hpcjobs.model.tenant import BudgetState, Change, Ledger, LedgerOrder, Made, Plan, Setting, Tenant, Unmet, Verb
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.store import tenants as rows
from hpcjobs.store.store import Store
from hpcjobs.tenants.desired import desired
from hpcjobs.tenants.enforced import unenforced
from hpcjobs.tenants.plan import diff, kept_of
from hpcjobs.tenants.standing import Found, Standing

log = logging.getLogger(__name__)

Told = dict[str, str | int | float | bool | None]

MOST_CHANGES: Final = 1000
"""Of one turn; the next goes on."""


class Reconciler:
    """Plans and applies, one cluster at a time.

    Killed between two orders it goes on with the next turn: what was sent is seen in Slurm, the rest is planned again.

    Args:
        store: Where what is ours is written down.
        standing: How projects stand.
        done: Is told of each change after it was made, with the cluster.
    """

    def __init__(self, store: Store, standing: Standing, done: Callable[[str, Change], Awaitable[None]]) -> None:
        self.store = store
        self.standing = standing
        self.done = done
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def plan(self, cluster: str, backend: Backend) -> Plan:
        """What must change for Slurm to be as the tenants say; nothing is done.

        Raises:
            NotSupported: No way to the cluster knows accounts.
            Unavailable: Slurm's accounting, the database or usage do not answer.
        """
        plan, _, _ = await self._plan(cluster, backend)
        return plan

    async def _plan(self, cluster: str, backend: Backend) -> tuple[Plan, Found, dict[Setting, Made]]:
        if why := backend.lacks(Op.LEDGER):
            raise NotSupported(f"Cluster {cluster!r}: {why}.")
        ledger = await backend.ledger()
        self.learn(cluster, ledger)
        found = await self.standing.of(cluster)
        wanted, unmet = desired(found.tenants, found.exhausted(), ledger)
        unmet += tuple(await _unenforced(wanted, backend))
        made = await self.store.read(rows.made, cluster)
        return Plan(cluster, diff(wanted, ledger.settings, made), unmet), found, made

    def learn(self, cluster: str, ledger: Ledger) -> None:
        """Take over which account is below which."""
        parents = {key.project: value for key, value in ledger.settings.items() if key.field == "parent"}
        if self.standing.slurms_parents.get(cluster) != parents:
            self.standing.slurms_parents[cluster] = parents
            self.standing.changed(cluster)

    async def apply(self, cluster: str, backend: Backend) -> Plan:
        """Carry out the plan as it is now.

        Returns:
            What was done.

        Raises:
            HpcjobsError: Slurm refused an order, or did not answer; ``kept`` says how many were done before.
        """
        async with self._locks[cluster]:
            plan, found, made = await self._plan(cluster, backend)
            turn = plan.changes[:MOST_CHANGES]
            for number, change in enumerate(turn):
                try:
                    await self._make(cluster, backend, change, found.tenants, made)
                except HpcjobsError as error:
                    error.kept = f"{number} of {len(plan.changes)} changes are made; the next run goes on."
                    raise
        return msgspec.structs.replace(plan, changes=turn)

    async def _make(
        self,
        cluster: str,
        backend: Backend,
        change: Change,
        tenants: Mapping[str, Tenant],
        made: Mapping[Setting, Made],
    ) -> None:
        kept = kept_of(change, made, time.time())
        if kept is not None:
            await self.store.write(rows.keep, cluster, kept)
        if change.verb is not Verb.FORGET:
            tenant = tenants.get(change.setting.project, Tenant())
            parent = tenant.parent or "root"
            order = LedgerOrder(change.setting, change.value, parent, tenant.description, tenant.organization)
            await backend.enter(order)
            await self.done(cluster, change)
        if kept is None:
            await self.store.write(rows.forget, cluster, change.setting)

    async def tell(self, cluster: str) -> None:
        """Write an event where a budget or files have passed a bound, or are within it again.

        Raises:
            Unavailable: The database or usage do not answer.
        """
        found = await self.standing.of(cluster)
        if not found.tenants:
            return
        before = await self.store.read(rows.levels, cluster)
        for project, states in found.budgets.items():
            news = {f"{state.budget.kind}/{state.budget.period}": (level_of(state), _hours(state)) for state in states}
            if (files := found.storage.get(project)) is not None:
                news["storage"] = (level_of(files), _bytes(files))
            now = {key: level for key, (level, _) in news.items()}
            told = before.get(project, {})
            if now != told:
                changed = [
                    _event(cluster, project, level, data, found.at)
                    for key, (level, data) in news.items()
                    if told.get(key, "") != level
                ]
                await self.store.write(rows.tell, cluster, project, now, changed)


async def _unenforced(wanted: Collection[Setting], backend: Backend) -> list[Unmet]:
    """What slurm.conf lacks; that it cannot be asked keeps nobody from planning: accounting is not the controller's."""
    try:
        return list(unenforced(wanted, await backend.scheduling())) if wanted else []
    except HpcjobsError as error:
        return [Unmet("", "slurm.conf", f"it is not known whether Slurm holds all of this: {error.detail}")]


def level_of(state: BudgetState | StorageState) -> str:
    """Which bound a budget, or files, have passed: ``hard``, ``soft`` or ``""``."""
    return "hard" if state.hard_passed else "soft" if state.soft_passed else ""


def _hours(state: BudgetState) -> Told:
    return {
        "kind": state.budget.kind,
        "period": state.budget.period.value,
        "used_h": round(state.used_h, 3),
        "left_h": None if state.left_h is None else round(state.left_h, 3),
        "exhausted_at": state.exhausted_at,
    }


def _bytes(state: StorageState) -> Told:
    return {"used_bytes": state.used_bytes, "left_bytes": state.left_bytes, "exhausted_at": state.exhausted_at}


def _event(cluster: str, project: str, level: str, data: Told, now: float) -> Event:
    told: Told = {"project": project, "passed": level, **data}
    return Event(0, now, EventKind.QUOTA_STATE, cluster, account=project, data=told)

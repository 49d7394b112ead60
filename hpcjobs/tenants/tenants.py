"""Tenants for callers: who sees what of them, who declares them, who asks for more and who decides."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import msgspec

from hpcjobs.errors import NotAllowed, NotFound, Refusal, Refused
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import JobRecord
from hpcjobs.model.tenant import (
    Budget,
    Change,
    Decision,
    Plan,
    ProjectQuota,
    Quota,
    QuotaAsked,
    QuotaRequest,
    RequestState,
    Tenant,
)
from hpcjobs.model.who import Membership, Role
from hpcjobs.settings import StorageSettings
from hpcjobs.slurm.base import Backend
from hpcjobs.store import tenants as rows
from hpcjobs.store.store import Store, new_id
from hpcjobs.tenants.admission import QuotaRule
from hpcjobs.tenants.budget import faults
from hpcjobs.tenants.measuring import StorageMeter
from hpcjobs.tenants.reconciler import Reconciler
from hpcjobs.tenants.standing import Found, Standing, shown
from hpcjobs.tenants.storage import faults as storage_faults
from hpcjobs.usage.store import UsageStore

MOST_BUDGETS: Final = 32
"""Of one project."""


class Tenants:
    """All of it.

    Args:
        store: Where tenants are declared.
        usage: What was used.
        directory: Whose projects are whose.
        backend_of: The backend of a cluster, by its name.
        done: See Reconciler.
        meters: How it is found what files use, by cluster.
        jobs: See Standing.
    """

    def __init__(
        self,
        store: Store,
        usage: UsageStore,
        directory: Directory,
        backend_of: Callable[[str], Backend],
        done: Callable[[str, Change], Awaitable[None]],
        meters: Mapping[str, StorageSettings],
        jobs: Callable[[str], Collection[JobRecord] | None],
    ) -> None:
        self.store = store
        self.directory = directory
        self.backend_of = backend_of
        self.standing = Standing(store, usage, meters, jobs)
        self.meter = StorageMeter(store, self.standing, meters)
        self.reconciler = Reconciler(store, self.standing, done)
        self.rule = QuotaRule(self.standing, directory)

    def _role(self, who: Identity, cluster: str, project: str, tenants: Mapping[str, Tenant]) -> Membership | None:
        """What a caller is to a project, as Slurm has it or, where Slurm has not heard of it yet, as declared."""
        role = self.directory.role_in(who.user, cluster, project)
        tenant = tenants.get(project)
        if role is not None or tenant is None:
            return role
        if who.user in tenant.managers:
            return Membership.MANAGER
        return Membership.MEMBER if who.user in tenant.members else None

    def _known(self, who: Identity, cluster: str, project: str, found: Found) -> Membership | None:
        """The same of a project that the caller may know of.

        Raises:
            NotFound: There is none, or none that they may know of: the two look alike.
        """
        role = self._role(who, cluster, project, found.tenants)
        if role is None and not (who.sees_all and (project in found.tenants or self.directory.knows(cluster, project))):
            raise NotFound(f"There is no project {project!r} on cluster {cluster!r}.")
        return role

    async def quotas(self, who: Identity, cluster: str) -> list[ProjectQuota]:
        """The declared projects of a cluster that a caller belongs to or manages; for operators all."""
        found = await self.standing.of(cluster)
        return [
            _for(who, role, shown(cluster, project, found))
            for project in found.tenants
            for role in [self._role(who, cluster, project, found.tenants)]
            if role is not None or who.sees_all
        ]

    async def quota(self, who: Identity, cluster: str, project: str) -> ProjectQuota:
        """One project; where nothing is declared of it, so it is shown.

        Raises:
            NotFound: There is none, or none that the caller may know of.
        """
        found = await self.standing.of(cluster)
        role = self._known(who, cluster, project, found)
        if project not in found.tenants:
            return ProjectQuota(cluster, project, Tenant(), (), found.read_until)
        return _for(who, role, shown(cluster, project, found))

    async def declare(self, who: Identity, cluster: str, project: str, tenant: Tenant) -> ProjectQuota:
        """Say what a project shall be. Slurm hears of it with the next plan that is applied.

        Raises:
            Refused: It cannot be so.
        """
        found = await self.standing.of(cluster)
        check(project, tenant, found.tenants)
        await self.store.write(rows.declare, cluster, project, tenant, who.user, time.time())
        self.standing.changed(cluster)
        return shown(cluster, project, await self.standing.of(cluster))

    async def withdraw(self, cluster: str, project: str) -> None:
        """Say nothing of a project any more: the next plan gives back what was there before.

        Raises:
            NotFound: Nothing was said.
        """
        if not await self.store.write(rows.withdraw, cluster, project):
            raise NotFound(f"Nothing is declared of project {project!r} on cluster {cluster!r}.")
        self.standing.changed(cluster)

    async def requests(self, who: Identity, cluster: str, project: str) -> list[QuotaRequest]:
        """A project's requests, the newest first; members see their own.

        Raises:
            NotFound: There is no such project, or none that the caller may know of.
        """
        role = self._known(who, cluster, project, await self.standing.of(cluster))
        kept = await self.store.read(rows.requests, cluster, project)
        return [one for one in kept if who.sees_all or role is Membership.MANAGER or one.user == who.user]

    async def ask(self, who: Identity, cluster: str, project: str, asked: QuotaAsked) -> QuotaRequest:
        """Ask for more.

        Raises:
            NotFound: There is no such project, or none that the caller may know of.
            Refused: It cannot be so.
        """
        self._known(who, cluster, project, await self.standing.of(cluster))
        if found := quota_faults(asked.quota, "quota"):
            raise Refused(found)
        request = QuotaRequest(new_id(), cluster, project, who.user, time.time(), asked)
        await self.store.write(rows.add_request, request, _told(request, request.created_at))
        return request

    async def decide(
        self, who: Identity, cluster: str, project: str, request_id: str, decision: Decision
    ) -> QuotaRequest:
        """Grant a request or not: admins, and managers of the project above.

        Raises:
            NotFound: There is no such request, or none that the caller may know of.
            NotAllowed: The caller does not manage the project above.
            Conflict: It is decided already.
        """
        found = await self.standing.of(cluster)
        self._known(who, cluster, project, found)
        _, *above = self.standing.lineage(cluster, project, found.tenants)
        manages = any(self._role(who, cluster, name, found.tenants) is Membership.MANAGER for name in above)
        if who.role is not Role.ADMIN and not manages:
            raise NotAllowed("Admins decide, and managers of a project above.")
        kept = {one.id: one for one in await self.store.read(rows.requests, cluster, project)}
        request = kept.get(request_id)
        if request is None:
            raise NotFound(f"Project {project!r} has no request {request_id[:64]!r}.")
        state = RequestState.APPROVED if decision.approve else RequestState.DENIED
        now = time.time()
        decided = msgspec.structs.replace(request, state=state, decided_by=who.user, decided_at=now, note=decision.note)
        await self.store.write(rows.decide, cluster, project, decided, _told(decided, now))
        self.standing.changed(cluster)
        return decided

    async def plan(self, cluster: str) -> Plan:
        """See Reconciler."""
        return await self.reconciler.plan(cluster, self.backend_of(cluster))

    async def apply(self, cluster: str) -> Plan:
        """See Reconciler."""
        return await self.reconciler.apply(cluster, self.backend_of(cluster))

    async def tick(self, cluster: str, *, applies: bool) -> None:
        """Tell what has changed, and bring Slurm's accounting to it where the settings say so.

        Args:
            cluster: Which.
            applies: Whether they do.

        Raises:
            HpcjobsError: It could not be done.
        """
        await self.reconciler.tell(cluster)
        if not applies:
            return
        tenants, ours = (await self.standing.of(cluster)).tenants, await self.store.read(rows.made, cluster)
        if tenants or ours:
            await self.apply(cluster)


def _for(who: Identity, role: Membership | None, told: ProjectQuota) -> ProjectQuota:
    """What a caller is shown: members do not learn who the others are."""
    if who.sees_all or role is Membership.MANAGER:
        return told
    return msgspec.structs.replace(told, tenant=msgspec.structs.replace(told.tenant, members=()))


def _told(request: QuotaRequest, now: float) -> Event:
    data: dict[str, str | int | float | bool | None] = {
        "project": request.project,
        "request": request.id,
        "state": request.state.value,
        "by": request.decided_by or request.user,
    }
    return Event(0, now, EventKind.QUOTA_REQUEST, request.cluster, None, request.user, request.project, data)


def quota_faults(quota: Quota, field: str) -> list[Refusal]:
    """What cannot be meant by a quota. Pure.

    Args:
        quota: Which.
        field: Its place in the request.
    """
    found = [fault for at, budget in enumerate(quota.budgets) for fault in faults(budget, f"{field}.budgets[{at}]")]
    found += storage_faults(quota, field)
    pairs = [_pair(budget) for budget in quota.budgets]
    found += [
        Refusal(f"{field}.budgets[{at}]", "There is a budget of this kind and period already.")
        for at, pair in enumerate(pairs)
        if pair in pairs[:at]
    ]
    if len(pairs) > MOST_BUDGETS:
        found.append(Refusal(f"{field}.budgets", f"There may be {MOST_BUDGETS}."))
    return found


def _pair(budget: Budget) -> tuple[str, str]:
    return budget.kind, budget.period.value


def check(project: str, tenant: Tenant, tenants: Mapping[str, Tenant]) -> None:
    """Refuse a tenant that cannot be. Pure.

    Raises:
        Refused: With every fault.
    """
    found = quota_faults(tenant.quota, "quota")
    if project == "root":
        found.append(Refusal("project", "Slurm's root account is nobody's project."))
    above, seen = tenant.parent, {project}
    while above is not None and above not in seen:
        seen.add(above)
        above = tenants[above].parent if above in tenants else None
    if above is not None:
        found.append(Refusal("parent", f"{project} would be below itself."))
    others = {name: of for of, other in tenants.items() if of != project for name in other.qos}
    found += [
        Refusal(f"qos.{name}", f"This QOS is declared of project {others[name]}.")
        for name in tenant.qos
        if name in others
    ]
    found += [
        Refusal(f"qos.{name}.preempts", "A QOS does not preempt itself.")
        for name, qos in tenant.qos.items()
        if name in qos.preempts
    ]
    if found:
        raise Refused(found)

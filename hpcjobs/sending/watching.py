"""Looks how what an alert watches stands: jobs that leave their GPUs idle, quotas that are used up or will be."""

from __future__ import annotations

from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity, visibility
from hpcjobs.model.alert import AlertKind, AlertRequest, AlertScope, Fact
from hpcjobs.model.tenant import ProjectQuota
from hpcjobs.reports.idling import Idling, idling
from hpcjobs.sending.stands import budget, concerns, files, idle, threshold_of
from hpcjobs.sending.turn import Found
from hpcjobs.tenants.tenants import Tenants
from hpcjobs.usage.store import UsageStore


class Watching:
    """Finds how things stand.

    Args:
        usage: What was used.
        tenants: How quotas stand.
        directory: Whose projects are whose.
        clusters: Names of all.
    """

    def __init__(self, usage: UsageStore, tenants: Tenants, directory: Directory, clusters: list[str]) -> None:
        self._usage = usage
        self._tenants = tenants
        self._directory = directory
        self._clusters = clusters
        self._idle_at = 0.0
        self._idle: dict[float, list[Idling]] = {}

    async def find(self, asked: AlertRequest, who: Identity, now: float) -> list[Found]:
        """How everything stands that an alert is about, of what its owner may see.

        Args:
            asked: The alert.
            who: Its owner.
            now: Unix seconds.

        Raises:
            HpcjobsError: It cannot be found now.
        """
        if asked.kind is AlertKind.IDLE:
            return [idle(one, asked, now) for one in await self._idling(asked, now) if concerns(asked, who, one)]
        told: list[Found] = []
        for cluster in [asked.cluster] if asked.cluster else self._clusters:
            for quota in await self._tenants.quotas(who, cluster):
                if self._of(asked, who, quota):
                    told += [budget(quota, state, asked, now) for state in quota.budgets]
                    told += [files(quota, state, asked, now) for state in (quota.storage,) if state is not None]
        return told

    async def _idling(self, asked: AlertRequest, now: float) -> list[Idling]:
        """Every job's idle GPUs; asked of usage once for all alerts of a moment that have the same threshold."""
        if self._idle_at != now:
            self._idle_at, self._idle = now, {}
        limit = threshold_of(asked) or 0.0
        if limit not in self._idle:
            self._idle[limit] = await self._usage.read(idling, limit)
        return self._idle[limit]

    def _of(self, asked: AlertRequest, who: Identity, quota: ProjectQuota) -> bool:
        if asked.scope is AlertScope.PROJECT:
            return quota.project == asked.project
        return (
            asked.scope is AlertScope.ALL
            or not who.sees_all  # others are shown their own projects only
            or self._directory.role_in(who.user, quota.cluster, quota.project) is not None
        )

    async def may_know(self, who: Identity, fact: Fact) -> bool:
        """Whether somebody may be told of a fact now.

        Raises:
            HpcjobsError: It cannot be found now.
        """
        if fact.user:
            return visibility(who).covers(fact.user, fact.cluster, fact.project)
        return any(quota.project == fact.project for quota in await self._tenants.quotas(who, fact.cluster))

"""How projects stand: what is declared of them, and what accounting says that they used."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from hpcjobs.model.held import Held
from hpcjobs.model.job import JobRecord
from hpcjobs.model.storage import StorageState
from hpcjobs.model.tenant import BudgetState, ProjectQuota, Tenant
from hpcjobs.settings import StorageSettings
from hpcjobs.store import storage
from hpcjobs.store import tenants as rows
from hpcjobs.store.store import Store
from hpcjobs.tenants.desired import below
from hpcjobs.tenants.held import by_account, together
from hpcjobs.tenants.storage import bounded, state
from hpcjobs.tenants.used import read_until, states_of
from hpcjobs.usage.store import UsageStore

KEPT_S: Final = 30.0
"""So long what was found holds, in seconds: usage is no newer than accounting is read."""


UNMEASURED: Final = StorageState(
    None, None, None, soft_passed=False, hard_passed=False, rate_bytes=None, exhausted_at=None,
    why="the settings of the cluster do not say how ([clusters.storage])",
)  # fmt: skip


class Found(msgspec.Struct, frozen=True):
    """How a cluster's projects stood.

    Attributes:
        at: Unix seconds.
        tenants: As declared.
        budgets: By project.
        read_until: See ProjectQuota.
        storage: Of the projects that have a quota of bytes.
        held: What the jobs of each project have; none where the cluster was not listed yet.
    """

    at: float
    tenants: dict[str, Tenant]
    budgets: dict[str, tuple[BudgetState, ...]]
    read_until: int
    storage: dict[str, StorageState] = {}
    held: dict[str, Held] = {}

    def exhausted(self) -> dict[str, frozenset[str]]:
        """Of projects the kinds of which a hard bound is passed."""
        passed = {
            project: frozenset(state.budget.kind for state in states if state.hard_passed)
            for project, states in self.budgets.items()
        }
        return {project: kinds for project, kinds in passed.items() if kinds}


class Standing:
    """Finds it, and keeps it for a while.

    Args:
        store: Where tenants are declared.
        usage: What was used.
        meters: How it is found what files use, by cluster.
        jobs: All jobs of a cluster, as it was last listed; None: it was not yet.
    """

    def __init__(
        self,
        store: Store,
        usage: UsageStore,
        meters: Mapping[str, StorageSettings],
        jobs: Callable[[str], Collection[JobRecord] | None],
    ) -> None:
        self.store = store
        self.usage = usage
        self.meters = meters
        self.jobs = jobs
        self.slurms_parents: dict[str, dict[str, str]] = {}
        """By cluster: of each account the one above it, as Slurm last said."""
        self._found: dict[str, Found] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changes: Counter[str] = Counter()

    def changed(self, cluster: str) -> None:
        """What was found of a cluster holds no longer."""
        self._found.pop(cluster, None)
        self._changes[cluster] += 1

    async def of(self, cluster: str) -> Found:
        """How a cluster's projects stand.

        Raises:
            Unavailable: The database or the tables of usage do not answer.
        """
        if (found := self._fresh(cluster)) is not None:
            return found
        async with self._asking[cluster]:  # many ask at once, and one finds it for all
            if (found := self._fresh(cluster)) is not None:
                return found
            changes = self._changes[cluster]
            found = await self._find(cluster, time.time())
            if changes == self._changes[cluster]:
                self._found[cluster] = found
            return found

    def _fresh(self, cluster: str) -> Found | None:
        found = self._found.get(cluster)
        return found if found is not None and 0 <= time.time() - found.at < KEPT_S else None

    async def _find(self, cluster: str, now: float) -> Found:
        tenants = await self.store.read(rows.declared, cluster)
        if not tenants:
            return Found(now, {}, {}, 0)
        above = self._parents(cluster, tenants)
        wanted = [
            (budget, below(project, above)) for project, tenant in tenants.items() for budget in tenant.quota.budgets
        ]
        states = iter(await self.usage.read(states_of, cluster, wanted, now))
        budgets = {
            project: tuple(itertools.islice(states, len(tenant.quota.budgets))) for project, tenant in tenants.items()
        }
        jobs = self.jobs(cluster)
        held = {} if jobs is None else by_account(jobs)
        return Found(
            now,
            tenants,
            budgets,
            await self.usage.read(read_until, cluster),
            await self._storage(cluster, tenants, now),
            {} if jobs is None else {project: together(below(project, above), held) for project in tenants},
        )

    async def _storage(self, cluster: str, tenants: Mapping[str, Tenant], now: float) -> dict[str, StorageState]:
        quotas = {project: tenant.quota for project, tenant in tenants.items() if bounded(tenant.quota)}
        if not quotas:
            return {}
        how = self.meters.get(cluster)
        if how is None:
            return dict.fromkeys(quotas, UNMEASURED)
        measured = await self.store.read(storage.measured, cluster)
        return {
            project: state(quota, measured.get(project, []), how.every_h * 3600, now)
            for project, quota in quotas.items()
        }

    def _parents(self, cluster: str, tenants: Mapping[str, Tenant]) -> dict[str, str]:
        said = {name: tenant.parent for name, tenant in tenants.items() if tenant.parent is not None}
        return self.slurms_parents.get(cluster, {}) | said

    def lineage(self, cluster: str, project: str, tenants: Mapping[str, Tenant]) -> list[str]:
        """A project and all above it, upwards."""
        above = self._parents(cluster, tenants)
        found = [project]
        while (parent := above.get(found[-1])) is not None and parent not in found:
            found.append(parent)
        return found


def shown(cluster: str, project: str, found: Found) -> ProjectQuota:
    """One project as people see it."""
    return ProjectQuota(
        cluster,
        project,
        found.tenants[project],
        found.budgets.get(project, ()),
        found.read_until,
        found.storage.get(project),
        found.held.get(project),
    )

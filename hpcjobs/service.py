"""The service put together: store, agents, backends, observers, clock."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from hpcjobs import clock, identity
from hpcjobs.agents.pool import AgentPool, Key, SpawnRefused
from hpcjobs.errors import ClusterUnknown, NotSupported, SettingsError, WorkerLost
from hpcjobs.files import AgentFiles, FileSystem
from hpcjobs.observe.observer import Observer
from hpcjobs.output import OutputReader
from hpcjobs.settings import ClusterSettings, Settings
from hpcjobs.slurm.base import Backend
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.store.store import Store
from hpcjobs.submission import Submission, Target

log = logging.getLogger(__name__)

SPAWNER_TRIES: Final = 40


class Service:
    """Everything that a request needs.

    Args:
        settings: As read.
        backends: By cluster name; None: made from the settings at start().
    """

    def __init__(self, settings: Settings, backends: dict[str, Backend] | None = None) -> None:
        self.settings = settings
        self.admins = frozenset(settings.admins)
        self.store = Store(settings.database_url)
        self.pool = AgentPool(settings.spawner_socket)
        self.output = OutputReader(self.pool)
        self.submission = Submission(self.store, settings.never_run_as, settings.min_uid)
        self.token_key = b""
        self.targets: dict[str, Target] = {}
        self._backends = backends
        self._clock: AsyncIOScheduler | None = None

    async def start(self) -> None:
        """Open the database, choose the backends, start the clock."""
        self.token_key = identity.load_key(self.settings.token_key_file)
        self.store.upgrade()
        entries = [clock.Entry("let-go-idle-agents", 30.0, self._let_go)]
        for cluster in self.settings.clusters:
            backend = self._backends[cluster.name] if self._backends else await self._choose(cluster)
            log.warning("cluster %s through %s", cluster.name, backend.kind)
            observer = Observer(cluster.name, backend, self.store, self.settings.max_age_s)
            self.targets[cluster.name] = Target(observer, cluster.home)
            entries.append(clock.Entry(f"observe-{cluster.name}", cluster.observe_s, observer.tick))
        self._clock = clock.start(entries)

    async def _let_go(self, _now: float) -> None:
        self.pool.let_go_idle()

    async def _choose(self, cluster: ClusterSettings) -> Backend:
        """The backend that the settings name; for ``auto`` pyslurm where the spawner can make its agents."""
        if cluster.backend != "slurmrestd":
            why = await self._no_pyslurm(cluster)
            if not why:
                return PyslurmBackend(cluster.name, self.pool, cluster.slurm_conf, self.settings.service_user)
            if cluster.backend == "pyslurm" or not cluster.slurmrestd_url:
                raise SettingsError(f"cluster {cluster.name}: no pyslurm here: {why}")
            log.warning("cluster %s: no pyslurm here, falling back to slurmrestd: %s", cluster.name, why)
        if not cluster.slurmrestd_url or not cluster.jwt_key_file:
            raise SettingsError(f"cluster {cluster.name}: slurmrestd needs slurmrestd_url and jwt_key_file")
        return SlurmrestdBackend(cluster.name, cluster.slurmrestd_url, cluster.jwt_key_file, self.settings.service_user)

    async def _no_pyslurm(self, cluster: ClusterSettings) -> str:
        key = Key("pyslurm", self.settings.service_user, cluster.slurm_conf)
        for _ in range(SPAWNER_TRIES):
            try:
                await self.pool.ready(key)
            except SpawnRefused as error:
                return str(error)
            except WorkerLost as error:
                log.warning("waiting for the spawner: %s", error.detail)
                await asyncio.sleep(0.5)
            else:
                return ""
        raise SettingsError(f"cluster {cluster.name}: the spawner does not come up")

    def target(self, cluster: str | None) -> Target:
        """A cluster by name; None is the default.

        Raises:
            ClusterUnknown: There is no such cluster.
        """
        name = cluster or self.settings.clusters[0].name
        target = self.targets.get(name)
        if target is None:
            raise ClusterUnknown(f"There is no cluster {name!r}; there are {', '.join(sorted(self.targets))}.")
        return target

    def files(self, cluster: str, user: str) -> FileSystem:
        """A cluster's files, as a user.

        Raises:
            ClusterUnknown: There is no such cluster.
            NotSupported: Its files cannot be reached from here.
            NotAllowed: Nobody acts as this user.
        """
        name = self.target(cluster).observer.cluster
        (settings,) = (told for told in self.settings.clusters if told.name == name)
        if not settings.file_roots:
            raise NotSupported(f"The files of cluster {name} cannot be reached from here: it has no file_roots.")
        identity.check_may_run(user, frozenset(self.settings.never_run_as), self.settings.min_uid)
        return AgentFiles(self.pool, user, tuple(root.format(user=user) for root in settings.file_roots))

    async def stop(self) -> None:
        """Stop the clock and let go of everything."""
        if self._clock is not None:
            self._clock.shutdown(wait=False)
        for target in self.targets.values():
            await target.observer.backend.close()
        self.pool.close()
        self.store.close()

"""Which ways lead to a cluster, from its settings and from what can be had here."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hpcjobs.agents.pool import AgentPool, Key, SpawnRefused
from hpcjobs.errors import SettingsError, WorkerLost
from hpcjobs.settings import ClusterSettings
from hpcjobs.slurm.base import Backend
from hpcjobs.slurm.layered import Layered
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.slurm.ssh import SshBackend
from hpcjobs.slurm.ssh_keys import CertificateKeys, FileKeys, Keys
from hpcjobs.slurm.ssh_transport import SshPool

log = logging.getLogger(__name__)

SPAWNER_TRIES: Final = 40


async def open_ways(cluster: ClusterSettings, pool: AgentPool, service_user: str) -> Backend:
    """Open the ways that the settings name; where they name none, all that can be had.

    Args:
        cluster: Its settings.
        pool: Where agents come from.
        service_user: Who observes the cluster.

    Raises:
        SettingsError: A way that is named cannot be had, or there is none at all.
    """
    no_pyslurm = ""
    ways: list[Backend] = []
    for name in cluster.ways or ("pyslurm", "slurmrestd", "ssh"):
        if name == "pyslurm":
            no_pyslurm = await _no_pyslurm(cluster, pool, service_user)
            if not no_pyslurm:
                ways.append(PyslurmBackend(cluster.name, pool, cluster.slurm_conf, service_user))
            elif cluster.ways:
                raise SettingsError(f"cluster {cluster.name}: no pyslurm here: {no_pyslurm}")
        elif name == "slurmrestd" and (cluster.ways or cluster.slurmrestd_url):
            if not cluster.slurmrestd_url or not cluster.jwt_key_file:
                raise SettingsError(f"cluster {cluster.name}: slurmrestd needs slurmrestd_url and jwt_key_file")
            ways.append(SlurmrestdBackend(cluster.name, cluster.slurmrestd_url, cluster.jwt_key_file, service_user))
        elif name == "ssh" and (cluster.ways or cluster.ssh_host):
            ways.append(SshBackend(cluster.name, _ssh_pool(cluster), service_user))
    if not ways:
        raise SettingsError(f"cluster {cluster.name}: no pyslurm here: {no_pyslurm}")
    if no_pyslurm:
        log.warning("cluster %s: no pyslurm here, going by %s: %s", cluster.name, ways[0].kind, no_pyslurm)
    return ways[0] if len(ways) == 1 else Layered(cluster.name, ways)


def _ssh_pool(cluster: ClusterSettings) -> SshPool:
    if not cluster.ssh_host or not cluster.ssh_known_hosts or bool(cluster.ssh_ca_key) == bool(cluster.ssh_key):
        raise SettingsError(
            f"cluster {cluster.name}: ssh needs ssh_host, ssh_known_hosts and either ssh_ca_key or ssh_key"
        )
    keys: Keys = CertificateKeys(cluster.ssh_ca_key) if cluster.ssh_ca_key else FileKeys(cluster.ssh_key or "")
    return SshPool(cluster.ssh_host, cluster.ssh_port, cluster.ssh_known_hosts, keys)


async def _no_pyslurm(cluster: ClusterSettings, pool: AgentPool, service_user: str) -> str:
    """Why there is no pyslurm, or ``""``."""
    key = Key("pyslurm", service_user, cluster.slurm_conf)
    for _ in range(SPAWNER_TRIES):
        try:
            await pool.ready(key)
        except SpawnRefused as error:
            return str(error)
        except WorkerLost as error:
            log.warning("waiting for the spawner: %s", error.detail)
            await asyncio.sleep(0.5)
        else:
            return ""
    raise SettingsError(f"cluster {cluster.name}: the spawner does not come up")

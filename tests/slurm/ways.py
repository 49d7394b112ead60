"""Every way to both clusters, opened from outside the containers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from hpcjobs.agents.pool import AgentPool
from hpcjobs.slurm.base import Backend
from hpcjobs.slurm.pyslurm_client import PyslurmBackend
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend
from hpcjobs.slurm.ssh import SshBackend
from hpcjobs.slurm.ssh_keys import CertificateKeys
from hpcjobs.slurm.ssh_transport import SshPool

from .conftest import Stack
from .relay import relayed

OBSERVER = "hpcjobs"
RESTD = ("v0.0.45", "v0.0.44", "v0.0.43", "v0.0.42")
WAYS = ("pyslurm@new", *(f"{version}@new" for version in RESTD), "ssh@new", "v0.0.42@old", "ssh@old")


def known_hosts(stack: Stack, folder: Path, port: int) -> Path:
    """A file with the login node's host key under the address that it has on this machine."""
    (name, rest) = stack.said("login", "cat /home/.ssh_known_hosts").strip().split(" ", 1)
    assert name == f"{stack.prefix}login"
    path = folder / "known_hosts"
    path.write_text(f"[127.0.0.1]:{port} {rest}\n")
    return path


def ca_key(stack: Stack, folder: Path) -> Path:
    path = folder / "ssh_ca"
    path.write_bytes(stack.secret("hpcjobs", "/run/hpcjobs/keys/ssh_ca"))
    return path


def jwt_key(stack: Stack, folder: Path) -> Path:
    path = folder / "jwt.key"
    path.write_bytes(stack.secret("slurmctld", "/secrets/jwt/jwt_hs256.key"))
    return path


def ssh_pool(stack: Stack, folder: Path) -> SshPool:
    port = stack.port("login", 22)
    return SshPool("127.0.0.1", port, known_hosts(stack, folder, port), CertificateKeys(ca_key(stack, folder)))


@contextlib.asynccontextmanager
async def opened(way: str, stack: Stack, folder: Path) -> AsyncIterator[Backend]:
    """A backend of the real cluster."""
    kind = way.partition("@")[0]
    async with contextlib.AsyncExitStack() as exits:
        backend: Backend
        if kind == "pyslurm":
            path = await exits.enter_async_context(relayed(stack.container("hpcjobs").name or "", folder))
            pool = AgentPool(path)
            exits.callback(pool.close)
            backend = PyslurmBackend(stack.cluster, pool, "/etc/slurm/slurm.conf", OBSERVER)
        elif kind == "ssh":
            backend = SshBackend(stack.cluster, ssh_pool(stack, folder), OBSERVER)
        else:
            url = f"http://127.0.0.1:{stack.port('slurmrestd', 6820)}"
            backend = SlurmrestdBackend(stack.cluster, url, jwt_key(stack, folder), OBSERVER, (kind,))
        exits.push_async_callback(backend.close)
        yield backend

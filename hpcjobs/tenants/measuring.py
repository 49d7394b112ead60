"""Measures what files of projects use: one after the other, at low priority, each for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hpcjobs.model.storage import Measured
from hpcjobs.settings import StorageSettings
from hpcjobs.store import storage, tenants
from hpcjobs.store.store import Store
from hpcjobs.tenants.standing import Standing
from hpcjobs.tenants.storage import bounded, command_told, du_told, du_words, patient

log = logging.getLogger(__name__)

ENDING_S: Final = 10.0
"""So long the end of a command is waited for that is not wanted any more, in seconds."""


class StorageMeter:
    """Measures, as the service's user and beside the service.

    Args:
        store: Where it is kept.
        standing: Is told that there is something new.
        clusters: How it is done, by cluster.
    """

    def __init__(self, store: Store, standing: Standing, clusters: Mapping[str, StorageSettings]) -> None:
        self.store = store
        self.standing = standing
        self.clusters = clusters

    async def tick(self, cluster: str, now: float) -> None:
        """Measure what is due: projects with a quota of bytes, each at most once in the time that the settings say.

        Args:
            cluster: Whose projects.
            now: Unix seconds.

        Raises:
            Unavailable: The database does not answer.
        """
        how = self.clusters[cluster]
        declared = await self.store.read(tenants.declared, cluster)
        tried = await self.store.read(storage.tried, cluster)
        wanted = [project for project, tenant in declared.items() if bounded(tenant.quota)]
        due = [project for project in wanted if now - tried.get(project, 0.0) >= how.every_h * 3600]
        if due and how.command:
            status, out, said = await run(how.command, how.timeout_s)
            await self._keep(cluster, command_told(status, out, said, wanted, time.time()))
        else:
            for project in due:
                told = await run(du_words(how.folder.format(project=project)), how.timeout_s)
                await self._keep(cluster, {project: du_told(*told, time.time())})

    async def _keep(self, cluster: str, measured: Mapping[str, Measured]) -> None:
        for project, one in measured.items():
            if one.used_bytes is None:
                log.warning("cluster %s: what files of project %s use is not known: %s", cluster, project, one.why)
        await self.store.write(storage.keep, cluster, measured)
        self.standing.changed(cluster)


async def run(words: Sequence[str], limit_s: int) -> tuple[int, str, str]:
    """Run a command, patiently and in English.

    Args:
        words: The command; no shell reads it.
        limit_s: Seconds that it may take.

    Returns:
        Its exit status, what it printed, and what it complained of.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}
    process = await asyncio.create_subprocess_exec(
        *patient(words, limit_s), env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, said = await process.communicate()
    finally:
        if process.returncode is None:  # nobody waits any more; what hangs in a file system cannot be ended
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), ENDING_S)
    return process.returncode or 0, out.decode(errors="replace"), said.decode(errors="replace")

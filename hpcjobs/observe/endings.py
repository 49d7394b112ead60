"""How jobs ended that the controller has forgotten: asked of accounting, and written like a listing.

A job that is missing from a listing has not thereby ended; slurmdbd says whether and how it did. So it is with what
came and went while nobody listed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from hpcjobs.errors import HpcjobsError, NotSupported
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.job import Job, JobRecord, State
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.store import listing
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 2.0
LAST_PAUSE_S: Final = 600.0
MOST: Final = 200
SLACK_S: Final = 60.0


class Endings:
    """Asks accounting about one cluster.

    Args:
        cluster: Its name.
        backend: How it is asked.
        store: Where the rows are.
        min_job_age_s: How long the controller lists a job after its end.
    """

    def __init__(self, cluster: str, backend: Backend, store: Store, min_job_age_s: float) -> None:
        self.cluster = cluster
        self.backend = backend
        self.store = store
        self.min_job_age_s = min_job_age_s
        self._pauses: dict[str, tuple[float, float]] = {}
        """By our id: when to ask again, and how long to wait after that."""

    async def tick(self, now: float) -> None:
        """Ask about the jobs whose end is not known.

        Args:
            now: Unix seconds.
        """
        if self.backend.lacks(Op.HISTORY):
            return
        unknown = await self.store.read(listing.of_unknown_end, self.cluster, MOST)
        due = {job.id: job for job in unknown if self._pauses.get(job.id, (0.0, 0.0))[0] <= now}
        self._pauses = {job.id: self._pauses[job.id] for job in unknown if job.id in self._pauses}
        if not due:
            return
        for job_id in due:
            pause = self._pauses.get(job_id, (0.0, FIRST_PAUSE_S))[1]
            self._pauses[job_id] = (now + pause, min(2 * pause, LAST_PAUSE_S))
        numbers = {job.array_job_id or job.het_job_id or job.slurm_job_id or 0 for job in due.values()}
        found = await self.ask(HistoryQuery(numbers=tuple(sorted(numbers))))
        changed = settled(due.values(), found)
        if changed:
            await self.store.write(listing.apply, self.cluster, changed, (), now)

    async def ask(self, query: HistoryQuery) -> list[JobRecord]:
        """What accounting says; nothing where it cannot be asked now."""
        try:
            return [accounted.record for accounted in await self.backend.history(query)]
        except NotSupported:
            return []
        except HpcjobsError as error:
            log.warning("cluster %s: accounting was asked in vain: %s", self.cluster, error.detail)
            return []

    async def fill_gap(self, last: float, now: float) -> None:
        """Write what ended while nobody listed, where that was so long that the controller may have forgotten it.

        Args:
            last: Unix seconds of the listing before.
            now: Unix seconds of this one.
        """
        if now - last < self.min_job_age_s / 2 or self.backend.lacks(Op.HISTORY):
            return
        found = await self.ask(HistoryQuery(since=int(last - SLACK_S), until=int(now)))
        ended = [(None, record) for record in found if record.state is State.FINISHED]
        if ended:
            await self.store.write(listing.apply, self.cluster, ended, (), now)


def settled(unknown: Iterable[Job], found: Iterable[JobRecord]) -> list[tuple[str | None, JobRecord]]:
    """Match what accounting says with the jobs whose end is not known. Pure.

    Args:
        unknown: The jobs.
        found: What accounting says of their numbers.

    Returns:
        Our id (None for a task that was never seen) and how it ended; nothing of what has not ended there either.
    """
    jobs = list(unknown)
    plain = {(job.slurm_job_id, job.task): job for job in jobs if not job.array_size}
    arrays = {job.slurm_job_id for job in jobs if job.array_size}
    changed: list[tuple[str | None, JobRecord]] = []
    for record in found:
        if record.state is not State.FINISHED:
            continue
        job = plain.get((record.slurm_job_id, listing.task_number(record)))
        if job is not None and listing.same_job(job, record):
            changed.append((job.id, record))
        elif record.array_job_id in arrays:
            changed.append((None, record))
    return changed

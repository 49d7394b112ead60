"""How jobs ended that the controller has forgotten: asked of accounting, and written like a listing.

A job that is missing from a listing has not thereby ended; slurmdbd says whether and how it did. So it is with what
came and went while nobody listed. What of ours has neither begun nor ended anywhere, Slurm has lost: it is sent again
(docs/adr/0011).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Set
from typing import Final

from hpcjobs.errors import HpcjobsError, NotSupported
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.job import WAITING, Job, JobRecord, State
from hpcjobs.observe.missed import FIRST_PAUSE_S, LAST_PAUSE_S, Missed
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.store import attempts, listing, repository
from hpcjobs.store.attempts import began
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

MOST: Final = 200
"""About how many jobs accounting is asked at once."""

SETTLE_S: Final = 60.0
"""An attempt that is in no listing begun this long after its call never reached Slurm. A message to slurmctld that
is older than MessageTimeout (10 s, at most 100 s by slurm.conf(5)) is not acted on. A job that is missing for as long
is missing for good."""

LOST: Final = "Slurm lost this job before it began: it had taken it as {number} and knows nothing of it any more."


class Endings:
    """Asks accounting about one cluster.

    Args:
        cluster: Its name.
        backend: How it is asked.
        store: Where the rows are.
        min_job_age_s: How long the controller lists a job after its end.
        in_flight: Attempts that are being sent now.
        resend_lost: Whether a job that Slurm lost before it began goes to Slurm again.
    """

    def __init__(
        self,
        cluster: str,
        backend: Backend,
        store: Store,
        min_job_age_s: float,
        in_flight: Set[str],
        resend_lost: bool = True,
    ) -> None:
        self.cluster = cluster
        self.backend = backend
        self.store = store
        self.missed = Missed(cluster, backend, self.ask, store, min_job_age_s, in_flight)
        self.resend_lost = resend_lost
        self._in_vain = False
        self._pauses: dict[str, tuple[float, float]] = {}
        """By our id: when to ask again, and how long to wait after that."""

    async def tick(self, now: float) -> None:
        """Ask about the jobs whose end is not known, and about what came and went while nobody listed.

        Args:
            now: Unix seconds.
        """
        await self.missed.tick(now)
        if self.backend.lacks(Op.HISTORY):
            return
        unknown = await self.store.read(listing.of_unknown_end, self.cluster)
        self._pauses = {job_id: self._pauses[job_id] for job_id in unknown if job_id in self._pauses}
        again = {job_id: self._pauses.get(job_id, (0.0, 0.0))[0] for job_id in unknown}
        # Those that wait longest come first: however many there are, each gets its turn.
        turn = sorted((job_id for job_id in unknown if again[job_id] <= now), key=again.__getitem__)[:MOST]
        due = await self.store.read(repository.jobs_by_id, turn)
        if not due:
            return
        for job_id in due:
            pause = self._pauses.get(job_id, (0.0, FIRST_PAUSE_S))[1]
            self._pauses[job_id] = (now + pause, min(2 * pause, LAST_PAUSE_S))
        numbers = {job.array_job_id or job.het_job_id or job.slurm_job_id or 0 for job in due.values()}
        found = await self.ask(HistoryQuery(numbers=tuple(sorted(numbers))))
        answered_at = await self.store.read(repository.answered_at, due.values())
        changed = settled(due.values(), found or (), answered_at)
        if changed:
            await self.store.write(listing.apply, self.cluster, changed, (), now)
        for job in due.values():
            if self.resend_lost and may_be_lost(job, now):
                await self._judge(job, found, now)

    async def _judge(self, job: Job, found: list[JobRecord] | None, now: float) -> None:
        """Have a job of ours sent again if Slurm has lost it; asked again soon where that cannot be told now."""
        again = (now + FIRST_PAUSE_S, FIRST_PAUSE_S)
        if found is None:
            self._pauses[job.id] = again
            return
        tries = await self.store.read(attempts.of_job, job.id)
        sent_at = next((one.changed_at for one in tries if one.id == job.attempt), now)
        if has_begun(job, found, sent_at):
            return
        try:
            # As its owner: a listing may hide jobs from who lists.
            number = await self.backend.find(job.user, job.attempt or "")
        except HpcjobsError as error:
            log.warning("cluster %s: whether job %s is lost cannot be told now: %s", self.cluster, job.id, error.detail)
            self._pauses[job.id] = again
            return
        if number is None:
            detail = LOST.format(number=job.slurm_job_id)
            if await self.store.write(attempts.settle_lost, job, detail, now):
                log.warning("cluster %s: job %s waits to be sent again: %s", self.cluster, job.id, detail)

    async def ask(self, query: HistoryQuery) -> list[JobRecord] | None:
        """What accounting says; None where it cannot be asked now."""
        try:
            found = [accounted.record for accounted in await self.backend.history(query)]
        except NotSupported:
            return None
        except HpcjobsError as error:
            if not self._in_vain:
                log.warning("cluster %s: accounting is asked in vain: %s", self.cluster, error.detail)
            self._in_vain = True
            return None
        self._in_vain = False
        return found


def settled(
    unknown: Iterable[Job], found: Iterable[JobRecord], answered_at: Mapping[str, float]
) -> list[tuple[str | None, JobRecord]]:
    """Match what accounting says with the jobs whose end is not known. Pure.

    Args:
        unknown: The jobs.
        found: What accounting says of their numbers.
        answered_at: When Slurm said that it has those that were in no listing, by our id (Unix seconds).

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
        if job is not None and listing.same_job(job, record, answered_at.get(job.id, 0.0)):
            changed.append((job.id, record))
        elif record.array_job_id in arrays:
            changed.append((None, record))
    return changed


def may_be_lost(job: Job, now: float) -> bool:
    """Whether a job whose end is not known may be one that Slurm has lost before it began. Pure.

    Args:
        job: Any.
        now: Unix seconds.

    Returns:
        Whether it came from here, is missing for long enough and has never been seen to begin. Of its tasks or
        components the store knows.
    """
    return (
        job.parent is None
        and job.attempt is not None
        and job.state is State.UNKNOWN
        and now - job.changed_at >= SETTLE_S
        and not began(job)
    )


def has_begun(job: Job, found: Iterable[JobRecord], sent_at: float) -> bool:
    """Whether accounting knows, or may know, that a job has begun or ended. Pure.

    Args:
        job: One that may be lost.
        found: What accounting says of its number.
        sent_at: Unix seconds by which Slurm had it.

    Returns:
        False where it knows nothing of the job, or no more than that it was submitted. A later job that got the
        number says nothing: it has another mark, or was submitted at another time and has another comment or came
        too late. What was submitted when this was and has another comment is this job, whose mark did not survive:
        nobody could find it again, so that it counts as begun whatever its state.
    """
    number = job.slurm_job_id
    for record in found:
        if record.user != job.user or number not in (record.slurm_job_id, record.array_job_id, record.het_job_id):
            continue
        if record.attempt != job.attempt:
            timely = listing.sent_about(record, sent_at)
            if record.attempt or (record.comment and not timely):
                continue
            if record.comment:
                return True
            if not record.restarts and record.submit_time > sent_at + listing.SKEW_S:
                continue
        if began(record) or record.state not in WAITING:
            return True
    return False

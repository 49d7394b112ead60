"""Runs that go on are looked at now and then: how far they are, and whether they do anything.

What agents inside jobs tell stands in files (docs/CHECKPOINTS.md), which are read in the name of each job's owner. A
job that wants to be recovered and has no agent is judged by its output.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from hpcjobs.errors import HpcjobsError
from hpcjobs.files import FileSystem
from hpcjobs.injob.naming import folder, told_of
from hpcjobs.model.failure import Activity
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.progress import Progress
from hpcjobs.observe.observer import Observer
from hpcjobs.recovery.life import Life
from hpcjobs.recovery.told import MOST_BYTES, Told, progress_of, told
from hpcjobs.steering.hinted import Hinted
from hpcjobs.store import progress
from hpcjobs.store.repository import Known
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

LOOK_S: Final = 20.0
"""So often a run is looked at."""
TURN_S: Final = 10.0
"""So often those are looked for that are due."""
AT_ONCE: Final = 64
"""As many are looked at in one turn, those first that were not for longest."""
READ_S: Final = 5.0
"""So long a look may take."""
ENDED_S: Final = 60.0
"""What ended so long ago is looked at no more."""
FEW: Final = 3
"""So many jobs that hang at the same time are a chance; of more, at most a quarter of all that are looked at."""


class Lives:
    """The runs of one cluster.

    Args:
        store: Where it is kept how far they are.
        observer: Of the cluster.
        files: The files of a cluster as a user.
    """

    def __init__(self, store: Store, observer: Observer, files: Callable[[str, str], FileSystem]) -> None:
        self.store = store
        self.observer = observer
        self._files = files
        self._hinted = Hinted(store)
        self._of: dict[str, Life] = {}
        self._ended: set[tuple[str, int]] = set()
        """Runs that were looked at when they had ended."""

    async def tick(self, now: float) -> None:
        """Look at those that are due, and once more at those that have ended.

        Args:
            now: Unix seconds.
        """
        try:
            listed = self.observer.listed()
            ended = self._just_ended(listed, now)
            running = [known for known in listed if known.record.state is State.RUNNING and known.record.attempt]
            await self._hinted.of({known.record.attempt or "" for known in (*running, *ended)})
            looks = [self._looked(known, now) for known in self._due(listed, running, now)]
            looks += [self._at_end(known, now) for known in ended if self._hints(known.record).checkpoints]
            await self._keep([one for one in await asyncio.gather(*looks) if one is not None])
        except HpcjobsError as error:
            log.warning("cluster %s: jobs cannot be watched now: %s", self.observer.cluster, error.detail)

    def _due(self, listed: Sequence[Known], running: Sequence[Known], now: float) -> Sequence[Known]:
        watched = {known.id: known for known in running if _watched(self._hints(known.record))}
        for known in listed:
            if known.record.state is State.SUSPENDED and (life := self._of.get(known.id)):
                life.rested()
                watched[known.id] = known
        self._of = {job_id: life for job_id, life in self._of.items() if job_id in watched}
        for job_id, known in watched.items():
            if self._of.get(job_id, _NONE).run != known.record.restarts:
                self._of[job_id] = Life(known.record.restarts, now)
        due = [job_id for job_id in watched if self._of[job_id].looked_at <= now - LOOK_S]
        due.sort(key=lambda job_id: self._of[job_id].looked_at)
        return [watched[job_id] for job_id in due[:AT_ONCE]]

    def _just_ended(self, listed: Sequence[Known], now: float) -> Sequence[Known]:
        """Jobs that ended a moment ago, each once."""
        lately = {
            (known.id, known.record.restarts): known
            for known in listed
            if known.final and known.record.attempt and known.record.end_time > now - ENDED_S
        }
        fresh = [known for key, known in lately.items() if key not in self._ended][:AT_ONCE]
        self._ended &= lately.keys()
        self._ended |= {(known.id, known.record.restarts) for known in fresh}
        return fresh

    async def _at_end(self, known: Known, now: float) -> Progress | None:
        found = await self.told(known.record, self._hints(known.record))
        if found is None or found.restarts != known.record.restarts:
            return None
        return progress_of(found, self.observer.cluster, known.id, now)

    async def _looked(self, known: Known, now: float) -> Progress | None:
        """Look at one; returns how far it is where that is new."""
        life = self._of[known.id]
        life.looked_at = now
        hints = self._hints(known.record)
        found = await self.told(known.record, hints)
        if found is None:
            await self._see_output(known.record, life, now)
            return None
        if found.restarts != known.record.restarts or not life.heard(found, now):
            return None
        return progress_of(found, self.observer.cluster, known.id, now)

    async def _see_output(self, record: JobRecord, life: Life, now: float) -> None:
        if not record.stdout:
            return
        try:
            async with asyncio.timeout(READ_S):
                there = await self._files(self.observer.cluster, record.user).status(_bytes(record.stdout))
        except (HpcjobsError, TimeoutError):
            return
        life.grew(there.size_bytes, now)

    def _hints(self, record: JobRecord) -> Hints:
        return self._hinted.known.get(record.attempt or "", NO_HINTS)

    async def told(self, record: JobRecord, hints: Hints) -> Told | None:
        """What the agent inside a job told last.

        Args:
            record: The job as it is listed.
            hints: What it tells the policies.

        Returns:
            None: it tells nothing, or it cannot be read now.
        """
        if not hints.checkpoints:
            return None
        number, array = str(record.slurm_job_id), str(record.array_job_id or "")
        path = f"{folder(hints.checkpoints, number, array, record.array_task)}/{told_of(number)}"
        try:
            async with asyncio.timeout(READ_S):
                files = self._files(self.observer.cluster, record.user)
                found = told((await files.read(_bytes(path), 0, MOST_BYTES)).data)
        except (HpcjobsError, TimeoutError):
            return None
        return found if found is not None and found.job == number else None

    async def last(self, job_id: str, record: JobRecord, run: int, hints: Hints, now: float) -> Progress | None:
        """How far a run came that has ended.

        Args:
            job_id: Our id of the job.
            record: The job as it is listed.
            run: How often it had been requeued before.
            hints: What it tells the policies.
            now: Unix seconds.
        """
        found = await self.told(record, hints)
        if found is not None and found.restarts == run:
            seen = progress_of(found, self.observer.cluster, job_id, now)
            await self._keep([seen])
            return seen
        kept = await self.store.read(progress.of_jobs, [job_id])
        return next((one for one in kept.get(job_id, ()) if one.run == run), None)

    async def _keep(self, seen: Sequence[Progress]) -> None:
        if seen:
            await self.store.write(progress.keep, seen)

    def activity(self, job_id: str, run: int) -> tuple[Activity, float] | None:
        """When a run was seen to do something, and until when that is known; None: it was not looked at.

        Args:
            job_id: Our id of the job.
            run: How often it had been requeued before.
        """
        life = self._of.get(job_id)
        return (life.activity, life.as_of) if life is not None and life.run == run else None

    def hung(self) -> frozenset[str]:
        """Jobs that run and do nothing, by our id."""
        records = {known.id: known.record for known in self.observer.listed()}
        return frozenset(
            job_id
            for job_id, life in self._of.items()
            if (record := records.get(job_id)) is not None
            and record.state is State.RUNNING
            and record.restarts == life.run
            and life.idle(self._hints(record).hang_s) is not None
        )

    def by_chance(self, hung: int) -> bool:
        """Whether so many may hang at the same time; of more, a file system or a network that all share is the cause.

        Args:
            hung: How many do.
        """
        return hung <= max(FEW, len(self._of) // 4)


_NONE: Final = Life(-1, 0.0)


def _watched(hints: Hints) -> bool:
    return hints.recover or bool(hints.checkpoints)


def _bytes(path: str) -> bytes:
    return path.encode(errors="surrogateescape")

"""What came and went while nobody listed: asked of accounting, aside from the listings.

After a time without listings that is so long that the controller may have forgotten what ended in it, accounting is
asked for all of that time, a stretch of it at once. So it is with attempts whose outcome is open for so long that no
listing can settle them. What cannot be asked now is asked again after a pause.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Set
from typing import Final

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.job import JobRecord, State
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.store import attempts, listing
from hpcjobs.store.attempts import OpenAttempt
from hpcjobs.store.repository import Known
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

LATE_S: Final = 5.0
"""How much earlier than it says the controller may forget a job, by clocks that differ."""

SLACK_S: Final = 60.0
STRETCH_S: Final = 6 * 3600.0
"""How much time one question to accounting covers."""

FIRST_PAUSE_S: Final = 2.0
LAST_PAUSE_S: Final = 600.0

NEVER_ARRIVED: Final = "An earlier attempt never reached Slurm; the next one waits."

Ask = Callable[[HistoryQuery], Awaitable[list[JobRecord] | None]]


class Pause:
    """When to ask again: after every time in vain later."""

    def __init__(self) -> None:
        self._again = (0.0, FIRST_PAUSE_S)

    def over(self, now: float) -> bool:
        """Whether it is time; if so, the next pause begins.

        Args:
            now: Unix seconds.
        """
        at, length_s = self._again
        if now < at:
            return False
        self._again = (now + length_s, min(2 * length_s, LAST_PAUSE_S))
        return True


def stretches(since: float, until: float) -> Iterator[HistoryQuery]:
    """The questions that cover a time, first to last. Pure.

    Args:
        since: Unix seconds.
        until: Unix seconds.
    """
    at = since
    while at < until:
        yield HistoryQuery(since=int(at - SLACK_S), until=int(min(at + STRETCH_S, until)) + 1)
        at += STRETCH_S


class Missed:
    """Catches up on one cluster.

    Args:
        cluster: Its name.
        backend: How it is asked; only what it lacks is asked of it here.
        ask: Asks accounting; None where that is in vain now.
        store: Where the rows are.
        min_job_age_s: How long the controller lists a job after its end.
        in_flight: Attempts that are being sent now.
    """

    def __init__(
        self, cluster: str, backend: Backend, ask: Ask, store: Store, min_job_age_s: float, in_flight: Set[str]
    ) -> None:
        self.cluster = cluster
        self.backend = backend
        self.ask = ask
        self.store = store
        self.forgets_s = min_job_age_s - LATE_S
        self.long_s = min_job_age_s / 2
        self.in_flight = in_flight
        self.gap: tuple[float, float] | None = None
        """The time (Unix seconds) of which accounting has not told yet: it is not noted that the cluster was listed."""
        self.view: ClusterView | None = None
        """The last listing that is written."""
        self.found: list[Known] = []
        """Jobs of open attempts that accounting knew: for the observer to expect."""
        self._gap_pause, self._open_pause = Pause(), Pause()

    def note_gap(self, last: float, now: float) -> None:
        """Remember that nobody listed for a time, where it was so long that the controller may have forgotten a job.

        Args:
            last: Unix seconds of the listing before.
            now: Unix seconds of this one.
        """
        if now - last >= self.long_s and not self.backend.lacks(Op.HISTORY):
            self.gap = (self.gap[0] if self.gap else last, now)
            self._gap_pause = Pause()

    async def tick(self, now: float) -> None:
        """Ask what is not known yet.

        Args:
            now: Unix seconds.
        """
        if self.view is None:
            return
        if self.gap and self._gap_pause.over(now):
            await self._fill(self.gap, now)
        too_long = self.view.asked_at - self.forgets_s
        left = await self.store.read(attempts.open_attempts, self.cluster, changed_before=too_long)
        left = [attempt for attempt in left if attempt.id not in self.in_flight]
        if not left:
            self._open_pause = Pause()
        elif self._open_pause.over(now):
            await self._settle(left, self.view, now)

    async def _fill(self, gap: tuple[float, float], now: float) -> None:
        """Write what ended in the gap, and where that was told of."""
        since, until = gap
        for query in stretches(since, until):
            found = await self.ask(query)
            if found is None:
                return
            ended = [(None, record) for record in found if record.state is State.FINISHED and not self._listed(record)]
            if ended:
                await self.store.write(listing.apply, self.cluster, ended, (), now)
            since = min(since + STRETCH_S, until)
            self.gap = (since, self.gap[1] if self.gap else until)
            await self.store.write(listing.note_listed, self.cluster, since)
        if self.gap and self.gap[1] == until:
            self.gap = None

    async def _settle(self, left: list[OpenAttempt], view: ClusterView, now: float) -> None:
        """Attempts in no listing whose jobs may have come, ended and been forgotten: one question about all of them.

        What accounting does not know either never reached Slurm. Without an answer they stay open.
        """
        if lacking := self.backend.lacks(Op.HISTORY):
            log.warning("cluster %s: %d attempts stay open: %s", self.cluster, len(left), lacking)
            return
        ids = {attempt.id for attempt in left}
        known: dict[str, list[JobRecord]] = {}
        nameless: set[str] = set()
        for query in stretches(min(attempt.changed_at for attempt in left), max(now, view.asked_at)):
            found = await self.ask(query)
            if found is None:
                return
            for record in found:
                if record.attempt in ids:
                    known.setdefault(record.attempt or "", []).append(record)
                elif not record.attempt and not record.comment:
                    nameless.add(record.user)
        for attempt in left:
            if records := known.get(attempt.id):
                latest = {record.slurm_job_id: record for record in records if not self._listed(record)}
                changed = [(None, record) for record in latest.values()]
                told = await self.store.write(listing.apply, self.cluster, changed, (), now)
                self.found += [msgspec.structs.replace(one, since=view.asked_at) for one in told.values()]
            elif attempt.user in nameless:
                log.warning(
                    "cluster %s: attempt %s stays open: accounting keeps no comments, so that it cannot be told from "
                    "other jobs of %s (AccountingStoreFlags=job_comment)", self.cluster, attempt.id, attempt.user,
                )  # fmt: skip
            else:
                await self.store.write(attempts.settle_unsent, attempt.id, NEVER_ARRIVED, now)

    def _listed(self, record: JobRecord) -> bool:
        """Whether the controller lists what accounting tells of: it knows better, be it that the job runs again."""
        listed = self.view.jobs.get(record.slurm_job_id) if self.view else None
        return listed is not None and listing.same_job(record, listed)

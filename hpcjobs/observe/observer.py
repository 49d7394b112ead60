"""The observer of one cluster: asks the backend, writes what changed, wakes who waits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from hpcjobs.errors import HpcjobsError, SlurmUnavailable, ViewStale
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Job
from hpcjobs.observe.diff import diff
from hpcjobs.observe.endings import SETTLE_S, Endings
from hpcjobs.observe.failing import failure_events
from hpcjobs.observe.missed import LATE_S, NEVER_ARRIVED
from hpcjobs.slurm.base import Backend
from hpcjobs.store import attempts, events, listing, repository
from hpcjobs.store.repository import Known
from hpcjobs.store.rows import record_of
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

LONG_S: Final = 0.2
MOST_DUTY: Final = 0.2
"""How much of the time may be spent on listings that take long: they are made less often, as far as answers stay
young."""

OVERDUE: Final = 3
"""A controller whose listings take long is away no sooner than after so many times as long."""

MOST_WAIT_S: Final = 2.0
"""So long what follows a listing waits for the next one; it is done without one, too."""
NOTE_S: Final = 30.0
"""How often it is noted that the cluster was listed."""


def node_events(before: ClusterView | None, view: ClusterView) -> list[Event]:
    """What a listing tells of nodes that came into use or went out of it. Pure.

    Args:
        before: The listing before, or None.
        view: The listing now.
    """
    known = before.nodes if before else {}
    return [
        Event(
            0,
            view.asked_at,
            EventKind.NODE_STATE,
            view.cluster,
            data={"node": node.name, "usable": node.usable, "raw_state": node.raw_state, "reason": node.reason},
        )
        for node in view.nodes.values()
        if node.name in known and node.usable != known[node.name].usable
    ]


class Observer:
    """Keeps the rows of one cluster true.

    Args:
        cluster: Its name.
        backend: How it is asked.
        store: Where the rows are.
        max_age_s: How old a listing may be that answers a question, unless the caller says otherwise.
        min_job_age_s: How long the controller lists a job after its end.
        resend_lost: Whether a job that Slurm lost before it began goes to Slurm again.
    """

    def __init__(
        self,
        cluster: str,
        backend: Backend,
        store: Store,
        max_age_s: float = 10.0,
        min_job_age_s: float = 300.0,
        resend_lost: bool = True,
    ) -> None:
        self.cluster = cluster
        self.backend = backend
        self.store = store
        self.max_age_s = max_age_s
        self.view: ClusterView | None = None
        self.trouble: HpcjobsError | None = None
        self.in_flight: set[str] = set()
        """Attempts that this process is sending now: their outcome is not for a listing to judge."""
        self.min_job_age_s = min_job_age_s
        self.endings = Endings(cluster, backend, store, min_job_age_s, self.in_flight, resend_lost)
        self.missed = self.endings.missed
        self._known: dict[int, Known] | None = None
        self._expected: list[Known] = []
        self._noted_at = 0.0
        self._rests_until = 0.0
        """Seconds of time.monotonic() before which nothing is listed."""
        self._answered_at = 0.0
        """Seconds of time.monotonic() at which the controller last answered a listing."""
        self._took_s = 0.0
        """What the last listing took."""
        self._ticked = asyncio.Condition()
        self.listings = 0
        """How many were made; ``failures`` how many were not."""
        self.failures = 0
        self.listing_s = 0.0
        """What they took together, in seconds."""

    def expect(self, job: Job, since: float) -> None:
        """Slurm says that it has this job: from now on a listing that does not hold it has lost it.

        Args:
            job: With its number, as it is written down.
            since: When Slurm said so, in Unix seconds.
        """
        if job.slurm_job_id is not None and not job.final:
            self._expected.append(Known(job.id, record_of(job), since))

    async def beat(self, now: float) -> None:
        """One listing, unless those before it took so long that it is too early for another.

        Args:
            now: Unix seconds.
        """
        if time.monotonic() >= self._rests_until:
            await self.tick(now)

    async def tick(self, now: float) -> None:
        """One listing.

        Args:
            now: Unix seconds.
        """
        begun = time.monotonic()
        try:
            view = await self.backend.view(now)
            self._answered_at = time.monotonic()
            await self._write(view)
        except HpcjobsError as error:
            await self._in_trouble(error, now)
        except Exception as error:  # noqa: BLE001  no listing fails in silence: what is shown would only grow old
            await self._in_trouble(HpcjobsError(f"The listing failed: {type(error).__name__}: {error}."), now, error)
        else:
            await self._out_of_trouble(now)
            self.view = view
            self.listings += 1
            self._took_s = time.monotonic() - begun
            self.listing_s += self._took_s
            if self._took_s > LONG_S:
                self._rests_until = begun + min(self._took_s / MOST_DUTY, self.max_age_s / 3)
        async with self._ticked:
            self._ticked.notify_all()

    async def _in_trouble(self, error: HpcjobsError, now: float, bug: Exception | None = None) -> None:
        self.failures += 1
        before, self.trouble = self.trouble, error
        if before is None:
            log.warning("cluster %s: %s", self.cluster, error.detail, exc_info=bug)
            await self._tell(now, up=False, detail=error.detail)

    async def _out_of_trouble(self, now: float) -> None:
        before, self.trouble = self.trouble, None
        if before is not None:
            log.warning("cluster %s answers again", self.cluster)
        if before is not None or self.view is None:
            await self._tell(now, up=True, detail="")

    async def _tell(self, now: float, *, up: bool, detail: str) -> None:
        event = Event(0, now, EventKind.CLUSTER_STATE, self.cluster, data={"up": up, "detail": detail})
        try:
            await self.store.write(events.write, [event])
        except HpcjobsError as error:
            log.warning("cluster %s: an event was lost: %s", self.cluster, error.detail)

    async def _write(self, view: ClusterView) -> None:
        if self._known is None:
            await self.store.write(attempts.adopt_sending, self.cluster)
            live = await self.store.read(repository.live_jobs, self.cluster)
            self._known = {job.record.slurm_job_id: job for job in live}
            self._expected += [job for job in live if self._known[job.record.slurm_job_id] is not job]
        before = self.view.asked_at if self.view else await self.store.read(listing.listed_at, self.cluster)
        if before is not None:
            self.missed.note_gap(before, view.asked_at)
        self._expected += self.missed.found
        self.missed.found = []
        known = self._known
        due = [job for job in self._expected if job.since < view.asked_at]
        change = diff(known, view, due)
        if change.changed or change.lost:
            unbroken = self.view is not None and view.asked_at - self.view.asked_at < self.min_job_age_s - LATE_S
            arguments = (self.cluster, change.changed, change.lost, view.asked_at, unbroken)
            known.update(await self.store.write(listing.apply, *arguments))
        self._expected = [job for job in self._expected if job.since >= view.asked_at]
        if told := node_events(self.view, view) + failure_events(self.view, view, known):
            await self.store.write(events.write, told)
        for number in [number for number in known if number not in view.jobs]:
            del known[number]
        if view.asked_at - self._noted_at > NOTE_S and self.missed.gap is None:
            await self.store.write(listing.note_listed, self.cluster, view.asked_at)
            self._noted_at = view.asked_at
        # After the rows: an attempt whose job is in this listing is open no more.
        for attempt in await self.store.read(
            attempts.open_attempts, self.cluster, changed_before=view.asked_at - SETTLE_S
        ):
            # What is open for longer may have come, ended and been forgotten: that is not for a listing to judge.
            if attempt.id not in self.in_flight and view.asked_at - attempt.changed_at <= self.missed.forgets_s:
                await self.store.write(attempts.settle_unsent, attempt.id, NEVER_ARRIVED, view.asked_at)
        self.missed.view = view

    def listed(self) -> list[Known]:
        """What the last listing holds, each job, task and component under our id."""
        return list((self._known or {}).values())

    def live_counts(self) -> dict[str, int]:
        """How many jobs the last listing left that have not ended, by state."""
        return dict(Counter(known.record.state.value for known in (self._known or {}).values() if not known.final))

    def health(self, now: float) -> str:
        """``ok``, or why nobody can say how the cluster is now."""
        try:
            self.fresh_view(None, now)
        except ViewStale as error:
            return error.detail
        return self.trouble.detail if self.trouble else "ok"

    def known_down(self) -> str:
        """Why a call on the controller would be in vain, or ``""``: it answered once and does not answer now.

        One lost worker is not yet an outage. No answer to a listing for ``max_age_s`` is one, whatever the cause,
        unless listings take that long. How old the last listing is, is for readers: it ages while the next is made.
        """
        if self.view is None:
            return ""
        silent_s = time.monotonic() - self._answered_at
        if not isinstance(self.trouble, SlurmUnavailable) and silent_s <= max(self.max_age_s, OVERDUE * self._took_s):
            return ""
        silence = f"Cluster {self.cluster!r} has not answered for {silent_s:.0f} s."
        return self.trouble.detail if self.trouble else silence

    def fresh_view(self, max_age_s: float | None, now: float) -> ClusterView:
        """The last listing, if it is young enough.

        Args:
            max_age_s: How old it may be, in seconds; None: as the settings say.
            now: Unix seconds.

        Raises:
            ViewStale: It is older, or there is none yet.
        """
        max_age_s = self.max_age_s if max_age_s is None else max_age_s
        if self.view is not None and now - self.view.asked_at <= max_age_s:
            return self.view
        seen = "has not been seen yet."
        if self.view is not None:
            at = time.strftime("%H:%M:%S UTC", time.gmtime(self.view.asked_at))
            seen = f"was last seen at {at}, longer ago than the {max_age_s:g} s accepted."
        why = self.trouble.detail if self.trouble else "The next listing is under way."
        raise ViewStale(
            f"Cluster {self.cluster!r} {seen} {why}",
            kept="What was known then is kept: ask with a larger max_age_s to read it.",
        )

    async def after_listing(self, tick: Callable[[float], Awaitable[None]], now: float) -> None:
        """Do something as soon as there is another listing: what is decided on the one before comes later by as much.

        Args:
            tick: What; it is done without a listing, too, where there is none for long.
            now: Unix seconds.
        """
        began = time.monotonic()
        await self.next_tick(MOST_WAIT_S)
        await tick(now + time.monotonic() - began)

    async def next_tick(self, timeout_s: float) -> None:
        """Wait until the next listing is written, or the time is over."""
        async with self._ticked:
            try:
                await asyncio.wait_for(self._ticked.wait(), timeout_s)
            except TimeoutError:
                return

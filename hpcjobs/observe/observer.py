"""The observer of one cluster: asks the backend, writes what changed, wakes who waits."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from hpcjobs.errors import HpcjobsError, SlurmUnavailable, ViewStale
from hpcjobs.model.cluster import ClusterView
from hpcjobs.observe.diff import diff
from hpcjobs.slurm.base import Backend
from hpcjobs.store import attempts, repository
from hpcjobs.store.repository import Known
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

SETTLE_S: Final = 60.0
"""An attempt that is in no listing begun this long after its call never reached Slurm. A message to slurmctld that
is older than MessageTimeout (10 s, at most 100 s by slurm.conf(5)) is not acted on."""


class Observer:
    """Keeps the rows of one cluster true.

    Args:
        cluster: Its name.
        backend: How it is asked.
        store: Where the rows are.
        max_age_s: How old a listing may be that answers a question, unless the caller says otherwise.
    """

    def __init__(self, cluster: str, backend: Backend, store: Store, max_age_s: float = 10.0) -> None:
        self.cluster = cluster
        self.backend = backend
        self.store = store
        self.max_age_s = max_age_s
        self.view: ClusterView | None = None
        self.trouble: HpcjobsError | None = None
        self.in_flight: set[str] = set()
        """Attempts that this process is sending now: their outcome is not for a listing to judge."""
        self._known: dict[int, Known] | None = None
        self._ticked = asyncio.Condition()

    async def tick(self, now: float) -> None:
        """One listing.

        Args:
            now: Unix seconds.
        """
        try:
            view = await self.backend.view(now)
            await self._write(view)
        except HpcjobsError as error:
            self._in_trouble(error)
        except Exception as error:  # noqa: BLE001  no listing fails in silence: what is shown would only grow old
            self._in_trouble(HpcjobsError(f"The listing failed: {type(error).__name__}: {error}."), error)
        else:
            if self.trouble is not None:
                log.warning("cluster %s answers again", self.cluster)
            self.view, self.trouble = view, None
        async with self._ticked:
            self._ticked.notify_all()

    def _in_trouble(self, error: HpcjobsError, bug: Exception | None = None) -> None:
        if self.trouble is None:
            log.warning("cluster %s: %s", self.cluster, error.detail, exc_info=bug)
        self.trouble = error

    async def _write(self, view: ClusterView) -> None:
        if self._known is None:
            await self.store.write(attempts.adopt_sending, self.cluster, view.asked_at)
            self._known = await self.store.read(repository.live_jobs, self.cluster)
        known = self._known
        change = diff(known, view)
        lost = {
            known[number].id: "Slurm no longer lists this job; its end is not known (yet)." for number in change.lost
        }
        if change.changed or lost:
            known.update(await self.store.write(repository.apply, self.cluster, change.changed, lost, view.asked_at))
        for number in [number for number in known if number not in view.jobs]:
            del known[number]
        # After the rows: an attempt whose job is in this listing is open no more.
        for attempt in await self.store.read(
            attempts.open_attempts, self.cluster, changed_before=view.asked_at - SETTLE_S
        ):
            if attempt not in self.in_flight:
                await self.store.write(
                    attempts.settle_unsent, attempt, "It never reached Slurm. Submit it again.", time.time()
                )

    def health(self, now: float) -> str:
        """``ok``, or why nobody can say how the cluster is now."""
        try:
            self.fresh_view(None, now)
        except ViewStale as error:
            return error.detail
        return self.trouble.detail if self.trouble else "ok"

    def known_down(self, now: float) -> str:
        """Why a call on the controller would be in vain, or ``""``: it answered once and does not answer now.

        One lost worker is not yet an outage; no listing for as long as answers may be old is one, whatever the cause.
        """
        if self.view is None:
            return ""
        stale = now - self.view.asked_at > self.max_age_s
        return self.health(now) if stale or isinstance(self.trouble, SlurmUnavailable) else ""

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

    async def next_tick(self, timeout_s: float) -> None:
        """Wait until the next listing is written, or the time is over."""
        async with self._ticked:
            try:
                await asyncio.wait_for(self._ticked.wait(), timeout_s)
            except TimeoutError:
                return

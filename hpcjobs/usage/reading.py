"""Accounting read into usage, by the clock: all of the past once, then what is new, and once a day what changed late.

Nothing is lost and nothing is there twice, whatever is killed when: runs and the time until which all is known are
written in one transaction, and whoever begins again begins at that time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import duckdb

from hpcjobs.errors import HpcjobsError
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.slurm.base import Backend, Op
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.store import UsageStore

log = logging.getLogger(__name__)

FIRST_S: Final = 86_400 * 30
"""How much of the past is asked for at a time, in seconds, as long as answers are small."""
LEAST_S: Final = 3_600
MOST_S: Final = 86_400 * 10_000
FEW, MANY = 20_000, 200_000
"""Where an answer has fewer runs, the next asks for twice as much time; where it has more, for half."""
DAY_S: Final = 86_400
AGAIN_AFTER_S: Final = 1_800
"""How long after a start the last days are read once more."""

Key = tuple[int, int]


def key_of(run: Run) -> Key:
    """What no other run of the cluster has: Slurm's number and the time of submission."""
    return run.slurm_job_id, run.submit_time


class UsageReader:
    """Reads the accounting of one cluster.

    Args:
        cluster: Its name.
        backend: How it is asked.
        store: Where it is kept.
        view: The last listing, which tells what nodes have; None: there is none yet.
        begin: Unix seconds: what ended before is not read.
        overlap_s: How much of what was read last is read again, in seconds: slurmctld tells slurmdbd late.
        again_days: How many days are read once more each day, for what was corrected.
    """

    def __init__(
        self,
        cluster: str,
        backend: Backend,
        store: UsageStore,
        view: Callable[[], ClusterView | None],
        *,
        begin: int,
        overlap_s: float,
        again_days: float,
    ) -> None:
        self.cluster = cluster
        self.backend = backend
        self.store = store
        self.view = view
        self.begin = begin
        self.overlap_s = int(overlap_s)
        self.again_s = int(again_days * DAY_S)
        self.runs_read = 0
        """How many runs have been read since the start; ``read_until``: until when all is known."""
        self.read_until: int | None = None
        self.trouble = ""
        self._span_s = FIRST_S
        self._again_at = 0
        self._told: dict[Key, int] = {}
        """A hash of each run that was told last: what is as it was need not be written again."""
        self._fleet: Fleet | None = None

    async def tick(self, now: float) -> None:
        """Read on; what fails is tried again the next time.

        Args:
            now: Unix seconds.
        """
        view = self.view()
        if view is None or self.backend.lacks(Op.HISTORY):
            return  # without a listing it is not known what GPUs nodes have
        try:
            await self._learn_nodes(view, now)
            await self._read(int(now))
        except HpcjobsError as error:
            if not self.trouble:
                log.warning("cluster %s: accounting is not read now: %s", self.cluster, error.detail)
            self.trouble = error.detail
        else:
            self.trouble = ""

    async def _fleet_now(self) -> Fleet:
        if self._fleet is None:
            self._fleet = await self.store.read(intake.read_fleet, self.cluster)
        return self._fleet

    async def _learn_nodes(self, view: ClusterView, now: float) -> None:
        """Keep what nodes have where that is new; one that the listing has no longer has nothing."""
        fleet = await self._fleet_now()
        at = int(now)
        found = [NodeKind(one.name, at, one.particulars.gres, one.cpus, one.usable) for one in view.nodes.values()]
        found += fleet.gone(view.nodes, at) if found else []
        new = [kind for kind in found if fleet.learn(kind)]
        if not new:
            return
        try:
            await self.store.write(intake.write_nodes, self.cluster, new)
        except HpcjobsError:
            self._fleet = None  # it knows more than is kept
            raise

    async def _read(self, now: int) -> None:
        """Read until now, and once a day and at the start what may have been told late."""
        if self.read_until is None:
            self.read_until = await self.store.read(intake.read_until, self.cluster)
            # Whoever begins again has other things to do first than to read days of accounting.
            self._again_at = 0 if self.read_until is None else now + AGAIN_AFTER_S
        since = self.begin if self.read_until is None else self.read_until - self.overlap_s
        if now >= self._again_at:
            since = min(since, now - self.again_s)
        told = await self._span(max(since, self.begin), now)
        if now >= self._again_at:
            self._again_at = now + DAY_S
            await self._ask_for_lost(told, now)

    async def _span(self, since: int, now: int) -> set[Key]:
        """Read a piece of time until now; of a long one each part is kept before the next is asked for.

        Returns:
            Which runs were told.
        """
        told: dict[Key, int] = {}
        while True:
            until = min(since + self._span_s, now)
            try:
                # At last without an end: sacct leaves out what could start only after it, though it is cancelled.
                runs = await self.backend.runs(since, until if until < now else 0)
            except HpcjobsError:
                self._span_s = max(self._span_s // 2, LEAST_S)  # it may have been too much to ask for
                raise
            hashes = {(run.slurm_job_id, run.submit_time): hash(run) for run in runs}
            new = [run for run in runs if self._told.get(key_of(run)) != hashes[key_of(run)]]
            await self._keep(new, max(until - 1 if until >= now else until, self.read_until or 0))
            told |= hashes
            self._told |= hashes
            if len(runs) > MANY:
                self._span_s = max(self._span_s // 2, LEAST_S)
            elif len(runs) < FEW:
                self._span_s = min(self._span_s * 2, MOST_S)
            if until >= now:
                self._told = told
                return {*told}
            since = until

    async def _keep(self, runs: list[Run], until: int) -> None:
        fleet = await self._fleet_now()

        def keep(connection: duckdb.DuckDBPyConnection) -> None:
            intake.write_runs(connection, self.cluster, runs, fleet)
            intake.set_read_until(connection, self.cluster, until)

        await self.store.write(keep)
        self.runs_read += len(runs)
        self.read_until = until

    async def _ask_for_lost(self, told: set[Key], now: int) -> None:
        """Ask for runs that are open here and were not told: they ended before what was read, or Slurm forgot them.

        Those that it does not know any more are taken to have ended by now.
        """
        there = await self.store.read(intake.open_runs, self.cluster)
        lost = {key: since for key, since in there.items() if key not in told}
        if not lost:
            return
        found = await self._span(max(min(lost.values()), self.begin), now)
        if gone := [key for key in lost if key not in found]:
            # What accounting has no more, as after a restore, would count for ever.
            log.warning("cluster %s: accounting has lost %d runs that had not ended", self.cluster, len(gone))
            await self.store.write(intake.close_runs, self.cluster, gone, now)

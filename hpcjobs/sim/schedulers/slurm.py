"""Slurm's two schedulers: the main one after each event, backfill every so often (sched/backfill, slurm.conf(5)).

What is modelled: the main scheduler goes down the queue of each partition and stops at its first job that cannot
start; jobs in a reservation neither stop there nor stop others. Backfill goes down the whole queue,
``bf_max_job_test`` jobs deep, starts who fits beside all that is planned, and plans the others within ``bf_window``, on
whole nodes and on times rounded to ``bf_resolution``. Not modelled: that a pass takes time (bf_max_time,
bf_yield_interval), limits per user and partition, and preemption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final

import msgspec

from hpcjobs.sim.lives import Life
from hpcjobs.sim.schedulers.priority import Multifactor
from hpcjobs.sim.schedulers.site import Site, squeeze, start

MINUTE_S: Final = 60


class Parameters(msgspec.Struct, frozen=True):
    """SchedulerParameters of slurm.conf(5) that are modelled; defaults are Slurm's.

    Attributes:
        bf_interval: Seconds between two passes of backfill.
        bf_window: Minutes that backfill looks ahead.
        bf_resolution: Seconds to which it rounds.
        bf_max_job_test: So many jobs it looks at.
        bf_job_part_count_reserve: So many jobs of a partition it plans, and does not delay; 0: all.
        default_queue_depth: So many jobs the main scheduler looks at.
    """

    bf_interval: int = 30
    bf_window: int = 1440
    bf_resolution: int = 60
    bf_max_job_test: int = 500
    bf_job_part_count_reserve: int = 0
    default_queue_depth: int = 100

    def tuned(self, wishes: Mapping[str, str]) -> Parameters:
        """With what policies wish; what is not modelled or is no number above 0 changes nothing."""
        numbers = {
            name: int(text)
            for name, text in wishes.items()
            if name in self.__struct_fields__ and text.isdecimal() and len(text) < 10 and int(text) > 0
        }
        return msgspec.structs.replace(self, **numbers) if numbers else self


class Slurm:
    """Slurm's main scheduler and its backfill.

    Args:
        parameters: As slurm.conf has them.
        priority: Weights of its priorities; without, jobs go first come, first served.
    """

    name = "slurm"

    def __init__(
        self,
        parameters: Parameters = Parameters(),  # noqa: B008  frozen
        priority: Multifactor | None = None,
    ) -> None:
        self._parameters = parameters
        self._priority = priority
        self._next_s = 0.0
        self._stale = False

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass of the main scheduler, and one of backfill where that is due."""
        parameters = self._parameters.tuned(site.tuned)
        self._stale = self._stale or site.freed or bool(site.arrived)
        if site.freed or site.arrived:
            self._main(site, now, parameters)
        if self._stale and now >= self._next_s:  # as in Slurm: not if nothing has changed
            self._backfill(site, now, parameters)
            self._next_s = now + parameters.bf_interval
            self._stale = False
        return self._next_s if self._stale and len(site.queue) else None

    def _main(self, site: Site, now: float, parameters: Parameters) -> None:
        plan = site.plan(now)
        stopped: set[str] = set()
        for life in self._first(site, now, parameters.default_queue_depth):
            bounds = site.bounds(life)
            inside = bounds.only is not None
            if bounds.after_s > now or (life.born.partition in stopped and not inside):
                continue
            if not start(site, plan, life, now) and not inside:
                stopped.add(life.born.partition)

    def _first(self, site: Site, now: float, depth: int) -> list[Life]:
        if self._priority is None:
            return site.queue.first(depth)
        return self._priority.sorted(site.queue.first(None), now)[:depth]

    def _backfill(self, site: Site, now: float, parameters: Parameters) -> None:
        plan = site.plan(now)
        window_s = parameters.bf_window * MINUTE_S
        step_s = parameters.bf_resolution
        planned: Counter[str] = Counter()
        most = parameters.bf_job_part_count_reserve or inf
        for life in self._first(site, now, parameters.bf_max_job_test):
            if squeeze(site, plan, life, now):
                continue
            partition = life.born.partition
            if planned[partition] >= most:
                continue
            planned[partition] += 1
            bounds = site.bounds(life)
            kept = plan.earliest(life, bounds, max(now, bounds.after_s))
            if kept is None or kept.start_s >= now + window_s:
                continue
            start_s = max(now, kept.start_s // step_s * step_s)
            plan.book(kept._replace(start_s=start_s, end_s=-(-kept.end_s // step_s) * step_s))

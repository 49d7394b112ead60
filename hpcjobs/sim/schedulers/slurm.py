"""Slurm's two schedulers: the main one after each event, backfill every so often (sched/backfill, slurm.conf(5)).

What is modelled: the main scheduler goes down the queue of each partition and stops at its first job that cannot
start; jobs in a reservation neither stop there nor stop others. Backfill goes down the whole queue,
``bf_max_job_test`` jobs deep, starts who fits beside all that is planned, and plans the others within ``bf_window``, on
whole nodes and on times rounded to ``bf_resolution``. Not modelled: that a pass takes time (bf_max_time,
bf_yield_interval), limits per user and partition, and preemption. How near it comes: agreement.py, and
tests/slurm/test_simulator_agrees.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil, floor, inf
from typing import Final

import msgspec

from hpcjobs.sim.lives import Life
from hpcjobs.sim.schedulers.priority import Multifactor
from hpcjobs.sim.schedulers.site import Site, squeeze, start
from hpcjobs.sim.space import Plan

MINUTE_S: Final = 60
LOOKS_S: Final = 1.0
"""slurmctld looks so often whether a pass is due."""


class Parameters(msgspec.Struct, frozen=True):
    """SchedulerParameters of slurm.conf(5) that are modelled; defaults are Slurm's.

    Attributes:
        bf_interval: Seconds between two passes of backfill.
        bf_window: Minutes that backfill looks ahead.
        bf_resolution: Seconds to which it rounds.
        bf_max_job_test: So many jobs it looks at.
        bf_job_part_count_reserve: So many jobs of a partition it plans, and does not delay; 0: all.
        default_queue_depth: So many jobs the main scheduler looks at.
        batch_sched_delay: Seconds from one pass of the main scheduler to the next at least; heeded by the clock only.
    """

    bf_interval: int = 30
    bf_window: int = 1440
    bf_resolution: int = 60
    bf_max_job_test: int = 500
    bf_job_part_count_reserve: int = 0
    default_queue_depth: int = 100
    batch_sched_delay: int = 3

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
        by_clock: Whether passes come when slurmctld makes them: it looks once a second whether one was asked for, and
            leaves batch_sched_delay between two; backfill keeps its beat while jobs wait, and for as long as anything
            has happened since its last pass, else it looks once a second whether anything has. Without, they come at
            once, which takes fewer events and makes no difference where jobs run for hours.
    """

    name = "slurm"

    def __init__(
        self,
        parameters: Parameters = Parameters(),  # noqa: B008  frozen
        priority: Multifactor | None = None,
        *,
        by_clock: bool = False,
    ) -> None:
        self._parameters = parameters
        self._priority = priority
        self._by_clock = by_clock
        self._main_s = self._backfill_s = -inf
        self._main_due_s = self._backfill_due_s = inf
        self._beats = False

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass of the main scheduler, one of backfill, both or none, as they are due."""
        parameters = self._parameters.tuned(site.tuned)
        news = site.freed or len(site.queue) > 0
        if site.freed or site.arrived:
            self._main_due_s = min(self._main_due_s, self._asked_s(now, parameters))
            if self._backfill_due_s == inf:
                self._backfill_due_s = self._beat_s(now, parameters.bf_interval)
        if now >= self._main_due_s:
            self._main(site, now, parameters)
            self._main_s, self._main_due_s = now, inf
        if now >= self._backfill_due_s:  # if nothing has changed, nothing would come of it
            self._backfill(site, now, parameters)
            self._backfill_s, self._backfill_due_s, self._beats = now, inf, news
        if not len(site.queue):
            if not self._by_clock:  # what is due stays so: a failure may fill the queue again
                return None
            if self._beats and self._backfill_due_s == inf:
                self._backfill_due_s = self._beat_s(now, parameters.bf_interval)
        due_s = min(self._main_due_s, self._backfill_due_s)
        return due_s if due_s < inf else None

    def _asked_s(self, now: float, parameters: Parameters) -> float:
        """When the main scheduler makes the pass that what has just happened asks for."""
        return max(_seen_s(now), self._main_s + parameters.batch_sched_delay) if self._by_clock else now

    def _beat_s(self, now: float, interval_s: int) -> float:
        """When backfill comes next, once something has happened."""
        next_s = self._backfill_s + interval_s
        if not self._by_clock:
            return max(now, next_s)
        if next_s == -inf:
            return _seen_s(now)
        step_s = interval_s if self._beats else LOOKS_S
        return next_s + max(0, ceil((now - next_s) / step_s)) * step_s

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
        """Go down the queue, no further than to the last who may start: what is planned beyond delays nobody."""
        plan = site.plan(now)
        window_s = parameters.bf_window * MINUTE_S
        step_s = parameters.bf_resolution
        planned: Counter[str] = Counter()
        most = parameters.bf_job_part_count_reserve or inf
        lives = self._first(site, now, parameters.bf_max_job_test)
        able = [place for place, life in enumerate(lives) if _may(site, plan, life, now)]
        for place, life in enumerate(lives):
            while able and not _may(site, plan, lives[able[-1]], now):
                able.pop()
            if not able or able[-1] < place:
                return
            if squeeze(site, plan, life, now) or able[-1] == place:
                continue
            partition = life.born.partition
            if planned[partition] >= most:
                continue
            planned[partition] += 1
            bounds = site.bounds(life)
            kept = plan.earliest(life, bounds, max(now, bounds.after_s), now + window_s)
            if kept is None:
                continue
            start_s = max(now, kept.start_s // step_s * step_s)
            plan.book(kept._replace(start_s=start_s, end_s=-(-kept.end_s // step_s) * step_s))


def _may(site: Site, plan: Plan, life: Life, now: float) -> bool:
    """Whether a job may be able to start now, with a shorter limit or its own; no is certain, and stays so."""
    return plan.may(life, now, now if site.shortens else now + life.wall_s)


def _seen_s(now: float) -> float:
    return (floor(now / LOOKS_S) + 1) * LOOKS_S

"""EASY: aggressive backfilling. The first that waits has a reservation, others start if they do not delay it.

D. A. Lifka, "The ANL/IBM SP Scheduling System", JSSPP 1995; A. W. Mu'alem and D. G. Feitelson, "Utilization,
Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with Backfilling", IEEE TPDS 12(6),
2001.
"""

from __future__ import annotations

from collections.abc import Iterable

from hpcjobs.sim.lives import Life
from hpcjobs.sim.schedulers.site import Site, squeeze, start
from hpcjobs.sim.space import Plan


class Easy:
    """EASY backfilling.

    A job that cannot be planned, because too few nodes are up, has no reservation, and one for which a policy keeps
    nodes needs none; the next has it.

    Args:
        depth: So many jobs of the queue are looked at in one pass, as with Slurm's bf_max_job_test; None: all.
    """

    name = "easy"

    def __init__(self, depth: int | None = None) -> None:
        self._depth = depth
        self._plan: Plan | None = None
        self._head: Life | None = None

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass.

        While nothing becomes free, nobody that could not start can: time only runs down. Then only who has just
        arrived is looked at, beside the same reservation.
        """
        if not site.freed and self._plan is not None and self._head is site.queue.head:
            arrived = site.arrived
            if self._depth is not None and len(site.queue) > self._depth:
                arrived = [life for life in arrived if site.queue.place_of(life) < self._depth]
            self._fill(site, self._plan, arrived, now)
            return None
        self._plan = self._head = None
        plan = site.plan(now)
        head = site.queue.head
        while head is not None and start(site, plan, head, now):
            head = site.queue.head
        if head is None:
            return None
        rest = site.queue.first(self._depth)
        for place, life in enumerate(rest):
            if place and squeeze(site, plan, life, now):
                continue
            bounds = site.bounds(life)
            kept = plan.earliest(life, bounds, now) if bounds.after_s <= now else None
            if kept is not None:
                plan.book(kept)
                self._fill(site, plan, rest[place + 1 :], now)
                self._plan, self._head = plan, site.queue.head
                break
        return None

    def _fill(self, site: Site, plan: Plan, lives: Iterable[Life], now: float) -> None:
        for life in lives:
            if site.space.full:
                return
            if plan.may(life, now, now + life.born.wall_s) or site.shortens:
                squeeze(site, plan, life, now)

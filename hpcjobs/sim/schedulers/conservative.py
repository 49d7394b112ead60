"""Conservative backfilling: everybody that waits has a reservation, and nobody is ever moved to a later one.

Mu'alem and Feitelson, IEEE TPDS 12(6), 2001. When a job ends before its limit, the reservations are gone through in
the order of the queue, and each is moved to an earlier time where there is one beside all others (compression).
"""

from __future__ import annotations

from hpcjobs.sim.schedulers.site import Site, start
from hpcjobs.sim.space import Kept


class Conservative:
    """Conservative backfilling. The reservation of a job whose nodes have failed is made anew.

    Args:
        depth: So many jobs of the queue have reservations; None: all.
    """

    name = "conservative"

    def __init__(self, depth: int | None = None) -> None:
        self._depth = depth
        self.booked: dict[int, Kept] = {}

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass."""
        if not site.freed and not site.arrived and not self._due(now):
            return None
        lives = site.queue.first(self._depth)
        there = {life.number for life in lives}
        self.booked = {number: kept for number, kept in self.booked.items() if number in there}
        plan = site.plan(now)
        for kept in self.booked.values():
            plan.book(kept)
        for life in lives:
            old = self.booked.pop(life.number, None)
            if old is not None:
                if not site.freed and old.start_s > now:
                    self.booked[life.number] = old
                    continue
                plan.cancel(old)
            if start(site, plan, life, now):
                continue
            bounds = site.bounds(life)
            new = plan.earliest(life, bounds, max(now, bounds.after_s))
            if new is not None:
                plan.book(new)
                self.booked[life.number] = new
        return None

    def _due(self, now: float) -> bool:
        return any(kept.start_s <= now for kept in self.booked.values())

"""First come, first served: nobody starts before who came earlier."""

from __future__ import annotations

from hpcjobs.sim.lives import Life
from hpcjobs.sim.schedulers.site import Site, start


class Fcfs:
    """Strict order of the queue: the first that cannot start stops all others."""

    name = "fcfs"

    def __init__(self) -> None:
        self._stuck: Life | None = None

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass."""
        head = site.queue.head
        if head is None or (head is self._stuck and not site.freed):
            return None
        plan = site.plan(now)
        while head is not None and start(site, plan, head, now):
            head = site.queue.head
        self._stuck = head
        return None

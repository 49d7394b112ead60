"""A scheduler for a cluster that is at work already: what runs is put where it runs, then another one takes over."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hpcjobs.sim.live.snapshot import Snapshot
from hpcjobs.sim.lives import Life
from hpcjobs.sim.schedulers.site import Scheduler, Site
from hpcjobs.sim.space import Bounds, Plan


class Resumed:
    """A scheduler whose first pass finds jobs at work.

    Args:
        scheduler: Who starts those that wait, on the nodes that each of them may have.
        begin: What there is at the beginning.
    """

    def __init__(self, scheduler: Scheduler, begin: Snapshot) -> None:
        self._scheduler = scheduler
        self._begin = begin
        self._resumed = False

    @property
    def name(self) -> str:
        """As said by Scheduler."""
        return self._scheduler.name

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass. A running job that its nodes have no room for, as they are known, is the first that waits."""
        if not self._resumed:
            self._resumed = True
            self._resume(site, now)
        return self._scheduler.run(_Confined(site, self._begin.only), now)

    def _resume(self, site: Site, now: float) -> None:
        plan = site.plan(now)
        for life in list(site.queue.first(None)):
            indices = self._begin.running.get(life.number)
            if indices is None:
                continue
            until_s = now + life.wall_s
            taken = plan.start(life, Bounds(only=indices), now, until_s)
            if taken is not None:
                site.started(life, taken, now, until_s)
        for index in sorted(self._begin.closed):
            site.space.down(index)


class _Confined:
    """A site on which each job may have only some nodes. See Site."""

    def __init__(self, site: Site, only: Mapping[int, frozenset[int] | None]) -> None:
        self.queue = site.queue
        self.space = site.space
        self.freed = site.freed
        self.arrived = site.arrived
        self._site = site
        self._only = only

    @property
    def tuned(self) -> Mapping[str, str]:
        """As said by Site."""
        return self._site.tuned

    @property
    def shortens(self) -> bool:
        """As said by Site."""
        return self._site.shortens

    def plan(self, now: float) -> Plan:
        """As said by Site."""
        return self._site.plan(now)

    def bounds(self, life: Life) -> Bounds:
        """As said by Site, and the nodes that it may have."""
        bounds = self._site.bounds(life)
        only = self._only.get(life.number)
        if only is None:
            return bounds
        return msgspec.structs.replace(bounds, only=only if bounds.only is None else bounds.only & only)

    def started(self, life: Life, indices: tuple[int, ...], now: float, until_s: float) -> None:
        """As said by Site."""
        self._site.started(life, indices, now, until_s)

"""What a scheduler sees of the simulation, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hpcjobs.sim.lives import Life
from hpcjobs.sim.space import Bounds, Plan, Space
from hpcjobs.sim.waiting import Queue


class Site(Protocol):
    """The simulation, as a scheduler sees it.

    Attributes:
        queue: The jobs that may start, in order.
        space: The nodes.
        freed: Whether since the last pass anything may have become possible for a job that waited already: nodes
            became free, or the order or the policies' wishes changed.
        arrived: The jobs that have joined the queue since the last pass.
    """

    queue: Queue
    space: Space
    freed: bool
    arrived: list[Life]

    @property
    def tuned(self) -> Mapping[str, str]:
        """Parameters of Slurm's scheduler that policies wish, by name."""

    @property
    def shortens(self) -> bool:
        """Whether some job's limit may be shortened."""

    def plan(self, now: float) -> Plan:
        """A plan in which is kept what policies want kept."""

    def bounds(self, life: Life) -> Bounds:
        """What policies say of where and when a job may start."""

    def started(self, life: Life, indices: tuple[int, ...], now: float, until_s: float) -> None:
        """A job was started, and runs until then at most; it leaves the queue."""


class Scheduler(Protocol):
    """Starts jobs. It is asked for a pass after each moment at which something happened."""

    @property
    def name(self) -> str:
        """What it is called."""

    def run(self, site: Site, now: float) -> float | None:
        """Make a pass.

        Returns:
            When the next pass is wanted even if nothing happens until then; None: not before.
        """


def start(site: Site, plan: Plan, life: Life, now: float) -> bool:
    """Start a job if it can start now with its own time limit."""
    bounds = site.bounds(life)
    if bounds.after_s > now:
        return False
    until_s = now + life.wall_s
    indices = plan.start(life, bounds, now, until_s)
    if indices is None:
        return False
    site.started(life, indices, now, until_s)
    return True


def squeeze(site: Site, plan: Plan, life: Life, now: float) -> bool:
    """Start a job if it can start now, with a shorter limit if need be and where it may have one (TimeMin of Slurm)."""
    if start(site, plan, life, now):
        return True
    bounds = site.bounds(life)
    if bounds.time_min_s is None or bounds.after_s > now:
        return False
    least_s = now + bounds.time_min_s
    edges = [at for at in plan.edges(now, now + life.wall_s) if at >= least_s]
    for until_s in (*edges, least_s):
        if until_s < now + life.wall_s:
            indices = plan.start(life, bounds, now, until_s)
            if indices is not None:
                site.started(life, indices, now, until_s)
                return True
    return False

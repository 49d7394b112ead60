"""A cluster of equal nodes of which only the number is simulated: each job has its nodes for itself.

As traces of CPU machines are simulated in the literature, and fast. It knows no node by name: it has no failures, and
refuses policies that speak of nodes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Final

from hpcjobs.errors import NotSupported
from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Need
from hpcjobs.sim.space import NO_NODES, Bounds, Kept
from hpcjobs.sim.workload import SimJob

NAMELESS: Final = "only the number of nodes is simulated here, none is known by name"


class Counts:
    """So many nodes.

    Attributes:
        nodes: Number of nodes.
        gpus: Number of GPUs.
        free: Nodes without a job.
        running: When each running job's limit ends it, its number, its nodes; in order.
    """

    def __init__(self, nodes: int, gpus_per_node: int = 0) -> None:
        self.nodes = nodes
        self.gpus = nodes * gpus_per_node
        self.free = nodes
        self.running: list[tuple[float, int, int]] = []
        self._of: dict[int, tuple[float, int, int]] = {}
        self._gpus_per_node = gpus_per_node

    @property
    def full(self) -> bool:
        """As said by Space."""
        return not self.free

    def index_of(self, name: str) -> int | None:
        """As said by Space: there are no names."""
        return None

    def fits(self, job: SimJob) -> bool:
        """As said by Space."""
        return 1 <= job.nodes <= self.nodes

    def plan(self, now: float, kept: Iterable[Kept] = ()) -> CountPlan:
        """As said by Space."""
        plan = CountPlan(self, now)
        for one in kept:
            plan.book(one)
        return plan

    def take(self, number: int, nodes: int, until_s: float) -> None:
        """A job starts."""
        self._of[number] = until_s, number, nodes
        insort(self.running, self._of[number])
        self.free -= nodes

    def gpus_of(self, number: int) -> float:
        """As said by Space."""
        return float(self._of[number][2] * self._gpus_per_node)

    def end(self, number: int) -> None:
        """As said by Space."""
        entry = self._of.pop(number)
        del self.running[bisect_left(self.running, entry)]
        self.free += entry[2]

    def shrink(self, number: int, nodes: int) -> tuple[int, ...]:
        """As said by Space."""
        until_s = self._of[number][0]
        self.end(number)
        self.take(number, nodes, until_s)
        return ()

    def on(self, node: int) -> tuple[int, ...]:
        """As said by Space.

        Raises:
            NotSupported: Always; so do the next three.
        """
        raise NotSupported(NAMELESS)

    def down(self, node: int) -> None:
        """As said by Space."""
        raise NotSupported(NAMELESS)

    def up(self, node: int) -> None:
        """As said by Space."""
        raise NotSupported(NAMELESS)

    def weigh(self, weights: dict[int, int]) -> None:
        """As said by Space."""
        if weights:
            raise NotSupported(NAMELESS)

    def counted(self) -> tuple[int, int, float, float]:
        """As said by Space."""
        used = self.nodes - self.free
        return used, self.nodes, float(used * self._gpus_per_node), float(self.free * self._gpus_per_node)

    def stuck_gpus(self, needs: Iterable[tuple[Need, SimJob]]) -> float:
        """As said by Space: a whole node fits everybody."""
        return 0.0


class CountPlan:
    """Free nodes over time: a step function, whose steps are the ends of running jobs and what is booked."""

    def __init__(self, space: Counts, now: float) -> None:
        self._space = space
        self._times = [now]
        self._free = [space.free]
        for until_s, _, nodes in space.running:
            if until_s <= self._times[-1]:
                self._free[-1] += nodes
            else:
                self._times.append(until_s)
                self._free.append(self._free[-1] + nodes)
        self._low: list[int] | None = None

    def earliest(self, life: Life, bounds: Bounds, after_s: float, until_s: float = float("inf")) -> Kept | None:
        """As said by Plan."""
        nodes, wall_s = life.asked.nodes, life.born.wall_s
        times, free = self._times, self._free
        start_s = max(after_s, times[0])
        first = bisect_right(times, start_s) - 1
        while start_s < until_s:
            end_s = start_s + wall_s
            short = None
            for step in range(first, len(times)):
                if step > first and times[step] >= end_s:
                    break
                if free[step] < nodes:
                    short = step
            if short is None:
                return Kept(start_s, end_s, nodes, NO_NODES, (life.number,))
            first = short + 1
            if first == len(times):
                return None
            start_s = times[first]
        return None

    def book(self, kept: Kept) -> None:
        """As said by Plan."""
        self._add(kept.start_s, kept.end_s, -kept.nodes)

    def cancel(self, kept: Kept) -> None:
        """As said by Plan."""
        self._add(kept.start_s, kept.end_s, kept.nodes)

    def start(self, life: Life, bounds: Bounds, now: float, until_s: float) -> tuple[int, ...] | None:
        """As said by Plan."""
        nodes = life.asked.nodes
        if nodes > self._least(until_s):
            return None
        self._space.take(life.number, nodes, until_s)
        self._add(self._times[0], until_s, -nodes)
        return ()

    def may(self, life: Life, now: float, until_s: float) -> bool:
        """As said by Plan."""
        nodes = life.asked.nodes
        return nodes <= self._space.free and nodes <= self._least(until_s)

    def edges(self, now: float, until_s: float) -> list[float]:
        """As said by Plan."""
        times, free = self._times, self._free
        falls = [times[step] for step in range(1, len(times)) if free[step] < free[step - 1]]
        return [at for at in reversed(falls) if now < at < until_s]

    def _least(self, until_s: float) -> int:
        """Fewest free nodes from now until then."""
        low = self._low
        if low is None:
            low, least = [], self._free[0]
            for free in self._free:
                least = min(least, free)
                low.append(least)
            self._low = low
        return low[max(0, bisect_left(self._times, until_s) - 1)]

    def _add(self, start_s: float, end_s: float, nodes: int) -> None:
        first, last = self._step(max(start_s, self._times[0])), self._step(max(end_s, self._times[0]))
        for step in range(first, last):
            self._free[step] += nodes
        self._low = None

    def _step(self, at_s: float) -> int:
        """The step that begins at a time, made where there is none."""
        step = bisect_left(self._times, at_s)
        if step == len(self._times) or self._times[step] != at_s:
            self._times.insert(step, at_s)
            self._free.insert(step, self._free[step - 1])
        return step

"""A cluster node by node and GPU by GPU: a Fleet, what runs on it, and when which node will have room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from hpcjobs.sim.bookings import Bookings
from hpcjobs.sim.choosers import InOrder
from hpcjobs.sim.fleet import Chooser, Fleet
from hpcjobs.sim.foreseen import foreseen
from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Floats, Ints, Mask, Need, Placed
from hpcjobs.sim.space import UNBOUND, Bounds, Kept
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode

NOW: Final = -np.inf
"""When a node has room that has it already."""
NEVER: Final = np.inf
"""When a node has room that will not, as far as is known."""
MOST_CLOCKS: Final = 64
"""Needs for which it is remembered when which node has room, before all of them are forgotten."""


class _Guest(NamedTuple):
    """What a running job has of one node, and until when at most."""

    until_s: float
    number: int
    cpus: int
    mem_bytes: int
    milli: list[int]
    exclusive: bool


class Nodes:
    """A fleet with running jobs.

    Attributes:
        fleet: The fleet.
        chooser: Chooses among the nodes that have room.
        keeper: Chooses among those that will have room when a job is planned to start, which is found as Slurm does it;
            None: as soon as may be, those that have room last, so that what is free now serves others until then.
    """

    def __init__(self, nodes: Sequence[SimNode], chooser: Chooser | None = None, keeper: Chooser | None = None) -> None:
        self.fleet = Fleet(nodes)
        self.chooser = chooser or InOrder()
        self.keeper = keeper
        self._placed: dict[int, Placed] = {}
        self._until: dict[int, float] = {}
        self._guests: list[dict[int, _Guest]] = [{} for _ in nodes]
        self._clocks: dict[Need, tuple[int, Floats]] = {}
        self._weighed: dict[int, int] = {}

    @property
    def nodes(self) -> int:
        """As said by Space."""
        return len(self.fleet)

    @property
    def gpus(self) -> int:
        """As said by Space."""
        return self.fleet.total_gpus

    @property
    def full(self) -> bool:
        """As said by Space: it is not known without looking."""
        return False

    def index_of(self, name: str) -> int | None:
        """As said by Space."""
        return self.fleet.index.get(name)

    def fits(self, job: SimJob) -> bool:
        """As said by Space."""
        return self.fleet.fits(job)

    def plan(self, now: float, kept: Iterable[Kept] = ()) -> NodePlan:
        """As said by Space."""
        plan = NodePlan(self, now)
        for one in kept:
            plan.book(one)
        return plan

    def take(self, placed: Placed, until_s: float) -> tuple[int, ...]:
        """A job starts; returns the indices of its nodes."""
        self.fleet.take(placed)
        self._placed[placed.job] = placed
        self._until[placed.job] = until_s
        indices = tuple(placed.nodes.tolist())
        parts = zip(indices, placed.cpus.tolist(), placed.mem_bytes.tolist(), placed.milli.tolist(), strict=True)
        for node, cpus, mem_bytes, milli in parts:
            self._guests[node][placed.job] = _Guest(until_s, placed.job, cpus, mem_bytes, milli, placed.exclusive)
        return indices

    def gpus_of(self, number: int) -> float:
        """As said by Space."""
        return self._placed[number].gpus

    def end(self, number: int) -> None:
        """As said by Space."""
        self._give_back(self._placed.pop(number))
        del self._until[number]

    def shrink(self, number: int, nodes: int) -> tuple[int, ...]:
        """As said by Space: it keeps the first of its nodes."""
        kept, given = self._placed[number].split(nodes)
        self._give_back(given)
        self._placed[number] = kept
        return tuple(kept.nodes.tolist())

    def _give_back(self, placed: Placed) -> None:
        self.fleet.release(placed)
        for node in placed.nodes.tolist():
            del self._guests[node][placed.job]

    def on(self, node: int) -> tuple[int, ...]:
        """As said by Space."""
        return tuple(self._guests[node])

    def whole(self, node: int) -> list[bool]:
        """Which GPUs of a node one job has as a whole, and not shares of them."""
        guests = self._guests[node].values()
        return [any(guest.milli[gpu] == WHOLE_GPU for guest in guests) for gpu in range(self.fleet.nodes[node].gpus)]

    def down(self, node: int) -> None:
        """As said by Space."""
        self.fleet.down(node)

    def up(self, node: int) -> None:
        """As said by Space."""
        self.fleet.up(node)

    def weigh(self, weights: dict[int, int]) -> None:
        """As said by Space."""
        for node in self._weighed.keys() - weights.keys():
            self.fleet.weigh((node,), self.fleet.nodes[node].weight)
        for node, weight in weights.items():
            if self._weighed.get(node) != weight:
                self.fleet.weigh((node,), self.fleet.nodes[node].weight + weight)
        self._weighed = dict(weights)

    def counted(self) -> tuple[int, int, float, float]:
        """As said by Space."""
        fleet = self.fleet
        used, up = int(np.count_nonzero(fleet.jobs)), int(np.count_nonzero(fleet.usable))
        return used, up, fleet.allocated_gpus, int(fleet.left_milli[fleet.usable].sum()) / WHOLE_GPU

    def stuck_gpus(self, needs: Iterable[tuple[Need, SimJob]]) -> float:
        """As said by Space."""
        stuck = self.fleet.usable & (self.fleet.left_milli > 0)
        for _, job in needs:
            stuck = stuck & ~self.fleet.having_room(job)
        return int(self.fleet.left_milli[stuck].sum()) / WHOLE_GPU

    def clock(self, job: SimJob, need: Need) -> Floats:
        """When each node has room for one of a job's, if what runs ends at its limit.

        Returns:
            Seconds, NOW or NEVER; shape (nodes,). Not to be written.
        """
        fleet = self.fleet
        version, clock = self._clocks.get(need, (-1, None))
        if clock is None:
            if len(self._clocks) >= MOST_CLOCKS:
                self._clocks.clear()
            clock = np.full(len(fleet), NEVER)
        if version != fleet.version:
            old = (fleet.changed > version) & fleet.able(job)
            room = fleet.having_room(job)
            clock[old] = np.where(fleet.usable[old], np.where(room[old], NOW, NEVER), NEVER)
            for node in np.flatnonzero(old & ~room & fleet.usable).tolist():
                clock[node] = self._frees(node, need)
            self._clocks[need] = fleet.version, clock
        return clock

    def _frees(self, node: int, need: Need) -> float:
        """When a node that has no room for a need will have it."""
        guests = sorted(self._guests[node].values(), key=_until)
        if need.exclusive:
            return guests[-1].until_s if guests else NEVER
        fleet = self.fleet
        cpus, mem_bytes = need.cpus - int(fleet.free_cpus[node]), need.mem_bytes - int(fleet.free_mem_bytes[node])
        milli: list[int] = fleet.free_milli[node].tolist()
        for guest in guests:
            cpus -= guest.cpus
            mem_bytes -= guest.mem_bytes
            milli = [free + had for free, had in zip(milli, guest.milli, strict=True)]
            enough = milli.count(WHOLE_GPU) >= need.gpus if need.gpus else max(milli, default=0) >= need.milli
            if enough and cpus <= 0 and mem_bytes <= 0:
                return guest.until_s
        return NEVER


def _until(guest: _Guest) -> tuple[float, int]:
    return guest.until_s, guest.number


class NodePlan:
    """Nodes over time: when what runs leaves room, and which nodes are booked when.

    A booked node is booked as a whole, as in Slurm's backfill, whatever the job that it is booked for leaves of it.
    """

    def __init__(self, space: Nodes, now: float) -> None:
        self._space = space
        self._now = now
        self._booked = Bookings(space.nodes)
        self._beside: dict[int, tuple[int, int]] = {}
        self._floors: dict[int, list[tuple[int, float, float]]] = {}
        """By kind: no job of so many nodes and such a limit, or more, could start before a time."""
        self._rooms: dict[int, tuple[int, int]] = {}

    def book(self, kept: Kept) -> None:
        """As said by Plan."""
        self._beside.clear()
        self._booked.book(kept)

    def cancel(self, kept: Kept) -> None:
        """As said by Plan."""
        self._beside.clear()
        self._floors.clear()
        self._booked.cancel(kept)

    def earliest(self, life: Life, bounds: Bounds, after_s: float, until_s: float = NEVER) -> Kept | None:
        """As said by Plan."""
        count, wall_s = life.nodes, life.wall_s
        free_to_go = bounds == UNBOUND and not life.shunned
        clock = self._bounded(life, bounds)
        at_s = max(after_s, self._now, self._floor(life, wall_s) if free_to_go else NOW)
        keeper = self._space.keeper
        if keeper is not None:
            choose = partial(keeper.choose, self._space.fleet, life.need, count=count)
            kept, tried_s = foreseen(clock, life, at_s, until_s, self._booked, choose)
            self._learn(life, free_to_go, tried_s)
            return kept
        at_s = max(at_s, _enough_s(clock, count))
        while at_s < until_s:
            shut_s = self._booked.shut_until(life.number, at_s, at_s + wall_s)
            free_s = clock if shut_s is None else np.maximum(clock, shut_s)
            free = free_s <= at_s
            if np.count_nonzero(free) >= count:
                self._learn(life, free_to_go, at_s)
                return Kept(at_s, at_s + wall_s, count, _last(free.nonzero()[0], clock, count), (life.number,))
            at_s = _enough_s(free_s, count)
        self._learn(life, free_to_go, until_s)
        return None

    def _learn(self, life: Life, free_to_go: bool, at_s: float) -> None:
        """Remember a time before which a job that is free to go could not start."""
        if free_to_go:
            count, wall_s, known = life.nodes, life.wall_s, self._floors.get(life.kind, ())
            kept = [one for one in known if one[0] < count or one[1] < wall_s or one[2] > at_s]
            self._floors[life.kind] = [*kept, (count, wall_s, at_s)]

    def _floor(self, life: Life, wall_s: float) -> float:
        """A time before which a job cannot start and run for so long, because one that asks for no more could not."""
        nodes, floor_s = life.nodes, NOW
        for count, least_s, at_s in self._floors.get(life.kind, ()):
            if at_s > floor_s and count <= nodes and least_s <= wall_s:
                floor_s = at_s
        return floor_s

    def start(self, life: Life, bounds: Bounds, now: float, until_s: float) -> tuple[int, ...] | None:
        """As said by Plan."""
        if not self.may(life, now, until_s):
            return None
        shut = self._shut(life, bounds, now, until_s)
        placed = self._space.fleet.find(life.asked, self._space.chooser, shut=shut, only=bounds.only)
        return None if placed is None else self._space.take(placed, until_s)

    def may(self, life: Life, now: float, until_s: float) -> bool:
        """As said by Plan."""
        fleet, version = self._space.fleet, self._space.fleet.version
        booked, nodes = self._booked, life.asked.nodes
        heeded = until_s > booked.first_s and not booked.has(life.number)
        if heeded and len(booked.kept) == 1 and booked.kept[0].end_s > now:
            left = self._beside.get(life.kind)
            if left is None or left[0] != version:
                left = self._beside[life.kind] = version, self._left(life, now, until_s)
            return left[1] >= nodes
        room = self._rooms.get(life.kind)
        if room is None or room[0] != version:
            room = self._rooms[life.kind] = version, fleet.room(life.asked)
        if room[1] < nodes or not heeded:
            return room[1] >= nodes
        return self._floor(life, until_s - now) <= now and self._left(life, now, until_s) >= nodes

    def _left(self, life: Life, now: float, until_s: float) -> int:
        """On how many nodes there is room for a job that are kept for nobody until then."""
        fleet, shut = self._space.fleet, self._booked.shut(life.number, now, until_s)
        return fleet.room(life.asked) if shut is None else int(np.count_nonzero(fleet.having_room(life.asked) & ~shut))

    def edges(self, now: float, until_s: float) -> list[float]:
        """As said by Plan."""
        return sorted({kept.start_s for kept in self._booked.kept if now < kept.start_s < until_s}, reverse=True)

    def _bounded(self, life: Life, bounds: Bounds) -> Floats:
        """When each node that a job may have has room for it."""
        clock = self._space.clock(life.asked, life.need)
        if bounds.only is None and not bounds.avoid and not life.shunned:
            return clock
        clock = clock.copy()
        if bounds.only is not None:
            others = np.ones(self._space.nodes, dtype=np.bool_)
            others[list(bounds.only)] = False
            clock[others] = NEVER
        clock[list(bounds.avoid | life.shunned)] = NEVER
        return clock

    def _shut(self, life: Life, bounds: Bounds, now: float, until_s: float) -> Mask | None:
        """The nodes that a job must leave alone if it starts now; None: none."""
        shut = self._booked.shut(life.number, now, until_s)
        others = bounds.avoid | life.shunned
        if others:
            shut = np.zeros(self._space.nodes, dtype=np.bool_) if shut is None else shut.copy()
            shut[list(others)] = True
        return shut


def _enough_s(clock: Floats, count: int) -> float:
    """When so many nodes have room."""
    if count == 1:
        return float(clock.min())
    sooner = clock.copy()
    sooner.partition(count - 1)
    return float(sooner[count - 1])


def _last(nodes: Ints, clock: Floats, count: int) -> frozenset[int]:
    """Of some nodes those that have room last."""
    nodes = nodes[::-1]
    if count == 1:
        return frozenset((int(nodes[clock[nodes].argmax()]),))
    return frozenset(nodes[(-clock[nodes]).argsort(kind="stable")[:count]].tolist())

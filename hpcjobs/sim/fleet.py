"""Where a job could go in a simulated cluster; what its nodes are, and what changes them: stock.py.

``find`` chooses and changes nothing. What fits is worked out for all nodes at once, once for each kind of need and
state of the fleet: a scheduler that asks again for the same need, while nothing has changed, is answered without
looking at the nodes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol, Self

import numpy as np

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.placed import Ints, Mask, Need, Placed
from hpcjobs.sim.stock import Stock
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode

MOST_REMEMBERED: Final = 4096
"""Needs and sets of nodes that are remembered before all of them are forgotten."""


class Chooser(Protocol):
    """Which of the nodes that have room a job gets: choosers.py, fgd.py, leaves.py. It changes nothing."""

    def choose(self, fleet: Fleet, need: Need, nodes: Ints, count: int) -> Ints:
        """Choose nodes.

        Args:
            fleet: The fleet as it is.
            need: What is asked of each node.
            nodes: Indices of the nodes that have room, ascending; at least ``count``.
            count: How many are wanted.

        Returns:
            ``count`` of ``nodes``, in any order.
        """

    def share(self, fleet: Fleet, need: Need, nodes: Ints) -> Ints:
        """Choose the GPU that a share is taken of.

        Args:
            fleet: The fleet as it is.
            need: What is asked of each node; a share.
            nodes: Indices of the chosen nodes.

        Returns:
            The index of a GPU with room, for each node.
        """


class _Room(NamedTuple):
    """Which nodes have room for a need, and how many, in one version of the fleet."""

    mask: Mask
    number: int
    version: int


def _need(job: SimJob) -> Need:
    if job.nodes < 1:
        raise Refused([Refusal("nodes", f"job {job.number} asks for {job.nodes} nodes")])
    return Need.of(job)


class Fleet(Stock):
    """The nodes, and where a job could go. Arrays are to be read only; nodes are known by their index.

    Attributes:
        memory: What choosers remember of this fleet; a copy begins with nothing.
    """

    def __init__(self, nodes: Sequence[SimNode]) -> None:
        super().__init__(nodes)
        self.memory: dict[Hashable, object] = {}
        self._rooms: dict[Need, _Room] = {}
        self._able: dict[Need, _Room] = {}
        self._masks: dict[frozenset[int], Mask] = {}

    def copy(self) -> Self:
        """The same fleet, to try things on."""
        twin = super().copy()
        vars(twin).update(memory={}, _rooms={})
        return twin

    def fits(self, job: SimJob) -> bool:
        """Whether a job would fit the fleet if it were empty and all nodes up.

        Raises:
            Refused: The job asks for what cannot be.
        """
        return self._able_of(_need(job)).number >= job.nodes

    def room(self, job: SimJob) -> int:
        """On how many nodes there is now room for one of the job's.

        Raises:
            Refused: The job asks for what cannot be.
        """
        return self._room(_need(job)).number

    def able(self, job: SimJob) -> Mask:
        """Which nodes would have room for one of the job's if they were up and empty; shape (nodes,). To be read only.

        Raises:
            Refused: The job asks for what cannot be.
        """
        return self._able_of(_need(job)).mask

    def having_room(self, job: SimJob) -> Mask:
        """Which nodes have now room for one of the job's; shape (nodes,). To be read only.

        Raises:
            Refused: The job asks for what cannot be.
        """
        return self._room(_need(job)).mask

    def find(
        self,
        job: SimJob,
        chooser: Chooser,
        *,
        shut: Mask | None = None,
        only: frozenset[int] | None = None,
        extra_free: Iterable[Placed] | None = None,
    ) -> Placed | None:
        """Where a job could go; nothing is changed.

        Args:
            job: The job.
            chooser: Chooses among the nodes that have room.
            shut: The nodes that it must not have; shape (nodes,). None: it may have all.
            only: Indices of nodes that it must keep to; None: all.
            extra_free: What jobs have that are taken as ended, to see where it could go then.

        Returns:
            What it would have; None where there is no room.

        Raises:
            Refused: The job asks for what cannot be.
        """
        if extra_free is not None:
            later = self.copy()
            for placed in extra_free:
                later.release(placed)
            return later.find(job, chooser, shut=shut, only=only)
        need = _need(job)
        room = self._room(need)
        if room.number < job.nodes:
            return None
        mask = room.mask
        if shut is not None:
            mask = mask & ~shut
        if only is not None:
            mask = mask & self._mask(only)
        nodes = np.flatnonzero(mask)
        if nodes.size < job.nodes:
            return None
        chosen = chooser.choose(self, need, nodes, job.nodes)
        return self._placed(job.number, need, np.sort(chosen), chooser)

    def _able_of(self, need: Need) -> _Room:
        """The nodes that have room when they are empty."""
        able = self._able.get(need)
        if able is None:
            need.check()
            if len(self._able) >= MOST_REMEMBERED:
                self._able.clear()
            mask = (self.cpus >= need.cpus) & (self.mem_bytes >= need.mem_bytes)
            if need.gpu_milli:
                mask &= self.gpus >= max(need.gpus, 1)
                if need.gpu_types:
                    mask &= np.isin(
                        self.gpu_type, [self.types.index(name) for name in need.gpu_types if name in self.types]
                    )
            able = self._able[need] = _Room(mask, int(np.count_nonzero(mask)), 0)
        return able

    def _room(self, need: Need) -> _Room:
        """The nodes that have room now."""
        room = self._rooms.get(need)
        if room is None or room.version != self.version:
            able = self._able_of(need)
            if room is None and len(self._rooms) >= MOST_REMEMBERED:
                self._rooms.clear()
            mask = able.mask & self.usable & (self.jobs == 0 if need.exclusive else self._free(need))
            room = self._rooms[need] = _Room(mask, int(np.count_nonzero(mask)), self.version)
        return room

    def _free(self, need: Need) -> Mask:
        free = ~self.closed & (self.free_cpus >= need.cpus)
        if need.mem_bytes:
            free &= self.free_mem_bytes >= need.mem_bytes
        if need.gpus:
            free &= self.free_gpus >= need.gpus
        elif need.milli:
            free &= self.most_milli >= need.milli
        return free

    def _mask(self, nodes: frozenset[int]) -> Mask:
        mask = self._masks.get(nodes)
        if mask is None:
            if len(self._masks) >= MOST_REMEMBERED:
                self._masks.clear()
            mask = self._masks[nodes] = np.zeros(len(self), dtype=np.bool_)
            mask[np.fromiter(nodes, dtype=np.int64, count=len(nodes))] = True
        return mask

    def _placed(self, job: int, need: Need, nodes: Ints, chooser: Chooser) -> Placed:
        if need.exclusive:
            return Placed(job, nodes, self.cpus[nodes], self.mem_bytes[nodes], self._whole_milli[nodes], exclusive=True)
        count = nodes.size
        if need.gpus:
            whole = self.free_milli[nodes] == WHOLE_GPU
            milli = np.where(whole & (whole.cumsum(axis=1) <= need.gpus), WHOLE_GPU, 0)
        else:
            milli = np.zeros((count, self.free_milli.shape[1]), dtype=np.int64)
            if need.milli:
                milli[np.arange(count), chooser.share(self, need, nodes)] = need.milli
        return Placed(job, nodes, np.full(count, need.cpus), np.full(count, need.mem_bytes), milli)

"""The nodes of a simulated cluster, what is free of them, and where a job could go.

``find`` chooses and changes nothing; ``take`` and ``release`` change. What fits is worked out for all nodes at once,
once for each kind of need and state of the fleet: a scheduler that asks again for the same need, while nothing has
changed, is answered without looking at the nodes.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from hpcjobs.errors import Conflict, Refusal, Refused
from hpcjobs.sim.placed import Ints, Mask, Need, Placed
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode

NOWHERE: Final[frozenset[int]] = frozenset()
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


_MUTABLE: Final = (
    "weights",
    "free_cpus",
    "free_mem_bytes",
    "free_milli",
    "free_gpus",
    "most_milli",
    "left_milli",
    "jobs",
    "usable",
    "closed",
    "changed",
)
"""Arrays of a fleet that change."""


class _Room(NamedTuple):
    """Which nodes have room for a need, and how many, in one version of the fleet."""

    mask: Mask
    number: int
    version: int


def _need(job: SimJob) -> Need:
    if job.nodes < 1:
        raise Refused([Refusal("nodes", f"job {job.number} asks for {job.nodes} nodes")])
    return Need.of(job)


class Fleet:
    """The nodes and what is free of them. Arrays are to be read only; nodes are known by their index.

    Attributes:
        nodes: The nodes as given.
        index: Index by name.
        cpus: CPUs; shape (nodes,). ``mem_bytes``, ``gpus`` likewise.
        types: Names of the GPU types, and ``gpu_type`` for each node the index of its own in them.
        weights: Slurm's Weight of each node, 0 unless ``weigh`` was called; nodes of less are taken first.
        free_cpus: Free CPUs; shape (nodes,). ``free_mem_bytes`` likewise.
        free_milli: Free thousandths of each GPU; shape (nodes, most GPUs of a node); 0 where there is none.
        free_gpus: GPUs of which nothing is taken; shape (nodes,).
        most_milli: Most thousandths that are free of one GPU; shape (nodes,).
        left_milli: Thousandths that are free of all GPUs together; shape (nodes,).
        jobs: Number of jobs on each node.
        usable: Whether a node is up.
        closed: Whether a job has the node for itself.
        changed: The ``version`` in which a node was last changed.
        version: Grows with each change.
        memory: What choosers remember of this fleet; a copy begins with nothing.
    """

    def __init__(self, nodes: Sequence[SimNode]) -> None:
        self.nodes = tuple(nodes)
        self.index = {node.name: number for number, node in enumerate(self.nodes)}
        self._check()
        count = len(self.nodes)
        self.cpus = np.array([node.cpus for node in self.nodes], dtype=np.int64)
        self.mem_bytes = np.array([node.mem_bytes for node in self.nodes], dtype=np.int64)
        self.gpus = np.array([node.gpus for node in self.nodes], dtype=np.int64)
        self.types = tuple(dict.fromkeys(node.gpu_type for node in self.nodes))
        numbers = {name: number for number, name in enumerate(self.types)}
        self.gpu_type = np.array([numbers[node.gpu_type] for node in self.nodes], dtype=np.int64)
        widest = int(self.gpus.max(initial=0))
        self._whole_milli = np.where(np.arange(widest) < self.gpus[:, None], WHOLE_GPU, 0)
        self.weights = np.zeros(count, dtype=np.int64)
        self.free_cpus = self.cpus.copy()
        self.free_mem_bytes = self.mem_bytes.copy()
        self.free_milli = self._whole_milli.copy()
        self.free_gpus = self.gpus.copy()
        self.most_milli = self.free_milli.max(axis=1, initial=0)
        self.left_milli = self.free_milli.sum(axis=1)
        self.jobs = np.zeros(count, dtype=np.int64)
        self.usable = np.ones(count, dtype=np.bool_)
        self.closed = np.zeros(count, dtype=np.bool_)
        self.changed = np.zeros(count, dtype=np.int64)
        self.version = 0
        self.memory: dict[Hashable, object] = {}
        self._rooms: dict[Need, _Room] = {}
        self._able: dict[Need, _Room] = {}
        self._masks: dict[frozenset[int], Mask] = {}
        self._allocated_milli = 0

    def _check(self) -> None:
        faults = [
            Refusal(f"nodes[{number}]", f"node {node.name} has a negative count of something")
            for number, node in enumerate(self.nodes)
            if min(node.cpus, node.mem_bytes, node.gpus) < 0
        ]
        if len(self.index) < len(self.nodes):
            twice = next(node.name for number, node in enumerate(self.nodes) if self.index[node.name] != number)
            faults.append(Refusal("nodes", f"two nodes are called {twice}"))
        if faults:
            raise Refused(faults)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def allocated_gpus(self) -> float:
        """GPUs that jobs have, shares as fractions."""
        return self._allocated_milli / WHOLE_GPU

    @property
    def total_gpus(self) -> int:
        """GPUs of all nodes, also of those that are down."""
        return int(self.gpus.sum())

    @property
    def usable_gpus(self) -> int:
        """GPUs of the nodes that are up."""
        return int(self.gpus[self.usable].sum())

    @property
    def idle_nodes(self) -> int:
        """Nodes that are up and have no job."""
        return int(np.count_nonzero(self.usable & (self.jobs == 0)))

    def copy(self) -> Fleet:
        """The same fleet, to try things on."""
        twin = copy.copy(self)
        vars(twin).update({name: getattr(self, name).copy() for name in _MUTABLE})
        vars(twin).update(memory={}, _rooms={})
        return twin

    def names_of(self, placed: Placed) -> tuple[str, ...]:
        """Names of the nodes of a job."""
        return tuple(self.nodes[number].name for number in placed.nodes.tolist())

    def indices(self, names: Iterable[str]) -> frozenset[int]:
        """Indices of nodes by their names; names that nobody has are left out."""
        return frozenset(self.index[name] for name in names if name in self.index)

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
        avoid: frozenset[int] = NOWHERE,
        only: frozenset[int] | None = None,
        extra_free: Iterable[Placed] | None = None,
    ) -> Placed | None:
        """Where a job could go; nothing is changed.

        Args:
            job: The job.
            chooser: Chooses among the nodes that have room.
            avoid: Indices of nodes that it must not have.
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
            return later.find(job, chooser, avoid=avoid, only=only)
        need = _need(job)
        room = self._room(need)
        if room.number < job.nodes:
            return None
        mask = room.mask
        if avoid:
            mask = mask & ~self._mask(avoid)
        if only is not None:
            mask = mask & self._mask(only)
        nodes = np.flatnonzero(mask)
        if nodes.size < job.nodes:
            return None
        chosen = chooser.choose(self, need, nodes, job.nodes)
        return self._placed(job.number, need, np.sort(chosen), chooser)

    def take(self, placed: Placed) -> None:
        """Give a job what was found for it.

        Raises:
            Conflict: Some of it is not free any more, or its node is down. Nothing was changed.
        """
        nodes = placed.nodes
        milli = self.free_milli[nodes] - placed.milli
        cpus, mem_bytes = self.free_cpus[nodes] - placed.cpus, self.free_mem_bytes[nodes] - placed.mem_bytes
        shut = self.jobs[nodes] > 0 if placed.exclusive else self.closed[nodes]
        if shut.any() or not self.usable[nodes].all() or min(cpus.min(), mem_bytes.min(), milli.min(initial=0)) < 0:
            raise Conflict(f"what was found for job {placed.job} is not free any more")
        self._set(placed, cpus, mem_bytes, milli, 1)

    def release(self, placed: Placed) -> None:
        """Take from a job what it was given; also where its nodes are down.

        Raises:
            Conflict: It had not been given that. Nothing was changed.
        """
        nodes = placed.nodes
        milli = self.free_milli[nodes] + placed.milli
        cpus, mem_bytes = self.free_cpus[nodes] + placed.cpus, self.free_mem_bytes[nodes] + placed.mem_bytes
        if (
            (self.jobs[nodes] < 1).any()
            or (cpus > self.cpus[nodes]).any()
            or (mem_bytes > self.mem_bytes[nodes]).any()
            or (milli > self._whole_milli[nodes]).any()
        ):
            raise Conflict(f"job {placed.job} does not have what it is to give back")
        self._set(placed, cpus, mem_bytes, milli, -1)

    def down(self, node: int) -> None:
        """A node takes no more jobs. What runs there is for the caller to release."""
        self._turn(node, up=False)

    def up(self, node: int) -> None:
        """A node takes jobs again."""
        self._turn(node, up=True)

    def weigh(self, nodes: Iterable[int], weight: int) -> None:
        """Set Slurm's Weight of nodes."""
        for node in nodes:
            self.weights[node] = weight

    def _turn(self, node: int, *, up: bool) -> None:
        self.usable[node] = up
        self.version += 1
        self.changed[node] = self.version

    def _set(self, placed: Placed, cpus: Ints, mem_bytes: Ints, milli: Ints, jobs: int) -> None:
        nodes = placed.nodes
        self.free_cpus[nodes] = cpus
        self.free_mem_bytes[nodes] = mem_bytes
        self.jobs[nodes] += jobs
        if placed.exclusive:
            self.closed[nodes] = jobs > 0
        if milli.size:
            self.free_milli[nodes] = milli
            self.free_gpus[nodes] = (milli == WHOLE_GPU).sum(axis=1)
            self.most_milli[nodes] = milli.max(axis=1)
            self.left_milli[nodes] = milli.sum(axis=1)
            self._allocated_milli += jobs * int(placed.milli.sum())
        self.version += 1
        self.changed[nodes] = self.version

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

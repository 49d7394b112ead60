"""The nodes of a simulated cluster, and what is free of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Final, Self

import numpy as np

from hpcjobs.errors import Conflict, Refusal, Refused
from hpcjobs.sim.placed import Ints, Placed
from hpcjobs.sim.workload import WHOLE_GPU, SimNode

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


class Stock:
    """The nodes and what is free of them. Arrays are to be read only; nodes are known by their index.

    Attributes:
        nodes: The nodes as given.
        index: Index by name.
        cpus: CPUs; shape (nodes,). ``mem_bytes``, ``gpus`` likewise.
        types: Names of the GPU types, and ``gpu_type`` for each node the index of its own in them.
        weights: Slurm's Weight of each node, that of the node as given unless ``weigh`` was called.
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
        self.weights = np.array([node.weight for node in self.nodes], dtype=np.int64)
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

    def copy(self) -> Self:
        """The same nodes, to try things on."""
        twin = copy.copy(self)
        vars(twin).update({name: getattr(self, name).copy() for name in _MUTABLE})
        return twin

    def names_of(self, placed: Placed) -> tuple[str, ...]:
        """Names of the nodes of a job."""
        return tuple(self.nodes[number].name for number in placed.nodes.tolist())

    def indices(self, names: Iterable[str]) -> frozenset[int]:
        """Indices of nodes by their names; names that nobody has are left out."""
        return frozenset(self.index[name] for name in names if name in self.index)

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

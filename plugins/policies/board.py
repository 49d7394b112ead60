"""What is free on each node, as one supposes jobs to leave and to come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Self

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.shards import Gpu, Share, free_gpus, share_of, shared_gpus_of
from hpcjobs.sbatch.asks import Ask
from hpcjobs_plugins.policies.queue import ON_NODES, hosts_of


@dataclass
class Free:
    """What is free on a node.

    Attributes:
        cpus: CPUs.
        mem_bytes: Memory in bytes.
        gpus: GPUs that can be given as a whole, by type.
        idle: Whether nothing runs there.
        shared: Each GPU of which shares can be had, also where none is left, in Slurm's order.
    """

    cpus: int
    mem_bytes: int
    gpus: dict[str, int]
    idle: bool
    shared: tuple[Gpu, ...] = ()

    def takes(self, ask: Ask) -> bool:
        """Whether a job's part fits."""
        return (
            ask.within(self.cpus, self.mem_bytes, self.gpus)
            and (self.idle or not ask.whole)
            and (ask.share is None or bool(ask.share.room(self.shared)))
        )

    def change(self, cpus: int, mem_bytes: int, gpus: dict[str, int], sign: int) -> None:
        """Have more free, or with -1 less; GPUs of no type are of the type of which most are free."""
        self.cpus += sign * cpus
        self.mem_bytes += sign * mem_bytes
        for kind, count in gpus.items():
            own = kind if kind in self.gpus else max(self.gpus, key=lambda one: self.gpus[one], default=kind)
            self.gpus[own] = self.gpus.get(own, 0) + sign * count
            self._change_whole(own, count, sign)

    def _change_whole(self, kind: str, count: int, sign: int) -> None:
        """Give the first GPUs of a type as a whole, as Slurm does, or take them back."""
        if not self.shared:
            return
        shared = list(self.shared)
        able = [at for at, gpu in enumerate(shared) if gpu.kind == kind and (gpu.whole if sign > 0 else gpu.free)]
        for at in able[:count]:
            shared[at] = shared[at].back() if sign > 0 else shared[at].given()
        self.shared = tuple(shared)

    def give(self, share: Share) -> None:
        """Have a share less, of the first GPU that has it, as Slurm does."""
        for at in share.room(self.shared)[:1]:
            gpu = self.shared[at]
            self.gpus[gpu.kind] -= gpu.free
            given = gpu._replace(used=gpu.used + share.parts)
            self.shared = (*self.shared[:at], given, *self.shared[at + 1 :])

    def end_shares(self) -> None:
        """Have all shares back."""
        for gpu in self.shared:
            self.gpus[gpu.kind] += gpu.begun
        self.shared = tuple(gpu if gpu.whole else gpu.back() for gpu in self.shared)


def free_of(node: Node) -> Free:
    """What is free on a node now."""
    idle = not node.cpus_alloc and not any(node.gpus_alloc.values())
    cpus, mem_bytes = node.cpus - node.cpus_alloc, node.mem_bytes - node.mem_alloc_bytes
    return Free(cpus, mem_bytes, free_gpus(node), idle, shared_gpus_of(node))


def free_if_empty(node: Node) -> Free:
    """What is free on a node when nothing runs there."""
    shared = tuple(gpu.back() for gpu in shared_gpus_of(node))
    return Free(node.cpus, node.mem_bytes, dict(node.gpus), idle=True, shared=shared)


@dataclass
class Board:
    """A cluster on which jobs are moved about in thought. Jobs that are about to end (COMPLETING) have left already.

    Attributes:
        nodes: Those that are counted on, by name.
        where: Names of these that a job has, by Slurm's number.
        on: Jobs by name of node.
        gone: Numbers of jobs that have left.
        came: What has come, by name of node.
        changed: Names of nodes on which is not what the listing says, or may not be.
    """

    nodes: dict[str, Node]
    where: dict[int, tuple[str, ...]] = field(default_factory=dict)
    on: dict[str, list[JobRecord]] = field(default_factory=lambda: defaultdict(list))
    gone: set[int] = field(default_factory=set)
    came: dict[str, tuple[Ask, ...]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    _free: dict[str, Free] = field(default_factory=dict)
    _able: dict[Hashable, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: ClusterView, names: Iterable[str]) -> Self:
        """The usable ones of some nodes, and what runs there."""
        all_of = view.nodes
        board = cls({name: node for name in names if (node := all_of.get(name)) is not None and node.usable})
        for job in view.jobs.values():
            if job.node_list and job.state in ON_NODES:
                there = tuple(filter(board.nodes.__contains__, hosts_of(job)))
                board.where[job.slurm_job_id] = there
                for name in there:
                    board.on[name].append(job)
                if job.state is State.COMPLETING:
                    board.take_off(job)
        return board

    def copy(self) -> Self:
        """One to try things on."""
        came, free = dict(self.came), dict(self._free)
        return type(self)(self.nodes, self.where, self.on, set(self.gone), came, set(self.changed), free, self._able)

    def part(self, names: Iterable[str]) -> Self:
        """One to try things on that has only some of the nodes."""
        nodes = {name: self.nodes[name] for name in names}
        on = defaultdict(list, {name: self.on[name] for name in nodes if name in self.on})
        where: dict[int, tuple[str, ...]] = defaultdict(tuple)
        for name, jobs in on.items():
            for job in jobs:
                where[job.slurm_job_id] += (name,)
        came = {name: self.came[name] for name in nodes if name in self.came}
        free = {name: self._free[name] for name in nodes if name in self._free}
        gone, changed = self.gone & where.keys(), self.changed & nodes.keys()
        return type(self)(nodes, where, on, gone, came, changed, free)

    def free(self, name: str) -> Free:
        """What is free on a node."""
        if name not in self._free:
            node = self.nodes[name]
            left = [job for job in self.on.get(name, ()) if job.slurm_job_id in self.gone]
            free = free_of(node)
            if left and len(left) == len(self.on[name]):
                free = free_if_empty(node)
            else:  # how a job lies on several nodes is not told: the least that each could have of it
                for job in left:
                    share = max(1, job.nodes)
                    gpus = {kind: count // share for kind, count in job.gpus.items()}
                    free.change(job.cpus // share, job.mem_bytes // share, gpus, 1)
                sharing = [job.slurm_job_id in self.gone for job in self.on[name] if share_of(job)] if left else []
                if sharing and all(sharing):  # of which GPU each has its share is not told
                    free.end_shares()
            for ask in self.came.get(name, ()):
                free.change(ask.cpus, ask.mem_bytes, ask.gpus, -1)
                if ask.share is not None:
                    free.give(ask.share)
                free.idle = False
            self._free[name] = free
        return self._free[name]

    def takes(self, ask: Ask, name: str) -> bool:
        """Whether a job could start on a node."""
        node = self.nodes.get(name)
        if node is None or (name not in self.changed and ask.too_much(node)):
            return False
        return ask.may_use(node) and self.free(name).takes(ask)

    def able(self, ask: Ask) -> list[str]:
        """Names of nodes that a job may use and that have GPUs of its types, whatever is there now."""
        kinds = {kind for kind in ask.gpus if kind}
        key = ask.job.partition, ask.features, ask.excluded, frozenset(kinds)
        if key not in self._able:
            self._able[key] = [
                name for name, node in self.nodes.items() if kinds <= node.gpus.keys() and ask.may_use(node)
            ]
        return self._able[key]

    def roomy(self, ask: Ask, among: Iterable[str] | None = None) -> list[str]:
        """Names of nodes, of all or of some, on which a job could start; those with the least left over first."""
        found = [name for name in (self.able(ask) if among is None else among) if self.takes(ask, name)]
        return sorted(found, key=lambda name: (sum(self.free(name).gpus.values()), self.free(name).cpus, name))

    def place(self, ask: Ask, among: Iterable[str] | None = None) -> tuple[str, ...]:
        """Let a job come; returns its nodes, none where it finds no room."""
        names = tuple(self.roomy(ask, among)[: ask.nodes])
        if len(names) < ask.nodes:
            return ()
        self.promise(ask, names)
        return names

    def promise(self, ask: Ask, names: Iterable[str]) -> None:
        """Let a job come to some nodes, where there may be room only later."""
        for name in names:
            self.came[name] = (*self.came.get(name, ()), ask)
            self._change(name)

    def take_off(self, job: JobRecord) -> None:
        """Let a job leave."""
        self.gone.add(job.slurm_job_id)
        self._change(*self.where.get(job.slurm_job_id, ()))

    def put_back(self, job: JobRecord) -> None:
        """Let it be there again."""
        self.gone.discard(job.slurm_job_id)
        self._change(*self.where.get(job.slurm_job_id, ()))

    def _change(self, *names: str) -> None:
        self.changed.update(names)
        for name in names:
            self._free.pop(name, None)

"""The simulated cluster as policies see it: the ClusterView that the service shows them of a real one.

Jobs are seen as they were asked for, without what policies wish of them (steering/asked.py). The view is kept from tick
to tick and only what has changed is made anew, so that a tick over a long queue costs a copy of two dictionaries.
Records say what Slurm would, as far as it is simulated. Where jobs ask for shares of GPUs, every GPU has a thousand
shards, and nodes and jobs say of them what they say on Slurm (model/shards.py). Ended jobs are listed for ENDED_S, as
with Slurm's MinJobAge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np

from hpcjobs.model.cluster import ClusterView, Failure, Node
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.particulars import UNTOLD, Particulars
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.shards import SHARD, Gpu, Share, shared_texts
from hpcjobs.model.suspicion import Suspicion
from hpcjobs.recovery.lemons import judge, usual_rules
from hpcjobs.recovery.signals import of_failure
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.sim.lives import Life
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.outages import Outages
from hpcjobs.sim.result import End, Run
from hpcjobs.sim.space import Space
from hpcjobs.sim.workload import WHOLE_GPU, Workload

EPOCH_S: Final = 1_000_000_000
"""Unix time of a simulation's second 0: views and policies speak of Unix seconds, in which 0 means none."""
ENDED_S: Final = 300.0
"""So long a job is listed that has ended."""
JUDGE_S: Final = 3600.0
"""How often nodes are judged anew where none fails: points fade over weeks."""
MOST_FAILURES: Final = 10_000
"""So many failures are remembered, the last ones, as the service does."""
UNSHARED: Final = NodeParticulars()
DATA: Final = "data:"
"""A node that holds a data set has a feature of this and its name (docs/POLICIES.md, data)."""

_FATES: Final = {
    End.COMPLETED: Fate.COMPLETED, End.TIMEOUT: Fate.TIMEOUT, End.NODE_FAIL: Fate.NODE_FAIL, End.FAILED: Fate.FAILED,
    End.CANCELLED: Fate.CANCELLED,
}  # fmt: skip


class Watched(Protocol):
    """What a view is made of: the engine's Simulation."""

    space: Space
    outages: Outages
    running: dict[int, Life]
    waiting: dict[int, Life]


class ViewKeeper:
    """Makes views, each from the one before it."""

    def __init__(self, watched: Watched, workload: Workload) -> None:
        self._watched = watched
        self._touched: set[int] = set()
        self._jobs: dict[int, JobRecord] = {}
        self._hints: dict[int, Hints] = {}
        self._nodes: dict[str, Node] = {}
        self._ended: deque[tuple[float, int]] = deque()
        self._failures: tuple[Failure, ...] = ()
        self._lost = 0
        self._suspicions: dict[str, Suspicion] = {}
        self._judged: tuple[int, float] = (0, 0.0)
        """After how many failures nodes were judged last, and when."""
        self._version = -1
        self._shares = any(job.gpu_milli for job in workload.jobs)
        self._reservations: Mapping[str, Reservation] = {}
        self._named: Mapping[int, str] = {}
        self._later: dict[int, float] = {}
        """Seconds of the simulation from which a job may start by itself that may not yet, by number."""
        self._names = [node.name for node in workload.nodes]
        names = dict.fromkeys(job.partition for job in workload.jobs) or {"main": None}
        total, cpus = len(workload.nodes), sum(node.cpus for node in workload.nodes)
        folded = fold_hostlist(node.name for node in workload.nodes)
        self._partitions = {
            name: Partition(name=name, default=not place, nodes=folded, total_nodes=total, total_cpus=cpus)
            for place, name in enumerate(names)
        }

    def touch(self, number: int) -> None:
        """Something about a job is not as it was."""
        self._touched.add(number)

    def finish(self, life: Life, now: float, end: End, run: Run | None) -> None:
        """A job has ended for good, with a last run or from the queue."""
        self._touched.discard(life.number)
        self._hints.pop(life.number, None)
        self._ended.append((now, life.number))
        self._jobs[life.number] = self._record(life, State.FINISHED, end=end, run=run)

    def lose(self, node: int, number: int, now: float) -> None:
        """A node has failed under a job."""
        failure = Failure(self._names[node], EPOCH_S + now, number)
        self._failures = (*self._failures, failure)[-MOST_FAILURES:]
        self._lost += 1

    def reserve(self, there: Mapping[str, Reservation], named: Mapping[int, str]) -> None:
        """Which reservations there are, and which jobs are in which."""
        self._reservations = there
        changed = named.keys() | self._named.keys()
        self._touched |= {number for number in changed if named.get(number) != self._named.get(number)}
        self._named = named

    def view(self, now: float) -> ClusterView:
        """What is so now. What was handed out before stays as it was."""
        while self._ended and self._ended[0][0] <= now - ENDED_S:
            self._jobs.pop(self._ended.popleft()[1], None)
        watched = self._watched
        self._touched.update([number for number, at_s in self._later.items() if at_s <= now])
        for number in self._touched:
            life = watched.running.get(number) or watched.waiting.get(number)
            self._later.pop(number, None)
            if life is not None:
                later = life.start_s is None and life.held_s > now
                if later:
                    self._later[number] = life.held_s
                self._jobs[number] = self._record(life, State.PENDING if life.start_s is None else State.RUNNING, later)
                if life.born.hints is not NO_HINTS and life.born.hints != NO_HINTS:
                    self._hints[number] = life.born.hints
        self._touched.clear()
        if isinstance(watched.space, Nodes):
            self._renew(watched.space)
        return ClusterView(
            cluster="simulated",
            asked_at=EPOCH_S + now,
            jobs=dict(self._jobs),
            nodes=dict(self._nodes),
            partitions=self._partitions,
            hints=dict(self._hints),
            reservations=self._reservations,
            failures=self._failures,
            suspicions=self._judge(now),
        )

    def _judge(self, now: float) -> dict[str, Suspicion]:
        """The nodes under suspicion, judged as the service does, of failures alone; days count whole, busy or idle."""
        failures, at = self._judged
        if self._lost > failures or (self._suspicions and now - at >= JUDGE_S):
            told = map(of_failure, self._failures)
            self._suspicions = judge(self._names, told, None, EPOCH_S, usual_rules(), EPOCH_S + now)
            self._judged = self._lost, now
        return self._suspicions

    def _record(
        self, life: Life, state: State, later: bool = False, end: End | None = None, run: Run | None = None
    ) -> JobRecord:
        job, asked = life.born, life.asked
        start_s = run.start_s if run else life.start_s
        end_s = run.end_s if run else life.until_s if start_s is not None else None
        nodes = [self._names[index] for index in life.indices] if start_s is not None else []
        kind = asked.gpu_types[0] if len(asked.gpu_types) == 1 else ""
        gpus = asked.nodes * asked.gpus_per_node
        share = Share(SHARD, asked.gpu_milli, kind).text if asked.gpu_milli else ""
        inside, shunned = self._named.get(job.number, ""), fold_hostlist(self._names[index] for index in life.shunned)
        raw = end.value if end else "RUNNING" if start_s is not None else "PENDING"
        return JobRecord(
            slurm_job_id=job.number,
            user=job.user,
            state=state,
            fate=_FATES.get(end) if end else None,
            raw_state=raw,
            name=job.name,
            account=job.account,
            partition=job.partition,
            reason="" if state is not State.PENDING else "BeginTime" if later else "Priority",
            nodes=asked.nodes,
            node_list=fold_hostlist(nodes) if nodes else "",
            ntasks=asked.nodes,
            cpus=asked.nodes * asked.cpus_per_node,
            gpus={kind: gpus} if gpus else {},
            mem_bytes=asked.nodes * asked.mem_per_node_bytes,
            wall_s=int(job.wall_s),
            submit_time=_unix(life.came_s),
            eligible_time=_unix(max(life.came_s, life.held_s)),
            start_time=_unix(start_s),
            end_time=_unix(end_s),
            restarts=life.restarts,
            particulars=Particulars(reservation=inside, excluded_nodes=shunned, tres_per_node=share)
            if inside or shunned or share
            else UNTOLD,
            priority=EPOCH_S,
        )

    def _renew(self, space: Nodes) -> None:
        """Make those nodes anew that were changed since the last view."""
        fleet = space.fleet
        for index in np.flatnonzero(fleet.changed > self._version).tolist():
            self._nodes[fleet.nodes[index].name] = self._node(space, index)
        self._version = fleet.version

    def _node(self, space: Nodes, index: int) -> Node:
        fleet = space.fleet
        node = fleet.nodes[index]
        cpus = node.cpus - int(fleet.free_cpus[index])
        gpus, told = node.gpus - int(fleet.free_gpus[index]), UNSHARED
        if self._shares and node.gpus:
            each = shared_by_thousandths(space, index)
            gres, gres_used = shared_texts(each)
            gpus, told = sum(gpu.whole for gpu in each), NodeParticulars(gres=gres, gres_used=gres_used)
        jobs, usable = int(fleet.jobs[index]), bool(fleet.usable[index])
        used = "IDLE" if not jobs else "ALLOCATED" if cpus >= node.cpus or fleet.closed[index] else "MIXED"
        down = not usable and self._watched.outages.failed(index)
        return Node(
            name=node.name,
            raw_state="DOWN" if down else used if usable else f"{used}+DRAIN",
            usable=usable,
            cpus=node.cpus,
            cpus_alloc=cpus,
            mem_bytes=node.mem_bytes,
            mem_alloc_bytes=node.mem_bytes - int(fleet.free_mem_bytes[index]),
            gpus={node.gpu_type: node.gpus} if node.gpus else {},
            gpus_alloc={node.gpu_type: gpus} if gpus else {},
            partitions=tuple(self._partitions),
            features=(*node.features, *(f"{DATA}{name}" for name in node.datasets)),
            reason="" if usable else "failed" if down else "drained by a policy",
            particulars=told,
        )


def shared_by_thousandths(space: Nodes, index: int) -> list[Gpu]:
    """The GPUs of a node, each as a thousand shards."""
    kind, free = space.fleet.nodes[index].gpu_type, space.fleet.free_milli[index].tolist()
    return [
        Gpu(kind, SHARD, WHOLE_GPU, WHOLE_GPU - left, whole)
        for left, whole in zip(free, space.whole(index), strict=False)  # nodes with fewer GPUs are filled up
    ]


def _unix(at_s: float | None) -> int:
    return 0 if at_s is None else int(EPOCH_S + at_s)

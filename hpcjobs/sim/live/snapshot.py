"""What a service says of a cluster, as the beginning of a simulation: nodes, what runs on them, what waits. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.cluster import Node
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import Job, State
from hpcjobs.model.partition import Partition
from hpcjobs.model.shards import share_of, shared_gpus_of
from hpcjobs.model.spans import count_tasks, parse_spans
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sim.live.allowed import Allowed
from hpcjobs.sim.live.predicted import Predictor
from hpcjobs.sim.schedulers.priority import Multifactor
from hpcjobs.sim.traces.lines import Tally
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode, Workload

UNLIMITED_S: Final = 365 * 86_400.0
"""As long runs a job without a time limit."""
LEAST_S: Final = 1.0
"""A job that should have ended by now ends so soon."""
MOST_TASKS: Final = 100_000
"""So many waiting tasks of one array are simulated."""
PRIORITIES: Final = 2**32
"""So many priorities there are: numbers of 32 bits."""
FIRST: Final = PRIORITIES**2
"""The priority of a job that runs, should it have to wait: before all others."""
_RUNS: Final = frozenset({State.RUNNING, State.COMPLETING, State.SUSPENDED})

ASSUMPTIONS: Final = (
    "A running job ends at its time limit, a waiting one runs as long as its limit says, where nothing was predicted; "
    "without a limit it runs for a year.",
    "The queue is in the order of tier, priority and submission that it has now; priorities change by age only, and "
    "nobody submits, cancels or alters a job.",
    "CPUs, memory and GPUs of a job are spread evenly over its nodes; on a node with GPUs of several types all count "
    "as of the commonest. So do the shards of a GPU, where there are not as many of each.",
    "Nodes that are down or drained stay so, and no node fails.",
    "Not heeded: limits of users, accounts and QOS, dependencies, licenses, reservations and preemption; "
    "of constraints only features joined with &.",
)


LIMITED: Final = "jobs that wait for a limit of their user, account or QOS, which is not heeded here"
UNSEEN: Final = "nodes with more in use than the jobs that you may see have: here it is free (ask as an operator)"


class Snapshot(NamedTuple):
    """A cluster at one moment.

    Attributes:
        workload: Its nodes, and its jobs: first those that run, then the queue in its order, all submitted at 0.
        running: Nodes of those that run, as indices, by number.
        only: The nodes that each job that waits may have, as indices, by number; None: any.
        begin_s: When jobs may begin that may not yet, by number.
        closed: Nodes that take no new jobs, as indices.
        jobs: The service's jobs, by number; of an array the same for each task that waits.
    """

    workload: Workload
    running: Mapping[int, frozenset[int]]
    only: Mapping[int, frozenset[int] | None]
    begin_s: Mapping[int, float]
    closed: frozenset[int]
    jobs: Mapping[int, Job]

    def waits(self, job: SimJob) -> bool:
        """Whether a job waits at the beginning."""
        return job.number not in self.running


def snapshot(
    cluster: str,
    observed_at: float,
    nodes: Sequence[Node],
    partitions: Sequence[Partition],
    jobs: Iterable[Job],
    *,
    hints: Mapping[str, Hints] | None = None,
    predictor: Predictor | None = None,
    priority: Multifactor | None = None,
) -> Snapshot:
    """Put together what the service said.

    Args:
        cluster: Name of the cluster.
        observed_at: Unix seconds of the listing that it is from.
        nodes: Its nodes.
        partitions: Its partitions.
        jobs: What Slurm lists: each task for itself, but those of an array that still wait together.
        hints: What jobs tell the policies, by our id.
        predictor: Guesses run times; None: limits hold.
        priority: The cluster's, by which is known what of a job's priority is not of its size and age; None: nothing.
    """
    index = {node.name: place for place, node in enumerate(nodes)}
    dropped = Tally()
    found = list(jobs)
    runs = [job for job in found if job.state in _RUNS and _known(job, index, dropped)]
    by_name = {partition.name: partition for partition in partitions}
    queue = sorted((job for job in found if _waits(job, by_name, dropped)), key=lambda job: _place(job, by_name))
    maker = _Maker(observed_at, nodes, by_name, predictor or Predictor(), priority or Multifactor())
    allowed = Allowed(nodes, partitions)
    made: list[SimJob] = []
    running: dict[int, frozenset[int]] = {}
    only: dict[int, frozenset[int] | None] = {}
    begin_s: dict[int, float] = {}
    told: dict[int, Job] = {}
    for job in runs:
        number = len(made) + 1
        made.append(maker.running(number, job))
        running[number] = frozenset(index[name] for name in expand_hostlist(job.node_list))
        told[number] = job
    for job in queue:
        for _ in range(_tasks(job)):
            number = len(made) + 1
            made.append(maker.waiting(number, job, (hints or {}).get(job.id, NO_HINTS)))
            told[number] = job
        for number in range(len(made) - _tasks(job) + 1, len(made) + 1):
            only[number] = allowed.indices(job)
            if job.eligible_time > observed_at:
                begin_s[number] = job.eligible_time - observed_at
    workload = Workload(
        nodes=tuple(map(_node, nodes)),
        jobs=tuple(made),
        origin=f"{cluster} as it is now: {len(running)} jobs run, {len(made) - len(running)} wait",
        dropped=dropped.told(),
        remarks={what: count for what, count in ((UNSEEN, _unseen(nodes, runs)), (LIMITED, _limited(queue))) if count},
        started_at=observed_at,
    )
    closed = frozenset(place for place, node in enumerate(nodes) if not node.usable)
    return Snapshot(workload, running, only, begin_s, closed, told)


def _known(job: Job, index: Mapping[str, int], dropped: Tally) -> bool:
    names = expand_hostlist(job.node_list)
    if not names or any(name not in index for name in names):
        dropped.add("it runs on nodes that the cluster does not list")
        return False
    return True


def _waits(job: Job, partitions: Mapping[str, Partition], dropped: Tally) -> bool:
    if job.state is State.PENDING and job.dependency:
        dropped.add("it waits for other jobs (dependency)")
    elif job.state is State.PENDING and _beyond(job, partitions):
        dropped.add("it asks for more than its partition gives")
    elif job.state is State.PENDING:
        return True
    elif job.state is State.HELD:
        dropped.add("it is held")
    elif job.state in (State.SUBMITTING, State.UNKNOWN):
        dropped.add("it is not known to be in Slurm")
    return False


def _beyond(job: Job, partitions: Mapping[str, Partition]) -> bool:
    """Whether Slurm says that a job asks for more than its partition gives; of nodes it says so also of too few up."""
    if job.reason == "PartitionTimeLimit":
        return True
    most = [partitions[name].nodes_max for name in job.partition.split(",") if name in partitions]
    return job.reason == "PartitionNodeLimit" and all(nodes is not None and nodes < job.nodes for nodes in most)


def _place(job: Job, partitions: Mapping[str, Partition]) -> tuple[int, int, int]:
    return -_rank(job, partitions), job.submit_time, job.slurm_job_id or 0


def _rank(job: Job, partitions: Mapping[str, Partition]) -> int:
    """A job's tier and its priority as one number: no priority makes up for a tier."""
    names = (name for name in job.partition.split(",") if name in partitions)
    tier = max((partitions[name].priority_tier for name in names), default=1)
    return tier * PRIORITIES + job.priority


def _tasks(job: Job) -> int:
    """How many tasks of an array wait together; 1 for a job that is none."""
    spans = job.array_task.partition("%")[0]
    if not spans or spans.isdecimal():
        return 1
    try:
        return min(count_tasks(parse_spans(spans)), MOST_TASKS)
    except ValueError:
        return 1


def _limited(queue: Sequence[Job]) -> int:
    return sum(job.reason.startswith(("QOS", "Assoc")) for job in queue)


def _unseen(nodes: Sequence[Node], runs: Sequence[Job]) -> int:
    """On how many nodes more CPUs or GPUs are in use than by jobs that are told; uneven shares are allowed for."""
    cpus: Counter[str] = Counter()
    gpus: Counter[str] = Counter()
    for job in runs:
        for name in expand_hostlist(job.node_list):
            cpus[name] += math.ceil(job.cpus / max(1, job.nodes)) + (job.nodes > 1)
            gpus[name] += math.ceil(sum(job.gpus.values()) / max(1, job.nodes)) + (job.nodes > 1)
    return sum(
        node.cpus_alloc > cpus[node.name] or sum(node.gpus_alloc.values()) > gpus[node.name] for node in nodes
    )  # fmt: skip


def _node(node: Node) -> SimNode:
    kind = max(node.gpus, key=lambda kind: (node.gpus[kind], kind)) if node.gpus else ""
    return SimNode(
        name=node.name,
        cpus=node.cpus,
        mem_bytes=node.mem_bytes,
        gpus=sum(node.gpus.values()),
        gpu_type=kind,
        features=node.features,
        weight=node.particulars.weight,
    )


class _Maker:
    """Makes jobs of the simulation of those of the service."""

    def __init__(
        self,
        now: float,
        nodes: Sequence[Node],
        partitions: Mapping[str, Partition],
        predictor: Predictor,
        priority: Multifactor,
    ) -> None:
        self._now = now
        self._priority = priority
        gpus = [gpu for node in nodes for gpu in shared_gpus_of(node)]
        self._parts = {
            sharing: Counter(gpu.parts for gpu in gpus if gpu.sharing == sharing).most_common(1)[0][0]
            for sharing in {gpu.sharing for gpu in gpus}
        }
        self._partitions = partitions
        self._predictor = predictor

    def running(self, number: int, job: Job) -> SimJob:
        """A job that runs: what is left of it. It has at least what it has of each node."""
        already_s = max(0.0, self._now - job.start_time) if job.start_time else 0.0
        left_s = max(LEAST_S, self._limit_s(job) - already_s)
        if job.end_time:
            left_s = max(LEAST_S, job.end_time - self._now)
        guess_s = self._predictor.run_s(job, already_s)
        run_s = left_s if guess_s is None else min(left_s, max(LEAST_S, guess_s - already_s))
        made = self._job(number, job, run_s, left_s, NO_HINTS, math.floor)
        return msgspec.structs.replace(made, priority=FIRST)

    def waiting(self, number: int, job: Job, hints: Hints) -> SimJob:
        """A job that waits."""
        wall_s = self._limit_s(job)
        guess_s = self._predictor.run_s(job)
        made = self._job(number, job, wall_s if guess_s is None else min(guess_s, wall_s), wall_s, hints, math.ceil)
        since = job.eligible_time or job.submit_time
        made = msgspec.structs.replace(made, waited_s=max(0.0, self._now - since) if since else 0.0)
        others = _rank(job, self._partitions) - self._priority.points(made, 0.0)
        return msgspec.structs.replace(made, priority=others)

    def _limit_s(self, job: Job) -> float:
        if job.wall_s is not None:
            return max(LEAST_S, float(job.wall_s))
        partition = self._partitions.get(job.partition.split(",")[0])
        if partition is None or partition.wall_default_unlimited:
            return UNLIMITED_S
        return float(partition.wall_default_s or partition.wall_max_s or UNLIMITED_S)

    def _milli(self, job: Job) -> int:
        """What a job has of one GPU of each node, in thousandths."""
        share = share_of(job)
        if share is None or share.sharing not in self._parts:
            return 0
        return max(1, min(WHOLE_GPU, WHOLE_GPU * share.parts // self._parts[share.sharing]))

    def _job(
        self, number: int, job: Job, run_s: float, wall_s: float, hints: Hints, rounded: Callable[[float], int]
    ) -> SimJob:
        nodes = max(1, job.nodes)
        partition = self._partitions.get(job.partition.split(",")[0])
        gpus = rounded(sum(job.gpus.values()) / nodes)
        alone = job.particulars.oversubscribe == "NO" or (partition is not None and partition.exclusive == "NODE")
        return SimJob(
            number=number,
            submit_s=0.0,
            run_s=run_s,
            wall_s=wall_s,
            nodes=nodes,
            exclusive=alone,
            cpus_per_node=max(1, rounded(job.cpus / nodes)),
            mem_per_node_bytes=rounded(job.mem_bytes / nodes),
            gpus_per_node=gpus,
            gpu_milli=0 if gpus else self._milli(job),
            gpu_types=tuple(kind for kind in job.gpus if kind and job.gpus[kind]),
            user=job.user,
            account=job.account,
            partition=job.partition or "main",
            name=job.name,
            hints=hints,
        )

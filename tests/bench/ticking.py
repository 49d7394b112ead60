"""A live turn of the policies: 1,250 nodes, 10,000 queued jobs, policies in their process, wishes compared.

Slurm is a simulated one and takes no orders, so that what is timed is ours: the view is packed, sent to the process
of the policies, read there; gang, urgent and suspect tick; what they wish is joined, compared with the listing, and
planned. Then each policy by itself where it has most to look at: the nodes are full of jobs of one GPU each that may
all be requeued.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from hpcjobs.hooks.host import Hooks
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.observe.observer import Observer
from hpcjobs.settings import PluginSettings
from hpcjobs.slurm.simulated import SimulatedBackend
from hpcjobs.steering.past import Past
from hpcjobs.steering.runner import PolicyRunner
from hpcjobs.store.store import Store
from tests.bench.verdict import Verdict

NODES, QUEUED, TURNS = 1_250, 10_000, 9
MOST_S = 0.5
EACH_TURNS = 3
BETWEEN_S = 60
"""Longer than any policy's period."""
Plugins = Mapping[str, dict[str, Any]]
HintsOf = Callable[[int], Hints]
PLUGINS: Plugins = {"gang": {"ahead": 100}, "urgent": {"per_user": 100, "per_account": 10_000}, "suspect": {}}
ALL: Plugins = PLUGINS | {
    "backfill": {}, "binpack": {}, "data": {}, "defrag": {}, "elastic": {}, "spread": {"partitions": ["gpu"]},
    "fair": {"quotas": {"lab": 10_000, "other": 100}},
    "islands": {"islands": {str(start): f"g[{start:04}-{start + 124:04}]" for start in range(1, NODES, 125)}},
}  # fmt: skip


class Full(SimulatedBackend):
    """A cluster that is as it is."""

    def __init__(self, seen: ClusterView) -> None:
        super().__init__(seen.cluster, seen.nodes.values())
        self.seen = seen

    async def view(self, now: float) -> ClusterView:
        return msgspec.structs.replace(self.seen, asked_at=now)

    async def act(self, user: str, order: object) -> None:
        """It takes no orders: they are not what is timed."""


def full(now: int) -> ClusterView:
    """All nodes are in use, and ten thousand jobs wait; one in twenty tells the policies something."""
    nodes = {
        f"g{n:04}": Node(f"g{n:04}", "ALLOCATED", True, 128, 128, 2**41, 2**40, {"h100": 8}, {"h100": 8}, ("gpu",), ())
        for n in range(1, NODES + 1)
    }
    own = Particulars(
        user_id=1000, group="staff", submit_line="sbatch --nodes=4 --gpus-per-node=8 train.sh",
        command="/home/u/train.sh",
        tres_req="cpu=64,mem=1000G,node=4,billing=64,gres/gpu=32", tres_per_node="gres/gpu:8",
    )  # fmt: skip
    jobs = {}
    for number in range(1, QUEUED + 1):
        nodes_of = 1 + number % 16
        jobs[number] = JobRecord(
            slurm_job_id=number, user=f"u{(number - 1) // 80 % 50}", account="lab", partition="gpu", nodes=nodes_of,
            qos="normal", state=State.PENDING, raw_state="PENDING", name=f"train{number % 100}", reason="Priority",
            ntasks=nodes_of, cpus=64 * nodes_of, gpus={"h100": 8 * nodes_of}, mem_bytes=10**12, wall_s=86_400,
            submit_time=now - number, eligible_time=now - number, priority=1000 + number, workdir="/home/u/project",
            stdout=f"/home/u/project/slurm-{number}.out", stderr=f"/home/u/project/slurm-{number}.out",
            attempt=f"{number:032x}", particulars=own,
        )  # fmt: skip
    for number in range(1, NODES // 2 + 1):
        jobs[QUEUED + number] = msgspec.structs.replace(
            jobs[1], slurm_job_id=QUEUED + number, state=State.RUNNING, raw_state="RUNNING", nodes=2,
            node_list=f"g[{2 * number - 1:04}-{2 * number:04}]", start_time=now - 600, end_time=now + 60 * number,
            attempt=f"{QUEUED + number:032x}",
        )  # fmt: skip
    return ClusterView("big", float(now), jobs, nodes)


def crowded(now: int) -> ClusterView:
    """The same queue before nodes that are full of jobs of one GPU: of every other node one GPU is free."""
    seen = full(now)
    small = msgspec.structs.replace(
        seen.jobs[QUEUED + 1], nodes=1, ntasks=1, cpus=8, gpus={"h100": 1}, mem_bytes=10**10, account="other",
        particulars=msgspec.structs.replace(seen.jobs[1].particulars, tres_per_node="gres/gpu:1", requeue=True),
    )  # fmt: skip
    jobs = {number: seen.jobs[number] for number in range(1, QUEUED + 1)}
    nodes = {}
    for at, (name, node) in enumerate(seen.nodes.items()):
        count = 8 - at % 2
        for _ in range(count):
            number = len(jobs) + 1
            jobs[number] = msgspec.structs.replace(
                small, slurm_job_id=number, node_list=name, start_time=now - 5000 - number % 1000,
                end_time=now + 60 * (number % 1000), attempt=f"{number:032x}",
            )  # fmt: skip
        nodes[name] = msgspec.structs.replace(
            node, raw_state="MIXED", cpus_alloc=8 * count, mem_alloc_bytes=10**10 * count, gpus_alloc={"h100": count},
            features=(f"data:d{at % 50}",),
        )  # fmt: skip
    return msgspec.structs.replace(seen, jobs=jobs, nodes=nodes)


def crowd_of(number: int) -> Hints:
    """As hints_of; what runs may be requeued, what waits is elastic or reads data."""
    if number > QUEUED:
        return Hints(preemptible=True)
    if number % 20 == 1:
        return Hints(nodes_min=1, nodes_max=32, preemptible=True)
    return Hints(datasets=(f"d{number % 50}",)) if number % 20 == 2 else hints_of(number)


def hints_of(number: int) -> Hints:
    """Of every fortieth waiting job a gang of two, of another fortieth urgent."""
    if number % 20 or number > QUEUED:
        return Hints()
    return Hints(gang=f"g{(number - 1) // 80}", gang_size=2) if number % 40 == 0 else Hints(urgent=True)


async def _turns(seen: ClusterView, plugins: Plugins, hints: HintsOf, turns: int) -> list[float]:
    """Seconds of each turn but the first."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/jobs.db")
        store.upgrade()
        observer = Observer("big", Full(seen), store, 3600.0, 600, False)
        hooks = Hooks(
            store, [PluginSettings(name, timeout_s=10.0, settings=settings) for name, settings in plugins.items()]
        )
        await hooks.start()
        await observer.tick(time.time())
        runner = PolicyRunner(store, hooks, observer, "hpcjobs", Past(store, "big"))
        runner._hinted.known = {f"{number:032x}": hints(number) for number in seen.jobs}
        took = []
        for turn in range(turns + 1):
            observer.view = msgspec.structs.replace(seen, asked_at=time.time() + BETWEEN_S * turn)
            began = time.perf_counter()
            await runner.tick(time.time() + BETWEEN_S * turn)
            took.append(time.perf_counter() - began)
        report = runner.shown()
        wishes = sum(len(policy.actions) for policy in report.policies)
        ticks = ", ".join(f"{policy.name} {policy.took_s:.2f} s" for policy in report.policies)
        print(f"  {len(seen.jobs):,} jobs, {NODES:,} nodes: {wishes} wishes, first turn {took[0]:.2f} s,"
              f" then {statistics.median(took[1:]):.2f} s, at most {max(took[1:]):.2f} s; ticks: {ticks}",
              flush=True)  # fmt: skip
        if any(policy.failed for policy in report.policies) or (len(plugins) > 1 and not wishes):
            raise RuntimeError(f"the policies did not do their work: {report.policies}")
        await hooks.stop()
        store.close()
    return took[1:]


def run() -> list[Verdict]:
    """Time it."""
    now = int(time.time())
    took = asyncio.run(_turns(full(now), PLUGINS, hints_of, TURNS))
    verdicts = [
        Verdict("policy, seconds of a live turn over 10,000 queued jobs", statistics.median(took), MOST_S, most=True)
    ]
    seen = crowded(now)
    for name, settings in ALL.items():
        took = asyncio.run(_turns(seen, {name: settings}, crowd_of, EACH_TURNS))
        title = f"policy, seconds of a live turn of {name}, {len(seen.jobs):,} jobs"
        verdicts.append(Verdict(title, statistics.median(took), MOST_S, most=True))
    return verdicts

"""A live turn of the policies: 1,250 nodes, 10,000 queued jobs, three policies in their process, wishes compared.

Slurm is a simulated one and takes no orders, so that what is timed is ours: the view is packed, sent to the process
of the policies, read there; gang, urgent and suspect tick; what they wish is joined, compared with the listing, and
planned.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from hpcjobs.hooks.host import Hooks
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.observe.observer import Observer
from hpcjobs.settings import PluginSettings
from hpcjobs.slurm.simulated import SimulatedBackend
from hpcjobs.steering.runner import PolicyRunner
from hpcjobs.store.store import Store
from tests.bench.verdict import Verdict

NODES, QUEUED, TURNS = 1_250, 10_000, 9
MOST_S = 0.5
PLUGINS = {"gang": {"ahead": 100}, "urgent": {"per_user": 100, "per_account": 10_000}, "suspect": {}}


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


def hints_of(number: int) -> Hints:
    """Of every fortieth waiting job a gang of two, of another fortieth urgent."""
    if number % 20 or number > QUEUED:
        return Hints()
    return Hints(gang=f"g{(number - 1) // 80}", gang_size=2) if number % 40 == 0 else Hints(urgent=True)


async def _turns() -> list[float]:
    now = int(time.time())
    seen = full(now)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/jobs.db")
        store.upgrade()
        observer = Observer("big", Full(seen), store, 3600.0, 600, False)
        hooks = Hooks(
            store, [PluginSettings(name, timeout_s=10.0, settings=settings) for name, settings in PLUGINS.items()]
        )
        await hooks.start()
        await observer.tick(time.time())
        runner = PolicyRunner(store, hooks, observer, "hpcjobs")
        runner._hints = {f"{number:032x}": hints_of(number) for number in seen.jobs}
        took = []
        for turn in range(TURNS + 1):
            observer.view = msgspec.structs.replace(seen, asked_at=time.time() + 20 * turn)
            began = time.perf_counter()
            await runner.tick(time.time() + 20 * turn)
            took.append(time.perf_counter() - began)
        report = runner.shown()
        wishes = sum(len(policy.actions) for policy in report.policies)
        print(f"  {len(seen.jobs):,} jobs, {NODES:,} nodes: {wishes} wishes, first turn {took[0]:.2f} s,"
              f" then {statistics.median(took[1:]):.2f} s, at most {max(took[1:]):.2f} s")  # fmt: skip
        if not wishes or any(policy.failed for policy in report.policies):
            raise RuntimeError(f"the policies did not do their work: {report.policies}")
        await hooks.stop()
        store.close()
    return took[1:]


def run() -> list[Verdict]:
    """Time it."""
    took = asyncio.run(_turns())
    return [
        Verdict("policy, seconds of a live turn over 10,000 queued jobs", statistics.median(took), MOST_S, most=True)
    ]

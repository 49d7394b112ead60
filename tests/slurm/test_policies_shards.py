"""Shares of GPUs on real Slurm, and what policies make of them: a controller and nodes of our own, in a container."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import gpus_of_gres
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.shards import Gpu, Share, share_of, shared_gpus_of
from hpcjobs.sbatch.asks import ask_of
from hpcjobs.slurm.cluster_commands import node_words
from hpcjobs.slurm.delta import Listing
from hpcjobs.slurm.openapi import Reply, decode, record_of
from hpcjobs.slurm.openapi_cluster import node_of
from hpcjobs.slurm.printed_nodes import blocks_of
from hpcjobs.slurm.printed_nodes import node_of as printed_node_of
from hpcjobs_plugins.policies import binpack
from hpcjobs_plugins.policies.board import Board

from .conftest import Stack
from .scratch import Scratch

PORTS = 32_400
NODES = {
    "s1": "gpu:h100:4,shard:32",
    "s2": "gpu:h100:4,shard:32",
    "s3": "gpu:a100:2,gpu:h100:2,shard:16",
    "s4": "gpu:2,shard:6",
    "s5": "gpu:h100:2,mps:200",
}
CONF = "\n".join(
    [
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=10",
        "GresTypes=gpu,shard,mps",
        "SlurmdParameters=config_overrides",
        "SchedulerParameters=bf_interval=1",
        *(
            f"NodeName={name} NodeHostname=slurmctld NodeAddr=127.0.0.1 Port={PORTS + place} CPUs=32 Sockets=1 "
            f"CoresPerSocket=32 RealMemory=4000 Gres={gres}"
            for place, (name, gres) in enumerate(NODES.items())
        ),
        "PartitionName=p Nodes=ALL Default=YES",
    ]
)
GRES = """AutoDetect=off
NodeName=s[1-2] Name=gpu Type=h100 File=/dev/fakegpu[0-3]
NodeName=s[1-2] Name=shard Count=32
NodeName=s3 Name=gpu Type=a100 File=/dev/fakegpu[0-1]
NodeName=s3 Name=gpu Type=h100 File=/dev/fakegpu[2-3]
NodeName=s3 Name=shard Count=16
NodeName=s4 Name=gpu File=/dev/fakegpu[0-1]
NodeName=s4 Name=shard Count=6
NodeName=s5 Name=gpu Type=h100 File=/dev/fakegpu[0-1]
NodeName=s5 Name=mps Count=200
"""
PYTHON = "/opt/hpcjobs/venv/bin/python"
LIST = (
    "import sys, msgspec; from hpcjobs.slurm.pyslurm_listing import changes; "
    "sys.stdout.buffer.write(msgspec.json.encode(changes(0)))"
)


@pytest.fixture
def shared(stack: Stack) -> Iterator[Scratch]:
    """A controller with nodes whose GPUs are shared."""
    stack.run("slurmctld", "for n in 0 1 2 3; do [ -e /dev/fakegpu$n ] || mknod -m 666 /dev/fakegpu$n c 1 3; done")
    made = Scratch(stack, daemon=True, conf=CONF, topology=("gres.conf", GRES))
    try:
        made.man(*NODES)
        yield made
    finally:
        made.end()


def submit(shared: Scratch, *options: str) -> int:
    words = ["sbatch", "--parsable", "-o", "/dev/null", *options, "--wrap", "sleep 600"]
    return int(shared.command(shlex.join(words), check=True))


def jobs_of(shared: Scratch) -> dict[int, JobRecord]:
    """Every job. GPUs given as a whole are read from the request: without slurmdbd no controller counts them."""
    told = decode(shared.command("scontrol show jobs --json").encode(), Reply)
    found = {}
    for job in map(record_of, told.jobs):
        gpus = gpus_of_gres(job.particulars.tres_per_node)
        found[job.slurm_job_id] = msgspec.structs.replace(job, gpus={kind: n * job.nodes for kind, n in gpus.items()})
    return found


def nodes_of(shared: Scratch) -> dict[str, Node]:
    told = decode(shared.command("scontrol show nodes --json").encode(), Reply)
    return {node.name: node_of(node) for node in told.nodes}


def view_of(shared: Scratch) -> ClusterView:
    return ClusterView("scratch", time.time(), jobs_of(shared), nodes_of(shared))


def start(shared: Scratch, *asked: tuple[str, ...]) -> list[str]:
    """Have jobs run, in order; returns where each does."""
    numbers = [submit(shared, *options) for options in asked]
    give_up = time.monotonic() + 60
    while late := [job for job in map(jobs_of(shared).get, numbers) if job is None or job.state is not State.RUNNING]:
        assert time.monotonic() < give_up, late
        time.sleep(0.2)
    there = jobs_of(shared)
    return [there[number].node_list for number in numbers]


def by_pyslurm(shared: Scratch) -> Listing:
    """What the agent lists, in the service's container."""
    conf = f"/tmp/{shared.dir.rpartition('/')[2]}.conf"
    text = shared.run(f"sed 's/(127.0.0.1)/(slurmctld)/' {shared.dir}/slurm.conf")
    shared.stack.run("hpcjobs", f"printf %s {shlex.quote(text)} >{conf}; touch {conf}")
    environment = f"SLURM_CONF={conf} PYSLURM_DISABLE_AUTO_INIT=1"
    try:
        return msgspec.json.decode(shared.stack.said("hpcjobs", f"{environment} {PYTHON} -c '{LIST}'"), type=Listing)
    finally:
        shared.stack.run("hpcjobs", f"rm -f {conf}")


def gpus(node: Node) -> list[Any]:
    """What is in use of each GPU; "whole" where it is given so."""
    return ["whole" if gpu.whole else gpu.used for gpu in shared_gpus_of(node)]


def test_every_way_sees_what_is_in_use_of_each_gpu_and_what_jobs_ask_for(shared: Scratch) -> None:
    assert shared_gpus_of(nodes_of(shared)["s1"]) == (Gpu("h100", "shard", 8),) * 4
    start(
        shared,
        ("-w", "s1", "--gres=shard:3"), ("-w", "s1", "--gres=shard:8"), ("-w", "s1", "--gres=gpu:1"),
        ("-w", "s3", "--gres=shard:2"), ("-w", "s3", "--gres=gpu:h100:1"), ("-w", "s3", "--gres=shard:h100:1"),
        ("-w", "s4", "--gres=gpu:1"), ("-w", "s4", "--gres=shard"), ("-w", "s5", "--gres=mps:30"),
        ("-w", "s2", "-n2", "--tres-per-task=gres/shard=2"), ("-w", "s2,s4", "-N2", "--gres=shard:1"),
    )  # fmt: skip
    seen = nodes_of(shared)
    assert {name: gpus(node) for name, node in seen.items()} == {
        "s1": [3, 8, "whole", 0],
        "s2": [5, 0, 0, 0],
        "s3": [2, 0, "whole", 1],
        "s4": ["whole", 2],
        "s5": [30, 0],
    }
    assert [gpu.kind for gpu in shared_gpus_of(seen["s3"])] == ["a100", "a100", "h100", "h100"]
    jobs = jobs_of(shared)
    assert [share_of(jobs[number]) for number in sorted(jobs)] == [
        Share("shard", 3), Share("shard", 8), None, Share("shard", 2), None, Share("shard", 1, "h100"), None,
        Share("shard", 1), Share("mps", 30), Share("shard", 4), Share("shard", 1),
    ]  # fmt: skip
    printed = blocks_of(shared.command("env SLURM_TIME_FORMAT=%s scontrol -d show node"))
    for name, block in printed.items():
        assert shared_gpus_of(printed_node_of(block, lambda _: None)) == shared_gpus_of(seen[name])
    if shared.stack.backend == "pyslurm":
        listing = by_pyslurm(shared)
        assert {node.name: shared_gpus_of(node) for node in listing.nodes} == {
            name: shared_gpus_of(node) for name, node in seen.items()
        }
        assert {job.slurm_job_id: share_of(job) for job in listing.jobs} == {
            number: share_of(job) for number, job in jobs.items()
        }


ASKS = (
    "gpu:1", "gpu:2", "gpu:h100:1", "gpu:a100:2", "shard:1", "shard:3", "shard:5", "shard:8", "shard:h100:4", "mps:70",
    "mps:80",
)  # fmt: skip


def test_a_job_finds_room_in_thought_where_slurm_starts_it_and_nowhere_else(shared: Scratch) -> None:
    start(
        shared,
        ("-w", "s1", "--gres=shard:4"), ("-w", "s1", "--gres=shard:5"), ("-w", "s1", "--gres=gpu:2"),
        ("-w", "s2", "--gres=gpu:3"), ("-w", "s2", "--gres=shard:1"), ("-w", "s3", "--gres=shard:1"),
        ("-w", "s3", "--gres=gpu:h100:1"), ("-w", "s4", "--gres=shard:1"), ("-w", "s5", "--gres=mps:30"),
    )  # fmt: skip
    asked = {ask: submit(shared, "--hold", f"--gres={ask}") for ask in ASKS}
    seen = view_of(shared)
    board = Board.of(seen, seen.nodes)
    thought = {ask: sorted(board.roomy(ask_of(seen.jobs[number], seen))) for ask, number in asked.items()}
    shared.command("scancel --state=PENDING --user=root")
    begun: dict[str, list[str]] = {ask: [] for ask in ASKS}
    for ask in ASKS:
        for name in NODES:
            if shared.command(f"salloc -Q -I1 -w {name} --gres={ask} echo begun 2>/dev/null").strip() == "begun":
                begun[ask].append(name)
                give_up = time.monotonic() + 30
                while gpus(nodes_of(shared)[name]) != gpus(seen.nodes[name]):
                    assert time.monotonic() < give_up
                    time.sleep(0.1)
    assert thought == begun
    assert begun["gpu:1"]
    assert begun["shard:8"] != begun["shard:1"]
    assert (begun["mps:70"], begun["mps:80"]) == (["s5"], [])


def test_binpack_sorts_nodes_by_what_is_left_of_their_gpus_and_slurm_takes_them_in_that_order(shared: Scratch) -> None:
    """Halves and two whole GPUs are asked for alike; s1 has two, which a half would break, s2 half a GPU and one."""
    whole = [("-w", name, "--gres=gpu:2") for name in ("s1", "s2", "s4", "s5")]
    start(shared, *whole, ("-w", "s2", "--gres=shard:4"))
    for _ in range(3):
        submit(shared, "--hold", "--gres=shard:4")
    seen = view_of(shared)
    assert seen.nodes["s1"].gpus_alloc == seen.nodes["s2"].gpus_alloc == {"h100": 2}
    weighed = list(binpack.tick(binpack.Settings(), seen, seen.asked_at))
    assert [(one.nodes, one.weight) for one in weighed] == [(("s1",), 10), (("s3",), 20)]
    for one in weighed:
        shared.command(shlex.join(node_words(NodeOrder(one.nodes, weight=1 + one.weight))), check=True)
    told = nodes_of(shared)
    assert {name: node.particulars.weight for name, node in told.items()} == {
        "s1": 11, "s2": 1, "s3": 21, "s4": 1, "s5": 1,
    }  # fmt: skip
    assert start(shared, ("--gres=shard:4",), ("--gres=gpu:2",), ("--gres=gpu:2",)) == ["s2", "s1", "s3"]

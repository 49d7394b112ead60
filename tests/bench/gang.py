"""Gangs of 1,024 GPUs on 1,250 nodes with a real slurmctld and a slurmd for each node.

Ten thousand jobs wait behind a job that holds one node; policies gang, urgent and suspect are on. A gang of eight
members of sixteen nodes, and one of 128 members of one node, start beside them, and a job of 128 nodes without a gang
as well: the ratio says what the gang's way costs. Then a node of a running gang dies, and the gang becomes whole again.
"""

from __future__ import annotations

import os
import re
import statistics
import time
import uuid
from typing import Any, NamedTuple

import httpx

from hpcjobs.client import Client
from hpcjobs.model.plugin import PluginSet
from hpcjobs.settings import PluginSettings
from tests.bench.many import GPUS, HOST, Many
from tests.bench.verdict import Verdict

NODES = int(os.environ.get("HPCJOBS_MANY_NODES", "1250"))
QUEUED = 8 * NODES
GANG_NODES = NODES // 10 + 3
SLEEP = "#!/bin/sh\nsleep {}\n"
PLUGINS: dict[str, dict[str, Any]] = {"gang": {}, "urgent": {}, "suspect": {}}
ROUNDS = 3
LOOK_S = 60.0
MOST_TURN_S = 0.5
MOST_RATIO = 5.0
MOST_APART_S = 5.0


class Turns(NamedTuple):
    """The service's counters of its policies: turns, their seconds, and of these the seconds in orders."""

    made: float
    took_s: float
    orders_s: float


class Started(NamedTuple):
    """How a gang started: seconds from the last submission to the last start, and between the first and the last."""

    after_s: float
    apart_s: float


def _turns(many: Many) -> Turns:
    text = httpx.get(f"{many.url}/metrics", headers={"Authorization": f"Bearer {many.token('operator')}"}).text
    found = {name: float(value) for name, value in re.findall(r"^hpcjobs_policy_(\w+)_total{.*} (\S+)$", text, re.M)}
    return Turns(found["turns"], found["turn_seconds"], found["order_seconds"])


def _watched(many: Many) -> list[float]:
    """Seconds of each turn, without the time of orders, over a while: looked at more often than turns come."""
    took, before, end = [], _turns(many), time.monotonic() + LOOK_S
    while time.monotonic() < end:
        time.sleep(0.3)
        after = _turns(many)
        if after.made > before.made:
            own_s = after.took_s - before.took_s - (after.orders_s - before.orders_s)
            took.append(own_s / (after.made - before.made))
            before = after
    return took


def _steer(many: Many) -> None:
    with Client(many.url, many.token("admin")) as admin:
        admin.change_plugins(
            PluginSet(tuple(PluginSettings(name, timeout_s=10.0, settings=own) for name, own in PLUGINS.items()))
        )


def _backlog(many: Many) -> None:
    """A job that holds one whole node, and behind it those that want all of them."""
    many.run("login", "su - bob -c \"sbatch -N1 --exclusive -t 600 --wrap 'sleep 36000'\"")
    rate = many.pyslurm_loop(QUEUED, "backlog", nodes=NODES, ntasks=NODES, nice=100_000)
    print(f"  {QUEUED} jobs wait ({rate:.0f} a second)", flush=True)
    give_up = time.monotonic() + 300
    while int(many.said("slurmctld", "squeue -h -t pending | wc -l")) < QUEUED:
        if time.monotonic() > give_up:
            raise RuntimeError("the backlog is not there")
        time.sleep(1)


def _asked(nodes: int, name: str, wall_s: int, **hints: Any) -> dict[str, Any]:
    resources = {"nodes": nodes, "gpus_per_node": GPUS, "wall_s": wall_s, "mem_per_node_bytes": 2**30}
    return {"name": name, "resources": resources, "hints": hints}


def _starts(many: Many, numbers: list[str], within_s: float = 600) -> list[float]:
    """When jobs started, in Unix seconds, as soon as all run."""
    give_up = time.monotonic() + within_s
    ask = f"squeue -h -j {','.join(numbers)} -o '%T %S'"
    while True:
        lines = [line.split() for line in many.run("slurmctld", ask, check=False).splitlines()]
        if len(lines) == len(numbers) and all(state == "RUNNING" for state, _ in lines):
            return [time.mktime(time.strptime(at, "%Y-%m-%dT%H:%M:%S")) for _, at in lines]
        if time.monotonic() > give_up:
            raise RuntimeError(f"not all of {len(numbers)} jobs run after {within_s:g} s: {lines}")
        time.sleep(0.2)


def _submitted(many: Many, body: dict[str, Any]) -> str:
    answer = many.submit(SLEEP.format(3600), **body)
    give_up = time.monotonic() + 120
    while not answer["slurm_job_id"]:
        if time.monotonic() > give_up:
            raise RuntimeError(f"no number: {answer}")
        time.sleep(0.2)
        answer = many.job(answer["id"])
    return str(answer["slurm_job_id"])


def _gang(many: Many, members: int, nodes: int) -> tuple[Started, list[str]]:
    """One gang from its first submission to its last start."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    hints = {"gang": name, "gang_size": members}
    numbers = [_submitted(many, _asked(nodes, name, 3600, **hints)) for _ in range(members)]
    last = time.time()
    starts = _starts(many, numbers)
    return Started(max(starts) - last, max(starts) - min(starts)), numbers


def _plain(many: Many, nodes: int) -> tuple[float, str]:
    """One job of so many nodes by sbatch: seconds from its submission to its start."""
    words = f"sbatch --parsable -N{nodes} --gpus-per-node={GPUS} --mem=1G -t 60 --wrap 'sleep 3600'"
    began = time.time()
    number = many.run("login", f'su - alice -c "{words}"').strip()
    return _starts(many, [number])[0] - began, number


def _ended(many: Many, numbers: list[str]) -> None:
    many.run("slurmctld", f"scancel {' '.join(numbers)}")
    give_up = time.monotonic() + 300
    while many.run("slurmctld", f"squeue -h -t running,completing -j {','.join(numbers)}", check=False).strip():
        if time.monotonic() > give_up:
            raise RuntimeError("jobs do not end")
        time.sleep(0.5)


def _healed(many: Many, numbers: list[str]) -> None:
    """A node of a running gang dies: how long until Slurm sees it, and until the gang is whole on other nodes."""
    node = many.said("slurmctld", f"scontrol show hostnames $(squeue -h -j {numbers[0]} -o %N) | head -n 1").strip()
    began = time.monotonic()
    many.kill_slurmd(node)
    give_up = began + 600
    while not many.run("slurmctld", f"squeue -h -j {numbers[0]} -t pending", check=False).strip():
        if time.monotonic() > give_up:
            raise RuntimeError(f"{node} is not seen to be dead")
        time.sleep(0.3)
    seen = time.monotonic()
    _starts(many, numbers)
    print(f"  a node dies: seen after {seen - began:.0f} s, the gang is whole {time.monotonic() - seen:.1f} s later")
    many.start_slurmd(node)


def run() -> list[Verdict]:
    """All of it; some ten minutes."""
    many = Many(NODES)
    try:
        many.wait_ready()
        _backlog(many)
        _steer(many)
        took = _watched(many)
        print(f"  {len(took)} turns over {QUEUED} jobs and {NODES} nodes: median {statistics.median(took):.2f} s,"
              f" at most {max(took):.2f} s", flush=True)  # fmt: skip
        gangs: list[Started] = []
        plain_s = []
        for number in range(ROUNDS):
            waited_s, plain = _plain(many, GANG_NODES)
            _ended(many, [plain])
            eight, members = _gang(many, 8, GANG_NODES // 8)
            print(f"  round {number}: sbatch {waited_s:.1f} s; gang of 8 members {eight.after_s:.1f} s,"
                  f" starts {eight.apart_s:.0f} s apart", flush=True)  # fmt: skip
            if number == ROUNDS - 1:
                _healed(many, members)
            _ended(many, members)
            gangs.append(eight)
            plain_s.append(waited_s)
        single, members = _gang(many, GANG_NODES, 1)
        print(f"  gang of {GANG_NODES} x 1 node {single.after_s:.1f} s, starts {single.apart_s:.0f} s apart")
        _ended(many, members)
        gigabytes = {name: many.memory_bytes(name) / 1e9 for name in ("bench", "slurmctld", HOST)}
        print("  memory: " + ", ".join(f"{name} {size:.1f} GB" for name, size in gigabytes.items()))
    finally:
        many.close()
    ratio = statistics.median(gang.after_s for gang in gangs) / max(1.0, statistics.median(plain_s))
    apart_s = max(gang.apart_s for gang in [*gangs, single])
    return [
        Verdict("gang, seconds of a turn", statistics.median(took), MOST_TURN_S, most=True),
        Verdict("gang, start against a plain job", ratio, MOST_RATIO, most=True),
        Verdict("gang, seconds between its members' starts", apart_s, MOST_APART_S, most=True),
    ]

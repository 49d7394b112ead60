"""The simulator's speed, and figures of the literature that take too long for a unit test.

100,000 jobs of an LLM mix, at node and GPU level, on 10,000 GPUs. How long that takes must not depend on how long the
queue is: the same is done with a queue ten times as long. And what a policy's tick costs beside the policy itself.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steering import Action
from hpcjobs.sim import metrics
from hpcjobs.sim.counts import Counts
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.generate import Plan, generate
from hpcjobs.sim.scale import to_demand, window
from hpcjobs.sim.schedulers import Easy
from hpcjobs.sim.steered import Ticking
from hpcjobs.sim.traces.lines import lines_of
from hpcjobs.sim.traces.swf import read_swf
from hpcjobs.sim.workload import SimNode, Workload
from tests.bench import packing, ticking
from tests.bench.verdict import Verdict

T = TypeVar("T")
JOBS = 100_000
NODES = tuple(
    SimNode(name=f"g{number:04}", cpus=128, mem_bytes=2**41, gpus=8, gpu_type="h100") for number in range(1, 1251)
)
DEPTH = 100
DEMAND = 0.95
MOST_S = 60.0
QUEUE = 10_000
SHORT = 2_000
LONGER = 10
MOST_GROWTH = 2.0
MOST_TICK_S = 0.1
THETA = "shared/traces/theta_2023_feb_dec.swf.gz"
FEBRUARY = 1_675_209_600


def run() -> list[Verdict]:
    """All of it, without a cluster."""
    return [_speed(), _growth(), _tick(), *ticking.run(), *_theta(), *packing.run()]


def _timed(what: Callable[[], T]) -> tuple[T, float, float]:
    """What comes of it, and the seconds that it took: by the clock, and of a processor."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    done = what()
    return done, time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_utime - used


def _speed() -> Verdict:
    workload = generate(NODES, Plan(jobs=JOBS, demand=DEMAND), seed=1)
    result, wall_s, cpu_s = _timed(lambda: simulate(workload, Easy(DEPTH)))
    figures = metrics.summary(result)
    print(f"  {len(workload.jobs)} jobs, demand {figures.demand:.2f}: {figures}")
    return Verdict("policy, 100,000 jobs on 10,000 GPUs, in s", wall_s, MOST_S, most=True, note=f"{cpu_s:.1f} s of CPU")


def _at_once(jobs: int) -> Workload:
    """Jobs that are all submitted at once."""
    made = generate(NODES, Plan(jobs=jobs, demand=DEMAND), seed=2)
    return msgspec.structs.replace(made, jobs=tuple(msgspec.structs.replace(job, submit_s=0.0) for job in made.jobs))


def _growth() -> Verdict:
    queues = [_at_once(SHORT), _at_once(SHORT * LONGER)]
    cpu_s = [_timed(lambda queue=queue: simulate(queue, Easy(DEPTH)))[2] / len(queue.jobs) for queue in queues]
    return Verdict(
        f"policy, CPU of a job in a queue {LONGER} times as long", cpu_s[1] / cpu_s[0], MOST_GROWTH, most=True,
        note=f"{cpu_s[0] * 1e6:.0f} and {cpu_s[1] * 1e6:.0f} us",
    )  # fmt: skip


def _tick() -> Verdict:
    """What a tick costs that wishes nothing, with 10,000 jobs in the queue."""
    ticks = 0

    def tick(view: ClusterView, now: float) -> list[Action]:
        nonlocal ticks
        ticks += 1
        return []

    workload = _at_once(QUEUE)
    last_s = 4 * 3600.0
    plain_s = _timed(lambda: simulate(workload, Easy(DEPTH), until_s=last_s))[2]
    ticked_s = _timed(lambda: simulate(workload, Easy(DEPTH), policies=[Ticking("no", tick, 10.0)], until_s=last_s))[2]
    each_s = (ticked_s - plain_s) / ticks
    note = f"{each_s * 1e3:.2f} ms"
    return Verdict("policy, a tick over 10,000 queued jobs, in s", each_s, MOST_TICK_S, most=True, note=note)


def _theta() -> list[Verdict]:
    path = next((found for parent in Path(__file__).parents if (found := parent / THETA).is_file()), None)
    if path is None:
        print(f"  no {THETA}: left out")
        return []
    made = read_swf(lines_of(path), "Theta", stretch_limits=True)
    february = window(made, FEBRUARY - (made.started_at or 0.0))
    dense = to_demand(february, 1.09)
    result = simulate(dense, Easy(), space=Counts(len(made.nodes)))
    return [Verdict("policy, Theta at demand 1.09, allocation of EASY", metrics.allocation_rate(result), 0.97)]

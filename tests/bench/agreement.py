"""How near the simulator comes to Slurm: traces on a little cluster of its own, and the same simulated."""

from __future__ import annotations

import os

import docker

from hpcjobs.sim.agreement import Agreement, table
from tests.bench.verdict import Verdict
from tests.slurm.replay import compared, trace
from tests.slurm.twin import Twin

SEEDS = range(1, 4)
MOST_OFF = 0.05
MOST_S = 900


def run() -> list[Verdict]:
    """Each seed on a cluster that has just begun."""
    engine = docker.from_env(timeout=120)
    image = f"hpcjobs/slurm:26.05{os.environ.get('HPCJOBS_IMAGE_SUFFIX', '')}"
    found: dict[str, Agreement] = {}
    for seed in SEEDS:
        twin = Twin(engine, image)
        try:
            asked = trace(seed)
            found[f"seed {seed}"] = compared(asked, twin.replay(asked, MOST_S))
        finally:
            twin.end()
    print(table(found))
    spans = max(abs(one.makespan_off) for one in found.values())
    orders = max(one.order_off for one in found.values())
    return [
        Verdict("agreement, makespan, the furthest off", spans, MOST_OFF, most=True),
        Verdict("agreement, order of starts, the furthest off", orders, MOST_OFF, most=True),
    ]

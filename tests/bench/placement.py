"""A job of 1,024 GPUs is placed on a half-full fabric of 10,000: how long that takes, and what it is good for.

Slurm's own order is what it does with the tree that this plugin writes for it (default.py); what it does without a
topology stands beside it. The second fabric is real: the access, pod and core switches of a cluster that Alibaba has
published (../shared/traces, where it is there).
"""

from __future__ import annotations

import csv
import gzip
import random
import statistics
import time
from pathlib import Path

from hpcjobs_plugins.topology.fabric import Endpoint, Fabric, Host, Network, Role, Site, Switch, Trunk
from hpcjobs_plugins.topology.placement.default import Slurm
from hpcjobs_plugins.topology.placement.layout import Kind
from hpcjobs_plugins.topology.placement.planning import Plan, plan
from hpcjobs_plugins.topology.placement.request import Objective, Request
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from tests.bench.verdict import Verdict

SHAPE = Shape(
    hosts=1250, hosts_per_leaf=32, spines=32, cores=512, pods=5, rails=8, rail_optimised=True, gbps=400.0
)  # leaves 1:1, spines 4:1
JOB = Request.parse("tp=8,pp=8,dp=16")
SEEDS = range(10)
BUSY = 0.5
MOST_S = 1.0
LEAST_CUT = 30.0
CLOS = "shared/traces/lingjun_topo.csv.gz"


def real_clos() -> Site | None:
    """Hosts, access, pod and core switches as published; names of access switches are those of a pod."""
    path = next((parent / CLOS for parent in Path(__file__).resolve().parents if (parent / CLOS).exists()), None)
    if path is None:
        return None
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    hosts: dict[str, Host] = {}
    tiers: dict[str, int] = {}
    trunks: set[tuple[str, str]] = set()
    for number, row in enumerate(rows, start=1):
        leaf, pod, core = f"{row['PSW']}-{row['ASW']}", row["PSW"], row["DSW"]
        tiers |= {leaf: 1, pod: 2, core: 3}
        trunks |= {(leaf, pod), (pod, core)}
        name = f"h{number:04}"
        hosts[name] = Host(name, Role.COMPUTE, (Endpoint(row["ip"][:16], 1, 0, leaf, number),))
    switches = {name: Switch(name, name, name, tier) for name, tier in sorted(tiers.items())}
    cables = tuple(Trunk(a, 1, b, 1) for a, b in sorted(trunks))
    return Site((Fabric("clos", Network.ETHERNET, switches, hosts, cables),))


def _plans(site: Site, objective: Objective, slurm: Slurm) -> tuple[list[Plan], list[float]]:
    """One plan a seed, and the seconds that each took."""
    names = list(site.fabrics[0].hosts)
    plans, took_s = [], []
    for seed in SEEDS:
        usable = random.Random(seed).sample(names, round(len(names) * (1 - BUSY)))
        began = time.perf_counter()
        plans.append(plan(site, usable, JOB, objective, slurm=slurm))
        took_s.append(time.perf_counter() - began)
    return plans, took_s


def _shown(what: str, slurm: Slurm, plans: list[Plan], took_s: list[float]) -> None:
    def mean(kind: Kind, name: str, when: str) -> float:
        return statistics.fmean(getattr(getattr(one, when).of(kind), name) for one in plans)

    columns = [
        f"{title} {mean(kind, name, 'before'):.2f} -> {mean(kind, name, 'after'):.2f}"
        for title, kind, name in (
            ("pipeline hops", Kind.PIPELINE, "mean_hops"),
            ("ring hops", Kind.DATA, "mean_hops"),
            ("rings over spines", Kind.DATA, "over_spines"),
        )
    ]
    cost = [statistics.fmean(getattr(one, when).cost for one in plans) for when in ("before", "after")]
    print(
        f"  {what}, {plans[0].objective} against topology/{slurm}: {', '.join(columns)}, "
        f"cost {cost[0]:.2f} -> {cost[1]:.2f}; {statistics.median(took_s):.2f} s, at most {max(took_s):.2f} s"
    )


def run() -> list[Verdict]:
    """Both fabrics, each objective, against Slurm with a tree and without."""
    twin = fat_tree(SHAPE)
    fabric = twin.fabrics[0]
    gpus = len(fabric.hosts) * JOB.gpus
    print(f"  {JOB.world:,} ranks on a fabric of {gpus:,} GPUs, {len(fabric.switches)} switches, "
          f"{len(fabric.trunks):,} cables between them; {BUSY:.0%} busy, {len(SEEDS)} seeds")  # fmt: skip
    slowest, cuts = 0.0, []
    for objective in Objective:
        for slurm in (Slurm.TREE, Slurm.FLAT):
            plans, took_s = _plans(twin, objective, slurm)
            _shown("twin", slurm, plans, took_s)
            slowest = max(slowest, *took_s)
            if (objective, slurm) == (Objective.PIPELINE, Slurm.TREE):
                hops = [
                    (one.before.of(Kind.PIPELINE).mean_hops, one.after.of(Kind.PIPELINE).mean_hops) for one in plans
                ]
                cuts = [100 * (1 - after / before) for before, after in hops]
    verdicts = [
        Verdict("placement, seconds of the slowest", slowest, MOST_S, most=True),
        Verdict("placement, % of pipeline hops cut, worst seed", min(cuts), LEAST_CUT, note="against topology/tree"),
    ]
    site = real_clos()
    if site is None:
        print(f"  {CLOS} is not there: the real fabric is left out")
        return verdicts
    for objective in Objective:
        for slurm in (Slurm.TREE, Slurm.FLAT):
            _shown("real Clos", slurm, *_plans(site, objective, slurm))
    return verdicts

"""Where the GPU time of 10,412 GPUs goes, with Slurm as it comes and with each of our policies: docs/UTILISATION.md.

First the whole fleet once, Slurm as it comes beside what is best here; then one pool of it (3,456 A100, the only one
in which three of the largest jobs run at a time), policy by policy and under other assumptions, mean over seeds. Which
policies are together was chosen with seeds 1 to 3; what is shown is of others.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from hpcjobs.cli.simulate.policies import Steering
from hpcjobs.sim import metrics
from hpcjobs.sim.cases import Case, Named, scheduler_of, space_of
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.parts import NAMES, Parts, parts_of
from hpcjobs.sim.workload import Workload
from tests.bench.scenario import DAY_S, TEAMS, Files, Scenario, divided, files, offered, whole
from tests.bench.verdict import Verdict

SEEDS = (11, 12, 13)
POOL = "8 x A100-SXM4-80GB"
WARM_S = DAY_S
PERIOD_S = 120.0
PERIOD_WHOLE_S = 300.0
EASY = Named("easy", {"depth": 100})
PER_1000_NODE_DAYS = 6.5
REPAIR_S = 4 * 3600.0
REQUEUE_S = 121.0
FAILURES = Failures(per_1000_node_days=PER_1000_NODE_DAYS, repair_s=REPAIR_S)
LEMONS = msgspec.structs.replace(FAILURES, lemons=0.02, lemon_failures=0.3)
"""The same number of failures, of which some nodes have more than others."""
OFTEN = msgspec.structs.replace(LEMONS, per_1000_node_days=10 * PER_1000_NODE_DAYS)
"""So many that nodes fail again within the days that are simulated."""
TWICE = 2.0


class Row(NamedTuple):
    """One way to run a pool.

    Attributes:
        name: What it is called.
        policies: Policies, in their order.
        whole: Whether a gang is one job.
        apart: Whether each team has nodes of its own.
        placement: How nodes are chosen, one of sim/cases.py.
        scheduler: Who starts jobs.
    """

    name: str
    policies: tuple[Named, ...] = ()
    whole: bool = False
    apart: bool = False
    placement: str = "order"
    scheduler: Named = EASY


GANG, BINPACK, ELASTIC, FAIR, BACKFILL, SUSPECT = (
    Named(name) for name in ("gang", "binpack", "elastic", "fair", "backfill", "suspect")
)
"""Policies with their defaults; quotas of FAIR are even."""
ONCE_FAILED = Named("suspect", {"suspect_at": 0.5})
APART = Row("Slurm, nodes divided among teams", apart=True)
STOCK = Row("Slurm, one pool")
ONE = Row("gangs as one job", whole=True)
PACKED = ONE._replace(name="+ binpack", policies=(BINPACK,))
OURS = ONE._replace(name="+ elastic", policies=(BINPACK, ELASTIC))
LENT = OURS._replace(name="+ fair: quotas, lent", policies=(BINPACK, ELASTIC, FAIR))
ROWS = (APART, STOCK, ONE, PACKED, OURS, LENT)
"""Each adds to the one before it."""
ASIDE = (
    STOCK._replace(name="Slurm, by its own two schedulers", scheduler=Named("slurm")),
    STOCK._replace(name="gangs by policy gang", policies=(GANG,)),
    STOCK._replace(name="the same, one gang at a time", policies=(Named("gang", {"ahead": 1}),)),
    ONE._replace(name="gangs as one job, fewest leaves", placement="leaves"),
    OURS._replace(name="ours without fair, + backfill", policies=(BINPACK, ELASTIC, BACKFILL)),
)
"""What is beside that way."""
FEW = (APART, STOCK, ONE, OURS)
DEMANDS = (0.8, 1.2)
OTHERWISE = {
    "no gangs": Scenario(gangs=0.0),
    "all of several nodes are gangs": Scenario(gangs=1.0),
    "no checkpoints": Scenario(checkpointed=0.0),
    "all gangs, no checkpoints": Scenario(gangs=1.0, checkpointed=0.0),
}
SIDES = (APART, STOCK, ONE)
"""What is shown where the assumptions are others."""
WARY = (
    STOCK,
    OURS,
    OURS._replace(name="+ suspect, after one failure", policies=(BINPACK, ELASTIC, ONCE_FAILED)),
    OURS._replace(name="the same after two", policies=(BINPACK, ELASTIC, SUSPECT)),
)
"""What is shown where some nodes fail more often than others."""


class Found(NamedTuple):
    """What came of a row.

    Attributes:
        parts: Where its GPU time went.
        wait_s: Mean wait of its jobs, in seconds.
        restarts: Runs that were broken off.
        timeouts: Jobs that their limits ended.
    """

    parts: Parts
    wait_s: float
    restarts: int
    timeouts: int


def pieces(row: Row, workload: Workload) -> list[Workload]:
    """What is simulated, each by itself."""
    asked = whole(workload) if row.whole else workload
    return divided(asked) if row.apart else [asked]


def simulated(row: Row, workload: Workload, seed: int, period_s: float, failures: Failures = FAILURES) -> Found:
    """A pool, from an empty one to its last submission; counted from the end of the first day."""
    last_s = workload.jobs[-1].submit_s
    parts, waits, restarts, timeouts = Parts(), [], 0, 0
    for piece in pieces(row, workload):
        case = Case(name=row.name, scheduler=row.scheduler, policies=_policies(row, piece), placement=row.placement)
        steering = Steering(case, period_s)
        result = simulate(
            piece, scheduler_of(case, piece), space=space_of(case, piece), policies=steering.policies(),
            begin_s=steering.begin_s(), requeue_s=REQUEUE_S, until_s=last_s,
            failures=msgspec.structs.replace(failures, seed=seed),
        )  # fmt: skip
        if steering.troubles or result.policy_errors or result.refused:
            raise RuntimeError(f"{row.name}: {steering.troubles}, {result.policy_errors}, {len(result.refused)}")
        parts += parts_of(result, piece.nodes, REPAIR_S, (WARM_S, last_s))
        waits.append(metrics.waits(result))
        figures = metrics.summary(result)
        restarts, timeouts = restarts + figures.restarts, timeouts + figures.timeouts
    count = sum(wait.count for wait in waits)
    return Found(parts, sum(wait.mean_s * wait.count for wait in waits) / count, restarts, timeouts)


def _policies(row: Row, piece: Workload) -> tuple[Named, ...]:
    quotas = dict.fromkeys(sorted({job.account for job in piece.jobs}), piece.gpus // TEAMS)
    return tuple(Named("fair", {"quotas": quotas}) if named == FAIR else named for named in row.policies)


def _table(
    title: str, rows: Sequence[Row], known: Files, scenario: Scenario, failures: Failures = FAILURES
) -> dict[str, float]:
    """Each row on the same jobs and failures; their mean effective utilisation, in percent."""
    print(f"  {title}")
    print(f"    {'':34}{''.join(f'{name:>11}' for name in NAMES)}   effective      wait  restarts  timeouts  CPU s")
    workloads = [(seed, offered(known, POOL, scenario, seed)) for seed in SEEDS]
    by_row: dict[str, list[float]] = {}
    for row in rows:
        began = _cpu_s()
        found = [simulated(row, workload, seed, PERIOD_S, failures) for seed, workload in workloads]
        shares = [one.parts.shares() for one in found]
        by_row[row.name] = [100 * one.productive for one in shares]
        wait_min, restarts = statistics.fmean(one.wait_s for one in found) / 60, sum(one.restarts for one in found)
        timeouts = sum(one.timeouts for one in found)
        used = f"{wait_min:6.0f} min{restarts:10}{timeouts:10}{_cpu_s() - began:7.0f}"
        print(f"    {row.name:34}{_columns(shares)}  {_spread(by_row[row.name]):>11}{used}", flush=True)
    for name, effective in by_row.items():
        more = [one - as_it_comes for one, as_it_comes in zip(effective, by_row[STOCK.name], strict=True)]
        print(f"    {name:34} less {STOCK.name}: {_spread(more)}")
    return {name: statistics.fmean(effective) for name, effective in by_row.items()}


def _whole_fleet(known: Files, rows: Sequence[Row], seed: int) -> list[float]:
    """Every pool, added up; effective utilisation of each row, in percent."""
    gpus = sum(node.gpus for nodes in known.pools.values() for node in nodes)
    print(f"  the whole fleet, {gpus:,} GPUs on {sum(map(len, known.pools.values())):,} nodes, demand 1.0, seed {seed}")
    sums, began = [Parts() for _ in rows], [0.0 for _ in rows]
    for pool in known.pools:
        workload = offered(known, pool, Scenario(), seed)
        effective = []
        for place, row in enumerate(rows):
            used_s = _cpu_s()
            found = simulated(row, workload, seed, PERIOD_WHOLE_S)
            sums[place] += found.parts
            began[place] += _cpu_s() - used_s
            effective.append(f"{100 * found.parts.shares().productive:.1f} %")
        print(f"    {pool:24}{workload.gpus:6} GPUs{len(workload.jobs):7} jobs: {', '.join(effective)}", flush=True)
    for row, total, cpu_s in zip(rows, sums, began, strict=True):
        print(f"    {row.name:34}{_columns([total.shares()])}  CPU {cpu_s:.0f} s")
    return [100 * total.shares().productive for total in sums]


def _columns(shares: Sequence[Parts]) -> str:
    """Means of the parts, in percent."""
    return "".join(f"{statistics.fmean(100 * getattr(one, name) for one in shares):10.2f}%" for name in NAMES)


def _spread(over_seeds: Sequence[float]) -> str:
    return f"{statistics.fmean(over_seeds):.1f} ± {statistics.stdev(over_seeds):.1f}"


def _cpu_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def run() -> list[Verdict]:
    """All of it, without a cluster."""
    known = files()
    if known is None:
        print("  the traces are not in shared/traces: left out")
        return []
    began, used_s = time.perf_counter(), _cpu_s()
    stock, ours = _whole_fleet(known, (STOCK, OURS), SEEDS[0])
    means = _table(f"{POOL}, demand 1.0, seeds {SEEDS}", (*ROWS, *ASIDE), known, Scenario())
    for demand in DEMANDS:
        _table(f"the same, demand {demand}", FEW, known, Scenario(demand=demand))
    for name, scenario in OTHERWISE.items():
        _table(f"the same, demand 1.0, {name}", SIDES, known, scenario)
    _table("the same, demand 1.0, 2 % of the nodes with 30 % of the failures", WARY, known, Scenario(), LEMONS)
    _table("the same with ten times the failures", WARY, known, Scenario(), OFTEN)
    print(f"  {time.perf_counter() - began:.0f} s, {_cpu_s() - used_s:.0f} s of CPU")
    return [
        Verdict(
            "utilisation, ours to Slurm as it comes, 10,412 GPUs",
            ours / stock, TWICE, note=f"{stock:.1f} %, {ours:.1f} %",
        ),
        Verdict(
            "utilisation, one pool with lent quotas to nodes divided among teams",
            means[LENT.name] / means[APART.name], TWICE, note=f"{means[APART.name]:.1f} %, {means[LENT.name]:.1f} %",
        ),
    ]  # fmt: skip

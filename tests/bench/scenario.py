"""The scenario of docs/UTILISATION.md: a real fleet of 10,412 GPUs, and a made mix of LLM jobs that is offered to it.

The fleet is that of alibaba's cluster-trace-v2026-spot-gpu, laid over the Clos of alibaba-lingjun-dataset-2023. Jobs
keep to one kind of node, so each kind is a pool with a demand of its own: one stream of jobs for all of them would be
more than the fleet can do where the largest fit, and half of it elsewhere. Pools share no job, so each is simulated
by itself, and their GPU seconds add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.hints import NO_HINTS
from hpcjobs.sim.generate import Plan, generate
from hpcjobs.sim.scale import to_demand, window
from hpcjobs.sim.traces.acme import GpuJobs, read_acme
from hpcjobs.sim.traces.clos import read_clos, spread
from hpcjobs.sim.traces.fleet import read_fleet
from hpcjobs.sim.traces.lines import lines_of
from hpcjobs.sim.workload import SimJob, SimNode, Workload
from tests.unit.fabrics import shared

FILES: Final = ("alibaba_v2026_spot_nodes.csv.gz", "lingjun_topo.csv.gz", "acme_cluster_summary.csv.gz")
DAY_S: Final = 86_400.0
WHOLE_NODE: Final = 8
"""GPUs of the nodes that large models are trained on."""
TEAMS: Final = 3
FEWEST: Final = 250
"""Jobs that are made at first; twice as many until they are enough."""


class Scenario(NamedTuple):
    """What is offered.

    Attributes:
        demand: GPU seconds that are offered, of those that each pool has meanwhile.
        gangs: Share of the jobs of several nodes that come as two to four jobs which only work together.
        elastic: Share of those of several nodes with checkpoints that can run with half to twice as many nodes.
        checkpointed: Share of the jobs, but for evaluations, that make a checkpoint every half hour.
        days: For about so long jobs are submitted: as long as the demand takes.
    """

    demand: float = 1.0
    gangs: float = 0.3
    elastic: float = 0.2
    checkpointed: float = 0.9
    days: float = 4.0


class Files(NamedTuple):
    """What is known of real clusters.

    Attributes:
        pools: Nodes of each kind, by its name.
        large: What jobs are like on nodes of eight GPUs: Kalos.
        small: What they are like on others: Seren.
    """

    pools: dict[str, tuple[SimNode, ...]]
    large: GpuJobs
    small: GpuJobs


def files() -> Files | None:
    """The fleet and the mixes; None where the files are not at hand."""
    paths = [shared("traces", name) for name in FILES]
    if None in paths:
        return None
    nodes, clos = (read(lines_of(path)).nodes for read, path in zip((read_fleet, read_clos), paths, strict=False))
    pools: dict[str, list[SimNode]] = defaultdict(list)
    for node in spread(nodes, clos):
        pools[f"{node.gpus} x {node.gpu_type}"].append(node)
    acme, _ = read_acme(lines_of(paths[2]))
    return Files({name: tuple(own) for name, own in pools.items()}, acme["Kalos"], acme["Seren"])


def offered(known: Files, pool: str, scenario: Scenario, seed: int) -> Workload:
    """The jobs of a pool.

    Args:
        known: See Files.
        pool: Its name.
        scenario: What is offered.
        seed: Where chance begins.
    """
    nodes = known.pools[pool]
    plan = Plan(
        jobs=FEWEST, demand=scenario.demand, gangs=scenario.gangs, elastic=scenario.elastic, projects=TEAMS,
        checkpointed=scenario.checkpointed, cluster=known.large if nodes[0].gpus == WHOLE_NODE else known.small,
    )  # fmt: skip
    span_s = scenario.days * DAY_S
    while (made := generate(nodes, plan, seed)).jobs[-1].submit_s < span_s:
        plan = msgspec.structs.replace(plan, jobs=2 * plan.jobs)
    return to_demand(window(made, 0.0, span_s), scenario.demand)


def whole(workload: Workload) -> Workload:
    """Each gang as one job: the heterogeneous job that ``POST /v1/gangs`` makes of members of one shape."""
    members: dict[str, list[SimJob]] = defaultdict(list)
    for job in workload.jobs:
        members[job.hints.gang].append(job)
    alone = members.pop(NO_HINTS.gang, [])
    joined = [
        msgspec.structs.replace(
            gang[0],
            nodes=sum(job.nodes for job in gang),
            hints=msgspec.structs.replace(gang[0].hints, gang="", gang_size=0),
        )
        for gang in members.values()
    ]
    jobs = sorted([*alone, *joined], key=lambda job: job.number)
    return msgspec.structs.replace(workload, jobs=tuple(jobs))


def divided(workload: Workload) -> list[Workload]:
    """A pool whose nodes are divided evenly among the teams: each has its own jobs on its own nodes."""
    accounts = sorted({job.account for job in workload.jobs})
    return [
        msgspec.structs.replace(
            workload, nodes=own, jobs=tuple(job for job in workload.jobs if job.account == account)
        )
        for account, own in zip(accounts, _even(workload.nodes, len(accounts)), strict=True)
    ]  # fmt: skip


def _even(nodes: Sequence[SimNode], parts: int) -> list[tuple[SimNode, ...]]:
    """As many pieces, which differ by a node at the most."""
    cuts = [len(nodes) * number // parts for number in range(parts + 1)]
    return [tuple(nodes[start:end]) for start, end in pairwise(cuts)]

"""Made-up jobs for a fleet, from a seed: sizes, run times, users, limits, hints, arrivals at a stated demand. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from statistics import NormalDist
from typing import Annotated, Final, NamedTuple

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.hints import Hints
from hpcjobs.sim.arrivals import Wave, arrivals
from hpcjobs.sim.limits import FACTOR, round_limit
from hpcjobs.sim.llm_mix import EVALUATION, Kind, calibrated
from hpcjobs.sim.scale import to_demand
from hpcjobs.sim.shapes import Shape, classes_of, shape_of
from hpcjobs.sim.traces.acme import KALOS, GpuJobs
from hpcjobs.sim.traces.assembly import in_order
from hpcjobs.sim.traces.lines import Tally
from hpcjobs.sim.workload import SimJob, SimNode, Workload

LEAST_RUN_S: Final = 1.0
MOST_MEMBERS: Final = 4
"""As many jobs as a gang has."""


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be made. Shares are from 0 to 1.

    Attributes:
        jobs: How many jobs; a gang counts as one.
        demand: GPU seconds that are offered, of those that the fleet has meanwhile (sim/scale.py).
        cluster: What is known of the cluster that they are to be like.
        wave: How submissions go up and down.
        users: How many users there are; the first submit most, as 1, 1/2, 1/3 and so on.
        projects: How many accounts the users are of.
        templates: How many scripts there are of each kind; jobs of one have one name and one user.
        alike: How much of the variance of ln(run time) is between scripts and not within them.
        overestimate: How far users' limits are above run times: the f of sim/limits.py.
        checkpointed: Share of the jobs that are no evaluations that make checkpoints, and so are preemptible.
        checkpoint_s: Seconds between their checkpoints.
        pinned: Share of the preemptible ones that must not be moved.
        elastic: Share of those of several nodes that make checkpoints that can run with half to twice as many nodes.
        gangs: Share of the other jobs of several nodes that come as several jobs that start together.
        urgent: Share of all jobs that are urgent.
        datasets: How many data sets there are; each script reads one.
    """

    jobs: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    demand: Positive
    cluster: GpuJobs = KALOS
    wave: Wave = Wave()
    users: Count = 80
    projects: Count = 8
    templates: Count = 50
    alike: Share = 0.5
    overestimate: Annotated[float, msgspec.Meta(ge=0, le=1000)] = FACTOR
    checkpointed: Share = 0.9
    checkpoint_s: Positive = 1800.0
    pinned: Share = 0.0
    elastic: Share = 0.0
    gangs: Share = 0.0
    urgent: Share = 0.0
    datasets: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class _Template(NamedTuple):
    """A script that is submitted again and again."""

    name: str
    user: str
    account: str
    mu: float
    asked_s: float
    datasets: tuple[str, ...]


def generate(nodes: Sequence[SimNode], plan: Plan, seed: int) -> Workload:
    """Jobs for a fleet; the same for the same seed and Python.

    Args:
        nodes: The fleet.
        plan: What is to be made.
        seed: Where chance begins.

    Raises:
        Refused: The plan cannot be, or the fleet has no GPU.
    """
    kinds = _checked(nodes, plan)
    rng = Random(seed)  # noqa: S311
    classes = classes_of(nodes)
    templates = {kind.name: _templates(kind, plan, rng) for kind in kinds}
    dropped = Tally()
    made: list[list[SimJob]] = []
    for kind in rng.choices(kinds, [kind.share for kind in kinds], k=plan.jobs):
        (gpus,) = rng.choices(list(kind.sizes), list(kind.sizes.values()))
        shape = shape_of(gpus, classes, rng)
        if shape is None:
            dropped.add(f"it has more GPUs than a job may have of any class of nodes: {gpus}")
            continue
        made.append(_jobs(kind, shape, rng.choice(templates[kind.name]), plan, rng, f"gang{len(made) + 1}"))
    work_s = math.fsum(job.gpus * job.run_s for jobs in made for job in jobs)
    span_s = work_s / (plan.demand * sum(node.gpus for node in nodes))
    times = arrivals(len(made), span_s, plan.wave, rng)
    jobs = [
        msgspec.structs.replace(job, submit_s=at_s)
        for at_s, jobs in zip(times, made, strict=True)
        for job in jobs
    ]  # fmt: skip
    workload = Workload(nodes=tuple(nodes), jobs=in_order(jobs), origin=f"LLM mix, seed {seed}", dropped=dropped.told())
    return to_demand(workload, plan.demand)


def with_caches(nodes: Sequence[SimNode], datasets: int, copies: int, seed: int) -> tuple[SimNode, ...]:
    """The fleet with the data sets of a plan in caches, each on so many nodes with GPUs.

    Args:
        nodes: The fleet.
        datasets: How many data sets there are.
        copies: On how many nodes each lies.
        seed: Where chance begins.
    """
    rng = Random(seed)  # noqa: S311
    able = [index for index, node in enumerate(nodes) if node.gpus]
    cached: dict[int, list[str]] = {}
    for number in range(1, datasets + 1):
        for index in rng.sample(able, min(copies, len(able))):
            cached.setdefault(index, []).append(f"data{number}")
    return tuple(
        msgspec.structs.replace(node, datasets=(*node.datasets, *cached.get(index, ())))
        for index, node in enumerate(nodes)
    )


def _checked(nodes: Sequence[SimNode], plan: Plan) -> tuple[Kind, ...]:
    try:
        msgspec.convert(msgspec.to_builtins(plan), Plan)
    except msgspec.ValidationError as error:
        raise Refused([Refusal("plan", f"The plan cannot be: {error}.", "bad-plan")]) from error
    if not any(node.gpus for node in nodes):
        raise Refused([Refusal("nodes", "The fleet has no GPU: the mix is one of GPU jobs.", "bad-plan")])
    try:
        return calibrated(plan.cluster)
    except ValueError as error:
        raise Refused([Refusal("cluster", f"No mix is like this cluster: {error}.", "bad-plan")]) from error


def _templates(kind: Kind, plan: Plan, rng: Random) -> list[_Template]:
    """Scripts that share out the kind's run times evenly, so that a few of them do not move its mean.

    Each stands for a part of the normal distribution of ln(run time) between scripts, parts of equal probability, with
    the mean run time of its part: the integral of ``exp(s z)`` over it is ``exp(s**2 / 2) (Phi(b - s) - Phi(a - s))``.
    """
    normal, sigma, many = NormalDist(), kind.sigma * math.sqrt(plan.alike), plan.templates
    cuts = [0.0, *(normal.cdf(normal.inv_cdf(number / many) - sigma) for number in range(1, many)), 1.0]
    scores = [sigma**2 / 2 + math.log(many * (high - low)) for low, high in pairwise(cuts)]
    owners = rng.choices(range(plan.users), [1 / (number + 1) for number in range(plan.users)], k=plan.templates)
    found: list[_Template] = []
    for number, (score, owner) in enumerate(zip(scores, owners, strict=True), start=1):
        mu = kind.mu + score
        data = (f"data{rng.randrange(plan.datasets) + 1}",) if plan.datasets else ()
        asked_s = math.exp(mu) * (1.0 + plan.overestimate * rng.random())
        found.append(
            _Template(f"{kind.name}{number}", f"user{owner + 1}", f"team{owner % plan.projects + 1}", mu, asked_s, data)
        )
    return found


def _jobs(kind: Kind, shape: Shape, template: _Template, plan: Plan, rng: Random, gang: str) -> list[SimJob]:
    """A job, or those of a gang; when they are submitted is not said yet."""
    log_s = rng.gauss(template.mu, kind.sigma * math.sqrt(1 - plan.alike))
    run_s = min(max(math.exp(log_s), LEAST_RUN_S), plan.cluster.max_run_s)
    (fate,) = rng.choices(list(kind.fates), list(kind.fates.values()))
    saves = kind.name != EVALUATION and rng.random() < plan.checkpointed
    pinned, elastic, in_gang, urgent = (
        rng.random() < share for share in (plan.pinned, plan.elastic, plan.gangs, plan.urgent)
    )
    elastic = elastic and saves and shape.nodes > 1
    members = rng.randint(2, min(MOST_MEMBERS, shape.nodes)) if in_gang and not elastic and shape.nodes > 1 else 1
    hints = Hints(
        gang=gang if members > 1 else "",
        gang_size=members if members > 1 else 0,
        nodes_min=-(-shape.nodes // 2) if elastic else 0,
        nodes_max=min(2 * shape.nodes, shape.most_nodes) if elastic else 0,
        datasets=template.datasets,
        preemptible=saves,
        pinned=saves and pinned,
        urgent=urgent,
    )
    job = SimJob(
        number=0, submit_s=0.0, run_s=run_s, wall_s=round_limit(max(run_s, template.asked_s)), nodes=shape.nodes,
        cpus_per_node=shape.cpus_per_node, gpus_per_node=shape.gpus_per_node, gpu_types=shape.gpu_types,
        user=template.user, account=template.account, name=template.name,
        checkpoint_s=plan.checkpoint_s if saves else None, fate=fate, hints=hints,
    )  # fmt: skip
    if members == 1:
        return [job]
    base, more = divmod(shape.nodes, members)
    return [msgspec.structs.replace(job, nodes=base + (member < more)) for member in range(members)]

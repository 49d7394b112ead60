"""Under a stream of small jobs that come first, a large one waits for ever; with policy backfill its turn comes."""

from __future__ import annotations

import random

import pytest

from hpcjobs.model.steering import Prefer
from hpcjobs.plugin import Tick
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.result import Result
from hpcjobs.sim.schedulers import Slurm
from hpcjobs.sim.steered import Policy, Ticking
from hpcjobs.sim.workload import SimJob
from hpcjobs_plugins.policies import backfill

from .simulated import fleet, job, starts, workload

NODES = 6
SMALL_S = 300.0
"""Longest run of a small job."""
LARGE_S = 400.0
STREAM_S = 8_000.0
LARGEST_S, STARVING_S, PERIOD_S = 600.0, 3000.0, 30.0


def stream(dice: random.Random) -> list[SimJob]:
    """More small jobs than the nodes can take: some always wait."""
    jobs, at = [], 0.0
    while at < STREAM_S:
        run_s = dice.uniform(0.3 * SMALL_S, SMALL_S)
        jobs.append(job(0, at, run_s, wall_s=SMALL_S, user="small"))
        at += 0.65 * SMALL_S / NODES / 1.05 * dice.uniform(0.5, 1.5)
    return jobs


def large(dice: random.Random) -> list[SimJob]:
    """One to four jobs of half the nodes to all of them, some with nodes of their own in mind."""
    return [
        job(0, dice.uniform(0, 1500), LARGE_S * dice.uniform(0.5, 1), wall_s=LARGE_S, nodes=nodes, user="large")
        for nodes in dice.choices(range(NODES // 2, NODES + 1), k=dice.randint(1, 4))
    ]


def outcome(seed: int, *policies: Policy) -> tuple[list[SimJob], Result]:
    """Large jobs among small ones that somebody prefers, whoever waits how long."""
    dice = random.Random(seed)
    wanted = sorted([*stream(dice), *large(dice)], key=lambda one: one.submit_s)
    jobs = [job(number, one.submit_s, one.run_s, wall_s=one.wall_s, nodes=one.nodes, user=one.user)
        for number, one in enumerate(wanted, 1)]  # fmt: skip
    small = {one.number for one in jobs if one.user == "small"}

    def prefer(view, _now):
        return [Prefer(number, 500_000, "small first") for number in view.jobs.keys() & small]

    made = workload(*jobs, nodes=fleet(NODES))
    said = [Ticking("prefer", prefer, PERIOD_S), *policies]
    result = simulate(made, Slurm(), policies=said, until_s=STREAM_S)
    assert result.policy_errors == {}
    return jobs, result


def large_of(jobs: list[SimJob]) -> list[SimJob]:
    return [one for one in jobs if one.user == "large"]


def of(mode: str) -> Ticking:
    settings = backfill.Settings(
        mode=mode, period_s=PERIOD_S, largest_s=LARGEST_S, starving_s=STARVING_S, ahead=2, window_s=120.0
    )
    (tick,) = [hook for hook in backfill.PLUGIN.hooks(settings) if isinstance(hook, Tick)]
    return Ticking("backfill", tick.run, tick.period_s)


def test_without_the_policy_the_large_jobs_starve():
    jobs, result = outcome(1)
    assert large_of(jobs)
    assert not starts(result).keys() & {one.number for one in large_of(jobs)}


@pytest.mark.parametrize("mode", ["easy", "conservative"])
@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.thorough] if n > 2 else []) for n in range(30)])
def test_no_job_starves_in_either_mode(mode, seed):
    jobs, result = outcome(seed, of(mode))
    waiting, begun = large_of(jobs), starts(result)
    # Each waits for its time, then for those before it, each of which takes what runs to end and then runs itself.
    turn_s = max(SMALL_S, LARGE_S) + LARGE_S + 3 * PERIOD_S
    for one in waiting:
        assert one.number in begun, f"seed {seed}: job {one.number} of {one.nodes} nodes never started"
        assert begun[one.number] - one.submit_s <= LARGEST_S + len(waiting) * turn_s, f"seed {seed}: job {one.number}"
    early = {one.number for one in jobs if one.submit_s < STREAM_S / 2}
    assert early <= begun.keys(), f"seed {seed}: {early - begun.keys()}"

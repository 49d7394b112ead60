"""A thousand random sets of gangs and other jobs on a small fleet: all of them end, and members work only together."""

from __future__ import annotations

import random

import pytest

from hpcjobs.model.hints import Hints
from hpcjobs.model.steering import Prefer
from hpcjobs.plugin import Tick
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.result import End
from hpcjobs.sim.schedulers import Easy
from hpcjobs.sim.steered import Ticking
from hpcjobs.sim.workload import SimJob
from hpcjobs_plugins.policies import gang

from .simulated import fleet, job, workload

NODES = 6
FAR_S = 3.15e7
"""As the policy's admission has it: a year."""


def random_set(seed: int, slack_s: float = 0.0) -> tuple[SimJob, ...]:
    """Two to five gangs, of which now and then one cannot fit while another runs, among jobs of one node or more."""
    dice = random.Random(seed)
    wanted = []
    for number in range(dice.randint(2, 5)):
        size = dice.randint(2, 4)
        hints = Hints(gang=f"g{number}", gang_size=size)
        run_s = dice.choice([20.0, 60.0, 200.0])
        at = dice.uniform(0, 200)
        for _ in range(size):
            wanted.append((at + dice.uniform(0, 40), run_s, dice.randint(1, NODES // size), hints))
    for _ in range(dice.randint(0, 6)):
        wanted.append((dice.uniform(0, 300), dice.uniform(5, 200), dice.randint(1, NODES), Hints()))
    return tuple(
        job(number, at, run_s, wall_s=2 * run_s + slack_s, nodes=nodes, hints=hints)
        for number, (at, run_s, nodes, hints) in enumerate(sorted(wanted, key=lambda one: one[0]), 1)
    )


def outcome(seed: int, failures: Failures | None = None, slack_s: float = 0.0, **more: float):
    settings = gang.Settings(period_s=5.0, heal_s=60.0, **more)
    (tick,) = [hook for hook in gang.PLUGIN.hooks(settings) if isinstance(hook, Tick)]
    return simulate(
        workload(*random_set(seed, slack_s), nodes=fleet(NODES)),
        Easy(),
        policies=[Ticking("gang", tick.run, tick.period_s)],
        begin_s=lambda one: FAR_S if one.hints.gang_size > 1 else 0.0,
        failures=failures,
        until_s=100_000,
    )


@pytest.mark.parametrize("hundred", [pytest.param(n, marks=[pytest.mark.thorough] if n else []) for n in range(10)])
def test_no_random_set_of_gangs_blocks_itself(hundred):
    for seed in range(100 * hundred, 100 * hundred + (100 if hundred else 5)):
        result = outcome(seed)
        assert set(result.ended.values()) == {End.COMPLETED}, f"seed {seed}"
        assert len(result.ended) == len(random_set(seed)), f"seed {seed}: {len(result.ended)} ended"
        assert result.policy_errors == {}, f"seed {seed}"


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.thorough)])
def test_gangs_that_give_back_what_they_hold_again_and_again_still_all_start(count):
    gave_back = 0
    for seed in range(count):
        result = outcome(seed, deadline_s=60.0, patience_s=10.0)
        assert set(result.ended.values()) == {End.COMPLETED}, f"seed {seed}"
        assert len(result.ended) == len(random_set(seed)), f"seed {seed}: {len(result.ended)} ended"
        assert result.policy_errors == {}, f"seed {seed}"
        gave_back += sum(isinstance(one.action, Prefer) and one.action.points < 0 for one in result.acted)
    assert gave_back, "no gang was late: this shows nothing"


@pytest.mark.thorough
def test_gangs_left_below_their_size_by_failed_nodes_heal():
    broken = 0
    for seed in range(60):
        # Of six nodes one fails each ten minutes or so, and is away for one.
        failures = Failures(per_1000_node_days=24_000.0, repair_s=60.0, seed=seed)
        result = outcome(seed, failures, slack_s=3600.0)  # the time in which a gang waits for a member counts
        assert set(result.ended.values()) == {End.COMPLETED}, f"seed {seed}"
        assert len(result.ended) == len(random_set(seed)), f"seed {seed}"
        gangs = {one.number for one in random_set(seed) if one.hints.gang}
        broken += sum(run.end is not End.COMPLETED for run in result.runs if run.job in gangs)
    assert broken > 20, "hardly a member was hit: this shows nothing"


def test_a_gang_that_starts_anew_waits_until_it_is_whole():
    """Two nodes for a gang of two: one fails, is away for longer than the gang may be broken, and comes back."""
    hints = Hints(gang="g", gang_size=2)
    pair = [job(number, 0, 5000.0, wall_s=50_000, hints=hints) for number in (1, 2)]
    (tick,) = [hook for hook in gang.PLUGIN.hooks(gang.Settings(heal_s=60.0)) if isinstance(hook, Tick)]
    result = simulate(
        workload(*pair, nodes=fleet(2)),
        Easy(),
        policies=[Ticking("gang", tick.run, tick.period_s)],
        begin_s=lambda _: FAR_S,
        failures=Failures(per_1000_node_days=10_000.0, repair_s=1000.0, seed=1),
        until_s=100_000,
    )
    assert set(result.ended.values()) == {End.COMPLETED}
    assert result.failures
    broken = [run for run in result.runs if run.end is End.REQUEUED]
    assert len(broken) == len([run for run in result.runs if run.end is End.NODE_FAIL])
    assert all(0 < run.idle_s <= 65 for run in broken), "it held its nodes for longer than it may be broken"

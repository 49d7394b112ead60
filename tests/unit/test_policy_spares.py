"""Policy spares: large jobs keep their nodes when one fails, and spare ones take its place."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import median
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.cluster import ClusterView, Failure
from hpcjobs.model.hints import Hints
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Action, Prefer, Requeue, Reserve
from hpcjobs.recovery.advice import spare_nodes, stated_rate
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.failures import DAY_S, Failures
from hpcjobs.sim.schedulers import Easy
from hpcjobs.sim.steered import Ticking
from hpcjobs_plugins.policies import spares
from tests.unit import simulated
from tests.unit.builders import node
from tests.unit.policy_views import NOW, PREEMPTIBLE, asking, at_work, nodes_named, running, suspicions

NAMES = tuple(f"n{number:02}" for number in range(1, 17))
NODES = nodes_named(*NAMES)
NAME = "hpcjobs_spares_gpu_a100"
LARGE = "n[01-08]"
ONE = {"per_1000_node_days": 20.0, "most": 0.2}
"""Settings with which 8 nodes have one spare node."""


class TestSparesConforms(PluginConformance):
    plugin = spares.PLUGIN
    settings: ClassVar[dict[str, Any]] = {"large_nodes": 4, "lend": True}


def wanted(seen: ClusterView, **settings: Any) -> list[Action]:
    return list(spares.tick(spares.Settings(**(ONE | settings)), seen, NOW))


def kept(seen: ClusterView, **settings: Any) -> Reserve:
    (only,) = (one for one in wanted(seen, **settings) if isinstance(one, Reserve))
    return only


def there(*names: str) -> tuple[Reservation, ...]:
    return (Reservation(NAME, names, int(NOW) - 500, int(NOW) + 500),)


def again(number: int = 1, nodes: int = 8, **facts: Any) -> Any:
    """A large job that lost a node and waits, in the reservation."""
    return asking(number, 8 * nodes, nodes, restarts=1, particulars=Particulars(reservation=NAME), **facts)


def test_a_large_job_that_runs_has_its_nodes_and_spare_ones_kept():
    one = kept(at_work(running(1, LARGE, 64), running(2, "n09", 8), nodes=NODES))
    assert one.name == NAME
    assert one.nodes == (*NAMES[:8], "n10")
    assert one.jobs == (1,)
    assert one.start <= NOW < one.end


def test_how_many_is_the_quantile_of_those_under_repair_at_a_time():
    settings = spares.Settings(per_1000_node_days=6.5, repair_s=DAY_S, suffice=0.95, most=1.0)
    for nodes in (8, 128, 2048):
        assert spares.spares(settings, nodes, 4096, 0) == spare_nodes(nodes, stated_rate(6.5), DAY_S, 0.95)
    assert spares.spares(settings, 2048, 4096, 5) == spares.spares(settings, 2048, 4096, 0) - 5
    assert spares.spares(settings, 2048, 4096, 99) == 1, "the next failure comes too"
    assert spares.spares(msgspec.structs.replace(settings, most=0.01), 2048, 400, 0) == 4


@pytest.mark.parametrize(
    "job",
    [running(1, "n[01-07]", 56), running(1, LARGE, 64, particulars=Particulars(requeue=False)), asking(1, 64, 8)],
    ids=["small", "not to be requeued", "waits for the first time"],
)
def test_nothing_is_kept_for_jobs_that_are_small_or_would_not_come_again(job):
    assert wanted(at_work(job, nodes=NODES)) == []


def test_of_nodes_that_are_shared_with_others_nothing_is_kept_from_these():
    assert kept(at_work(running(1, LARGE, 32), nodes=NODES)).nodes == ("n09",)


def test_spares_are_the_nodes_that_are_kept_already_then_idle_ones_then_those_that_are_free_first():
    large = running(1, LARGE, 64)
    others = [running(number, NAMES[number + 6], 8, end_time=int(NOW) + 1000 - number) for number in range(2, 9)]
    assert kept(at_work(large, *others, nodes=NODES)).nodes[-1] == "n16"
    assert kept(at_work(large, *others, nodes=NODES[:-1])).nodes[-1] == "n15", "of number 8, which ends first"
    seen = at_work(large, *others, nodes=NODES, reservations=there(*NAMES[:8], "n09"))
    assert kept(seen).nodes[-1] == "n09"


def test_no_spare_is_suspect_of_another_reservation_down_or_too_small():
    nodes = (*NODES[:8], node("n09", usable=False), node("n10", gpus={"a100": 4}), *NODES[10:])
    other = Reservation("maintenance", ("n11",), int(NOW) - 5, int(NOW) + 5000)
    seen = at_work(running(1, LARGE, 64), nodes=nodes, reservations=(other,))
    assert kept(msgspec.structs.replace(seen, suspicions=suspicions(n12=2.0))).nodes[-1] == "n13"


def test_a_job_that_lost_a_node_keeps_the_others_and_gets_the_spare_one_before_everybody():
    nodes = tuple(node(name, usable=name != "n03") for name in NAMES)
    lost = (Failure("n03", NOW - 2, 1),)
    seen = at_work(again(), nodes=nodes, reservations=there(*NAMES[:9]))
    one, first = wanted(msgspec.structs.replace(seen, failures=lost))
    assert isinstance(one, Reserve)
    assert {*NAMES[:9]} - {"n03"} < {*one.nodes}
    assert "n03" not in one.nodes
    assert len(one.nodes) == 9, "and one that takes the place of the spare one"
    assert isinstance(first, Prefer)
    assert (first.job, first.points) == (1, 1_000_000)


def test_spare_nodes_are_lent_to_preemptible_jobs_and_taken_back_when_a_large_job_needs_them():
    large, waits = running(1, LARGE, 64), [asking(number, 8) for number in (2, 3, 4)]
    hints = {3: PREEMPTIBLE, 4: PREEMPTIBLE}
    lends = kept(at_work(large, *waits, nodes=NODES, hints=hints), lend=True)
    assert lends.jobs == (1, 3), "one spare node, one job"
    assert kept(at_work(large, *waits, nodes=NODES, hints=hints)).jobs == (1,)
    inside = Particulars(reservation=NAME)
    guest = running(3, "n09", 8, particulars=inside)
    seen = at_work(large, guest, *waits[2:], nodes=NODES, hints=hints, reservations=there(*NAMES[:9]))
    same = kept(seen, lend=True)
    assert (same.nodes, same.jobs) == (lends.nodes, (1, 3))
    down = tuple(node(name, usable=name != "n03") for name in NAMES[:9])
    seen = at_work(again(), guest, nodes=down, hints=hints, reservations=there(*NAMES[:9]))
    (back,) = (one for one in wanted(seen, lend=True) if isinstance(one, Requeue))
    assert back.job == 3


def test_a_preemptible_job_stays_where_idle_nodes_are_enough():
    guest = running(3, "n09", 8, particulars=Particulars(reservation=NAME))
    seen = at_work(again(), guest, nodes=NODES, hints={3: PREEMPTIBLE}, reservations=there(*NAMES[:9]))
    assert not [one for one in wanted(seen, lend=True) if isinstance(one, Requeue)]


# In the simulator.


class Outcome(NamedTuple):
    """What came of two days.

    Attributes:
        waits_s: How long the large job waited after each failure, in seconds.
        productive: Share of the time that the large job worked and kept what it did.
        used: Share of all GPU time that jobs had.
    """

    waits_s: list[float]
    productive: float
    used: float


FLEET = 26
RATE, REPAIR_S = 400.0, 4 * 3600.0


def outcome(rate: float = RATE, seed: int = 1, days: float = 2, **settings: Any) -> Outcome:
    """A job of 16 of 26 nodes, and more small jobs than the others take, of which four in ten are preemptible."""
    chance, at_s, number = random.Random(seed), 1.0, 10
    jobs = [simulated.job(1, 0.0, 30 * DAY_S, nodes=16, checkpoint_s=1800.0)]
    while at_s < days * DAY_S:
        at_s += chance.expovariate(11.5 / (3 * 3600))
        soft, run_s = chance.random() < 0.4, chance.uniform(0.5, 5.5) * 3600
        more = {"hints": Hints(preemptible=True), "checkpoint_s": 600.0} if soft else {}
        jobs.append(simulated.job(number, at_s, run_s, wall_s=1.3 * run_s, **more))
        number += 1
    told = {"per_1000_node_days": RATE, "repair_s": REPAIR_S, "most": 0.2, "period_s": 60.0}
    (hook,) = spares.PLUGIN.hooks(spares.Settings(**(told | settings)))  # type: ignore[arg-type, misc]
    policies = [Ticking("spares", hook.run, hook.period_s)] if settings else []
    result = simulate(
        simulated.workload(*jobs, nodes=simulated.fleet(FLEET)), Easy(), policies=policies, requeue_s=2.0,
        failures=Failures(per_1000_node_days=rate, repair_s=REPAIR_S, seed=seed) if rate else None,
        until_s=days * DAY_S,
    )  # fmt: skip
    assert not result.policy_errors
    long_s = {run: (run.end_s or result.stopped_s) - run.start_s for run in result.runs}
    mine = sorted((run for run in result.runs if run.job == 1), key=lambda run: run.start_s)
    waits = [later.start_s - (run.end_s or 0.0) for run, later in pairwise(mine)]
    work_s = sum(long_s[run] - run.lost_s for run in mine)
    used = sum(seconds * run.gpus for run, seconds in long_s.items())
    return Outcome(waits, work_s / (days * DAY_S), used / (8 * FLEET * days * DAY_S))


@pytest.fixture(scope="module")
def outcomes():
    return {name: outcome(**how) for name, how in {"none": {}, "kept": {"lend": False}, "lent": {"lend": True}}.items()}


def test_with_spares_a_large_job_is_back_in_seconds_and_without_them_it_waits_for_others_to_end(outcomes):
    none, with_spares = outcomes["none"], outcomes["kept"]
    assert len(none.waits_s) >= 4
    assert min(none.waits_s) > 600
    assert median(with_spares.waits_s) == pytest.approx(2.0)
    assert sum(with_spares.waits_s) < sum(none.waits_s) / 20
    assert with_spares.productive > none.productive + 0.1


def test_lent_spares_are_used_and_the_large_job_is_back_within_a_tick_or_two(outcomes):
    assert outcomes["lent"].used > outcomes["kept"].used + 0.02
    assert median(outcomes["lent"].waits_s) <= 2 + 2 * 60
    assert outcomes["lent"].productive > outcomes["none"].productive + 0.1


def test_what_spares_cost_where_nothing_fails_is_their_own_time():
    none, held, lent = (outcome(0.0, days=1, **how) for how in ({}, {"lend": False}, {"lend": True}))
    spare = spares.spares(spares.Settings(per_1000_node_days=RATE, repair_s=REPAIR_S, most=0.2), 16, FLEET, 0)
    assert spare >= 2
    assert none.used - held.used == pytest.approx(spare / FLEET, abs=0.03)
    assert none.used - lent.used < 0.3 * spare / FLEET

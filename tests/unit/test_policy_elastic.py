"""Elastic jobs: fewer nodes rather than later, more when nobody waits."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.spec import Resources
from hpcjobs.model.steering import Requeue, Resize
from hpcjobs_plugins.policies import elastic
from tests.unit.builders import node, record, spec, view

NOW = 100_000.0
SETTINGS = elastic.Settings(cooldown_s=600.0, left_s=600.0, gain=1.5)
CAN = Hints(nodes_min=1, nodes_max=6, preemptible=True)


class TestElasticConforms(PluginConformance):
    plugin = elastic.PLUGIN


def job(number, nodes, **facts):
    own = {name: facts.pop(name) for name in ("tres_per_job", "tres_per_node") if name in facts}
    given = {"nodes": nodes, "cpus": 64 * nodes, "gpus": {"a100": 8 * nodes}, "partition": "gpu", "wall_s": 86_400,
             "eligible_time": int(NOW) - 60, "reason": "Resources", "particulars": Particulars(**own)}  # fmt: skip
    return record(number, **{**given, **facts})


def running(number, names, count, since_s=7200, left_s=70_000):
    return job(number, count, state=State.RUNNING, raw_state="RUNNING", node_list=names, reason="",
               start_time=int(NOW) - since_s, end_time=int(NOW) + left_s)  # fmt: skip


def seen(*jobs, busy=(), hints=None, reservations=None):
    nodes = [node(f"n{number}") for number in range(1, 7)]
    for at, one in enumerate(nodes):
        if one.name in busy:
            nodes[at] = msgspec.structs.replace(one, cpus_alloc=64, gpus_alloc={"a100": 8})
    return msgspec.structs.replace(view(*jobs, nodes=tuple(nodes)), hints=hints or {}, reservations=reservations or {})


def wanted(*jobs, **more):
    return list(elastic.tick(SETTINGS, seen(*jobs, **more), NOW))


ALL_BUT_TWO = ("n1", "n2", "n3", "n4")


def test_a_job_that_can_do_with_what_is_free_starts_with_that():
    others = running(9, "n[1-4]", 4)
    (only,) = wanted(others, job(1, 4), busy=ALL_BUT_TWO, hints={1: CAN})
    assert isinstance(only, Resize)
    assert (only.job, only.nodes) == (1, 2)


@pytest.mark.parametrize(
    ("hints", "facts"),
    [
        (Hints(nodes_min=3, nodes_max=6), {}),
        (Hints(), {}),
        (CAN, {"tres_per_job": "gres/gpu:32"}),
        (CAN, {"array_job_id": 1, "array_task": "1-4"}),
        (CAN, {"reason": "Dependency"}),
        (CAN, {"eligible_time": int(NOW) + 60}),
        (CAN, {"state": State.HELD}),
    ],
)
def test_a_job_that_cannot_or_could_not_start_stays_as_it_is(hints, facts):
    assert wanted(running(9, "n[1-4]", 4), job(1, 4, **facts), busy=ALL_BUT_TWO, hints={1: hints}) == []


def test_while_it_waits_its_size_follows_what_is_free_up_to_its_most_and_down_to_its_least():
    size, sizes = 6, []
    for busy in (3, 4, 5, 4, 2, 0):
        others = running(9, f"n[1-{busy}]", busy) if busy else running(9, "n9", 1)
        wishes = wanted(others, job(1, size), busy=[f"n{at}" for at in range(1, busy + 1)],
                        hints={1: Hints(nodes_min=2, nodes_max=5)})  # fmt: skip
        size = wishes[0].nodes if wishes else size
        sizes.append(size)
    assert sizes == [3, 2, 2, 2, 4, 5]


def test_it_gets_more_than_it_asks_for_only_of_what_the_others_that_wait_leave():
    jobs = (job(1, 1, priority=9), job(2, 3, priority=5))
    (only,) = wanted(*jobs, hints={1: CAN})
    assert (only.job, only.nodes) == (1, 3)


def test_a_job_that_says_no_most_is_admitted_with_what_it_asks_for():
    def most(asked, **hints):
        return elastic.admit(spec(resources=Resources(nodes=asked), hints=Hints(**hints))).hints.nodes_max

    assert (most(4, nodes_min=2), most(4, nodes_min=2, nodes_max=8), most(None, nodes_min=2), most(4)) == (4, 8, 2, 0)


def test_a_job_that_fits_is_left_alone_and_what_it_takes_is_not_given_twice():
    jobs = (running(9, "n[1-4]", 4), job(1, 1, priority=9), job(2, 4, priority=5))
    (only,) = wanted(*jobs, busy=ALL_BUT_TWO, hints={2: CAN})
    assert (only.job, only.nodes) == (2, 1)


def test_nobody_takes_what_a_job_before_it_waits_for():
    jobs = (running(9, "n[1-4]", 4), job(1, 3, priority=9), job(2, 4, priority=5))
    assert wanted(*jobs, busy=ALL_BUT_TWO, hints={2: CAN}) == []


def test_nodes_of_a_reservation_are_nobodys():
    kept = {"r": Reservation("r", ("n5", "n6"), 0, int(NOW) * 2, ("bob",))}
    assert wanted(running(9, "n[1-4]", 4), job(1, 4), busy=ALL_BUT_TWO, hints={1: CAN}, reservations=kept) == []


def test_a_running_job_gets_the_nodes_that_nobody_waits_for():
    (only,) = wanted(running(1, "n[1-2]", 2), busy=("n1", "n2"), hints={1: CAN})
    assert isinstance(only, Requeue)
    assert (only.job, only.nodes) == (1, 6)


@pytest.mark.parametrize("facts", [{"since_s": 60}, {"left_s": 60}])
def test_it_runs_for_a_while_between_two_changes_and_is_left_alone_near_its_end(facts):
    assert wanted(running(1, "n[1-2]", 2, **facts), busy=("n1", "n2"), hints={1: CAN}) == []


def test_a_small_gain_is_not_worth_a_requeue():
    assert wanted(running(1, "n[1-5]", 5), busy=("n1", "n2", "n3", "n4", "n5"), hints={1: CAN}) == []


def test_a_running_job_gives_back_just_what_the_first_that_waits_needs():
    busy = ("n1", "n2", "n3", "n4", "n5")
    (only,) = wanted(running(1, "n[1-5]", 5), job(2, 3), busy=busy, hints={1: CAN})
    assert isinstance(only, Requeue)
    assert (only.job, only.nodes) == (1, 3)


def test_nothing_is_given_back_where_it_is_not_enough():
    few = Hints(nodes_min=4, nodes_max=6, preemptible=True)
    busy = ("n1", "n2", "n3", "n4", "n5")
    assert wanted(running(1, "n[1-5]", 5), job(2, 3), busy=busy, hints={1: few}) == []
    pinned = msgspec.structs.replace(CAN, pinned=True)
    assert wanted(running(1, "n[1-5]", 5), job(2, 3), busy=busy, hints={1: pinned}) == []


def test_after_the_change_nothing_more_is_wanted():
    small = running(1, "n[1-3]", 3, since_s=10)
    other = running(2, "n[4-6]", 3, since_s=10)
    busy = tuple(f"n{number}" for number in range(1, 7))
    assert wanted(small, other, busy=busy, hints={1: CAN}) == []

"""What backfill should look at, how long jobs really run, and nodes for jobs that wait too long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.conformance import PluginConformance
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import LimitMin, Prefer, Reserve, Tune
from hpcjobs_plugins.policies import backfill
from hpcjobs_plugins.policies.tuning import parameters
from tests.unit.builders import finished, node, record, view

NOW = 1_000_000.0
DAY_S = 86_400
SETTINGS = backfill.Settings(least_runs=3, margin=1.5, starving_s=3600.0, largest_s=1800.0)
CONSERVATIVE = msgspec.structs.replace(SETTINGS, mode="conservative", ahead=3)
NODES = tuple(node(f"n{number}") for number in range(1, 5))
GOES_ON = Hints(preemptible=True)


class TestBackfillConforms(PluginConformance):
    plugin = backfill.PLUGIN


def ran(number, seconds, **facts):
    given = {"start_time": 1000, "end_time": 1000 + seconds, "nodes": 1}
    return finished(number, **{**given, **facts})


def waits(number, since_s=60, **facts):
    given = {"nodes": 1, "cpus": 64, "gpus": {"a100": 8}, "partition": "gpu", "wall_s": DAY_S, "reason": "Resources",
             "eligible_time": int(NOW) - since_s}  # fmt: skip
    return record(number, **{**given, **facts})


def wanted(kind, *jobs, nodes=NODES, hints=None, reservations=None, settings=SETTINGS):
    seen = msgspec.structs.replace(view(*jobs, nodes=nodes), hints=hints or {}, reservations=reservations or {})
    return [one for one in backfill.tick(settings, seen, NOW) if isinstance(one, kind)]


RUNS = tuple(ran(number, seconds) for number, seconds in enumerate((600, 1200, 900), 10))


def test_a_job_that_goes_on_from_a_checkpoint_may_have_the_limit_that_like_jobs_needed():
    (only,) = wanted(LimitMin, *RUNS, waits(1), waits(2), hints={1: GOES_ON})
    assert (only.job, only.time_min_s) == (1, 1800.0)


@pytest.mark.parametrize(
    "job",
    [
        waits(1, name="other"),
        waits(1, user="bob"),
        waits(1, nodes=2),
        waits(1, wall_s=1200),
        waits(1, wall_s=None),
    ],
)
def test_of_other_jobs_nothing_is_concluded(job):
    assert wanted(LimitMin, *RUNS, job, hints={1: GOES_ON}) == []


def test_too_few_runs_and_runs_that_came_to_no_end_predict_nothing():
    failed = [ran(20 + number, 300, fate=Fate.FAILED) for number in range(9)]
    assert wanted(LimitMin, *RUNS[:2], *failed, waits(1), hints={1: GOES_ON}) == []


@given(st.integers(0, 100_000), st.integers(0, 400 * DAY_S))
def test_backfill_looks_beyond_the_longest_limit_in_about_a_thousand_steps(queued, longest_s):
    words = {name: int(value) for name, value in parameters(queued, longest_s, 1).items() if value}
    assert words["bf_window"] * 60 >= max(longest_s, DAY_S)
    assert words["bf_window"] * 60 < max(longest_s, DAY_S) + DAY_S
    assert words["bf_resolution"] % 60 == 0
    assert words["bf_window"] * 60 / words["bf_resolution"] <= 1440
    assert min(queued, 5000) <= words["bf_max_job_test"] <= 5000


def test_a_queue_that_changes_a_little_asks_for_the_same():
    assert parameters(501, 3 * DAY_S - 60, 1) == parameters(1000, 2 * DAY_S + 60, 1)


def test_without_a_queue_nothing_is_tuned():
    assert wanted(Tune, *RUNS) == []
    (only,) = wanted(Tune, waits(1, wall_s=7 * DAY_S))
    assert only.parameters["bf_window"] == "10080"
    assert (only.parameters["bf_job_part_count_reserve"], only.parameters["bf_continue"]) == ("1", "")
    (only,) = wanted(Tune, waits(1), settings=CONSERVATIVE)
    assert only.parameters["bf_job_part_count_reserve"] == "0"


def busy(number, name, left_s):
    return record(number, state=State.RUNNING, node_list=name, nodes=1, end_time=int(NOW) + left_s)


ALLOCATED = tuple(msgspec.structs.replace(one, cpus_alloc=64) for one in NODES)


def test_a_job_that_has_waited_too_long_gets_the_nodes_that_are_free_first():
    others = [busy(10 + at, f"n{at}", 1000 * at) for at in range(1, 5)]
    (only,) = wanted(Reserve, *others, waits(1, since_s=5000, nodes=2, cpus=128, gpus={"a100": 16}), nodes=ALLOCATED)
    assert (only.name, only.nodes, only.start, only.jobs) == ("hpcjobs_bf_1_0", ("n1", "n2"), NOW + 2000, (1,))


def test_in_mode_easy_the_largest_gets_nodes_before_it_starves_and_one_that_starves_before_it():
    others = [busy(10 + at, f"n{at}", 1000 * at) for at in range(1, 5)]
    small, large = waits(1, since_s=2000, priority=9), waits(2, since_s=1900, nodes=3, cpus=192, gpus={"a100": 24})
    (only,) = wanted(Reserve, *others, small, large, nodes=ALLOCATED)
    assert (only.jobs, only.nodes) == ((2,), ("n1", "n2", "n3"))
    (only,) = wanted(Reserve, *others, waits(1, since_s=3700), large, nodes=ALLOCATED)
    assert only.jobs == (1,)
    assert wanted(Reserve, *others, waits(2, since_s=1700, nodes=3), nodes=ALLOCATED) == []


def test_in_mode_conservative_the_first_of_the_queue_have_nodes_of_their_own_and_come_first():
    others = [busy(10 + at, f"n{at}", 1000 * at) for at in range(1, 5)]
    queue = [waits(number, priority=10 - number) for number in range(1, 6)]
    found = wanted(Reserve, *others, *queue, nodes=ALLOCATED, settings=CONSERVATIVE)
    assert [(one.jobs, one.nodes) for one in found] == [((1,), ("n1",)), ((2,), ("n2",)), ((3,), ("n3",))]
    points = wanted(Prefer, *others, *queue, nodes=ALLOCATED, settings=CONSERVATIVE)
    assert [(one.job, one.points) for one in points] == [(number, 1_000_000) for number in (1, 2, 3)]


def test_nobody_gets_nodes_while_one_before_it_waits_for_those_of_others():
    others = [busy(10 + at, f"n{at}", 1000 * at) for at in range(1, 5)]
    there = {"gang": Reservation("gang", ("n4",), int(NOW), int(NOW) + 3600, ("alice",))}
    whole = waits(1, priority=9, nodes=4, cpus=256, gpus={"a100": 32})
    jobs = (*others, whole, waits(2, priority=1))
    assert wanted(Reserve, *jobs, nodes=ALLOCATED, reservations=there, settings=CONSERVATIVE) == []
    (free, *_) = wanted(Reserve, *jobs, nodes=ALLOCATED, settings=CONSERVATIVE)
    assert free.jobs == (1,)


def test_one_that_can_never_start_keeps_nobody_from_its_turn():
    never = waits(1, since_s=9000, nodes=9, cpus=9 * 64, gpus={"a100": 72})
    (only,) = wanted(Reserve, never, waits(2, since_s=5000))
    assert only.jobs == (2,)


def test_a_job_that_came_to_a_limit_leaves_its_nodes_to_others():
    inside = Particulars(reservation="hpcjobs_bf_2_0")
    there = {"hpcjobs_bf_2_0": Reservation("hpcjobs_bf_2_0", ("n3",), int(NOW) - 60, int(NOW) + 600, ("alice",))}
    limited = waits(2, since_s=9000, particulars=inside, reason="QOSMaxGRESPerUser")
    (only,) = wanted(Reserve, limited, waits(1, since_s=5000), reservations=there)
    assert only.jobs == (1,)


@pytest.mark.parametrize("reason", ["", "None", "Reservation", "ReqNodeNotAvail, Reserved for maintenance"])
def test_a_job_keeps_its_nodes_also_before_slurm_says_again_why_it_waits(reason):
    inside = Particulars(reservation="hpcjobs_bf_2_0")
    there = {"hpcjobs_bf_2_0": Reservation("hpcjobs_bf_2_0", ("n1",), int(NOW), int(NOW) + 600)}
    job = waits(2, since_s=5000, particulars=inside, reason=reason)
    assert [one.jobs for one in wanted(Reserve, job, reservations=there)] == [(2,)]


def test_nodes_without_its_features_are_not_kept_for_a_job():
    fast = (*NODES[:3], msgspec.structs.replace(NODES[3], features=("fast",)))
    (only,) = wanted(Reserve, waits(1, since_s=5000, particulars=Particulars(constraint="fast")), nodes=fast)
    assert only.nodes == ("n4",)


def test_only_so_many_get_nodes_and_who_has_them_keeps_them():
    others = [busy(10 + at, f"n{at}", 1000 * at) for at in range(1, 5)]
    has = waits(
        2, since_s=4000, priority=1, particulars=Particulars(reservation="hpcjobs_bf_2_0"), reason="Reservation"
    )
    there = {"hpcjobs_bf_2_0": Reservation("hpcjobs_bf_2_0", ("n3",), int(NOW) + 3000, int(NOW) + 3600, ("alice",))}
    jobs = (*others, waits(1, since_s=9000, priority=9), has)
    (only,) = wanted(Reserve, *jobs, nodes=ALLOCATED, reservations=there)
    assert (only.jobs, only.nodes, only.start, only.end) == ((2,), ("n3",), NOW + 3000, NOW + 3600)


@pytest.mark.parametrize(
    "facts",
    [
        {"since_s": 60},
        {"since_s": 5000, "reason": "Dependency"},
        {"since_s": 5000, "array_job_id": 1},
        {"since_s": 5000, "particulars": Particulars(required_nodes="n9")},
        {"since_s": 5000, "particulars": Particulars(reservation="mine")},
        {"since_s": 5000, "nodes": 9, "cpus": 9 * 64, "gpus": {"a100": 72}},
    ],
)
def test_who_waits_for_something_else_or_can_never_start_gets_none(facts):
    assert wanted(Reserve, waits(1, **facts)) == []

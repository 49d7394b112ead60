from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.aims import WISHED, WITHDRAWN, Said, Why, changes, fold, keyed
from hpcjobs.model.steering import (
    Action,
    Avoid,
    Delay,
    Hold,
    Label,
    LimitMin,
    Prefer,
    Requeue,
    Reserve,
    Shrink,
    Tune,
    Weigh,
    jobs_of,
    nodes_of,
    unmeant,
)


def joined(said):
    """Where every job has nodes enough."""
    return fold(said, lambda _number, _avoid: True)


numbers = st.integers(1, 4)
names = st.lists(st.sampled_from(["n1", "n2", "n3"]), max_size=3, unique=True).map(tuple)
why = st.sampled_from(["because", "so"])
wishes = st.one_of(
    st.builds(Prefer, numbers, st.integers(-50, 50), why),
    st.builds(Avoid, numbers, names, why),
    st.builds(Hold, numbers, why),
    st.builds(Delay, numbers, st.floats(1, 100), why),
    st.builds(LimitMin, numbers, st.floats(1, 100), why),
    st.builds(Weigh, names, st.integers(-9, 9), why),
    st.builds(Label, names, st.sampled_from(["fast", "near"]), why),
)


def test_points_and_weights_are_summed_nodes_joined_and_the_latest_time_counts():
    aims = joined(
        [
            Said("a", (Prefer(1, 5, "x"), Avoid(1, ("n1",), "y"), Delay(1, 10.0, "z"), Weigh(("n1", "n2"), 3, "w"))),
            Said("b", (Prefer(1, -2, "p"), Avoid(1, ("n2",), "q"), Delay(1, 7.0, "r"), Weigh(("n2",), 4, "s"))),
        ]
    )
    job = aims.jobs[1]
    assert (job.points, job.avoid, job.until, job.hold) == (3, {"n1", "n2"}, 10.0, False)
    assert job.whys == [Why("a", "x"), Why("a", "y"), Why("a", "z"), Why("b", "p"), Why("b", "q"), Why("b", "r")]
    assert {name: node.weight for name, node in aims.nodes.items()} == {"n1": 3, "n2": 7}


@given(st.lists(wishes, max_size=12), st.data())
def test_the_order_of_wishes_that_can_be_joined_does_not_matter(said, data):
    def flat(actions: list[Action]) -> object:
        aims = joined([Said("p", tuple(actions))])
        jobs = {n: (j.points, frozenset(j.avoid), j.hold, j.until, j.time_min_s) for n, j in aims.jobs.items()}
        return jobs, {name: (node.weight, frozenset(node.features)) for name, node in aims.nodes.items()}

    assert flat(said) == flat(data.draw(st.permutations(said)))


def test_of_two_reservations_that_want_the_same_the_first_policy_has_its_way():
    first = Reserve("gang-1", ("n1", "n2"), 10.0, 99.0, (1, 2), "a gang")
    for other in (
        Reserve("gang-1", ("n3",), 10.0, 99.0, (3,), "the same name"),
        Reserve("gang-2", ("n2", "n3"), 10.0, 99.0, (3,), "a node of it"),
        Reserve("gang-3", ("n4",), 10.0, 99.0, (2, 3), "a job of it"),
    ):
        aims = joined([Said("a", (first,)), Said("b", (other,))])
        assert aims.reservations == {"gang-1": ("a", first)}
        assert aims.overruled == [("b", other)]
        assert {number: job.reservation for number, job in aims.jobs.items()} == {1: "gang-1", 2: "gang-1"}


def test_a_job_is_acted_on_by_one_policy_at_a_time():
    acts = (Requeue(1, "a node is bad"), Shrink(2, 1, "others wait"))
    late = Shrink(1, 2, "others wait")
    aims = joined([Said("a", acts), Said("b", (late,))])
    assert aims.acts == [("a", acts[0]), ("a", acts[1])]
    assert aims.overruled == [("b", late)]


def test_a_parameter_of_the_scheduler_is_set_by_one_policy_and_the_same_value_is_no_quarrel():
    first, same = Tune({"bf_window": "1440"}, "long jobs wait"), Tune({"bf_window": "1440"}, "me too")
    other = Tune({"bf_window": "2880", "bf_interval": "30"}, "longer")
    aims = joined([Said("a", (first,)), Said("b", (same,)), Said("c", (other,))])
    assert {name: value for name, (value, _) in aims.parameters.items()} == {"bf_window": "1440", "bf_interval": "30"}
    assert aims.overruled == [("c", other)]


def test_what_changes_from_one_answer_to_the_next_is_told_once_whatever_the_reasons():
    before = [Prefer(1, 5, "for 3 s"), Hold(2, "x"), Shrink(3, 1, "an act is no wish")]
    after = [Prefer(1, 5, "for 4 s"), Hold(4, "y"), Hold(4, "again")]
    assert list(changes(keyed(before), keyed(after))) == [(Hold(2, "x"), WITHDRAWN), (Hold(4, "again"), WISHED)]


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (Delay(1, math.nan, ""), "until is nan"),
        (Delay(1, math.inf, ""), "until is inf"),
        (Delay(1, -1.0, ""), "until is -1.0"),
        (LimitMin(1, math.nan, ""), "time_min_s is nan"),
        (LimitMin(1, -60.0, ""), "time_min_s is -60.0"),
        (Reserve("r", (), math.nan, 9.0, (), ""), "start is nan"),
        (Reserve("r", (), 9.0, 9.0, (), ""), "ends before"),
        (Reserve("r", (), 0.0, 2.0**40, (), ""), "end is"),
        (Reserve("a,b", (), 0.0, 9.0, (), ""), "'a,b'"),
        (Reserve("", (), 0.0, 9.0, (), ""), "''"),
        (Reserve("r" * 300, (), 0.0, 9.0, (), ""), "called 'rrr"),
        (Label((), "near far", ""), "'near far'"),
        (Label((), "a,b", ""), "'a,b'"),
        (Shrink(1, 0, ""), "0 nodes"),
        (Requeue(1, "", nodes=-3), "-3 nodes"),
    ],
)
def test_what_nobody_can_have_meant_is_known(action, why):
    assert why in unmeant(action)


@given(wishes)
def test_what_can_be_meant_is_not_taken_for_a_fault(wish):
    assert unmeant(wish) == ""
    assert unmeant(Reserve("hpcjobs_gang_1_0", ("n1",), 0.0, 1e9, (1,), "")) == ""


def test_an_action_says_which_jobs_and_nodes_it_names():
    assert jobs_of(Prefer(7, 1, "")) == {7}
    assert jobs_of(Reserve("r", ("n1",), 0.0, 1.0, (7, 8), "")) == {7, 8}
    assert jobs_of(Weigh(("n1",), 1, "")) == frozenset()
    assert nodes_of(Requeue(7, "", avoid=("n1",))) == {"n1"}
    assert nodes_of(Shrink(7, 3, "")) == frozenset()

"""How far two runs agree: figures that can be worked out by hand."""

from __future__ import annotations

import pytest

from hpcjobs.errors import Refused
from hpcjobs.sim.agreement import Started, agreement, table


def run(*starts: float, nodes: tuple[str, ...] = ("a",), run_s: float = 10) -> dict[int, Started]:
    return {job: Started(start_s, start_s + run_s, nodes) for job, start_s in enumerate(starts, start=1)}


def test_a_run_agrees_with_itself():
    same = agreement(run(0, 10, 20), run(0, 10, 20), submitted_s=0, tolerance_s=5)
    assert (same.makespan_off, same.order_off, same.start_off_s, same.same_nodes, same.pairs) == (0, 0, 0, 1, 3)


def test_the_opposite_order_is_off_by_all_pairs():
    assert agreement(run(0, 10, 20), run(20, 10, 0), submitted_s=0, tolerance_s=5).order_off == 1


def test_one_pair_of_three_the_other_way_round_is_a_third_and_one_at_the_same_moment_a_sixth():
    seen = run(0, 10, 20)
    assert agreement(seen, run(0, 20, 10), submitted_s=0, tolerance_s=5).order_off == pytest.approx(1 / 3)
    assert agreement(seen, run(0, 20, 20), submitted_s=0, tolerance_s=5).order_off == pytest.approx(1 / 6)


def test_who_of_two_within_a_period_is_first_is_not_compared():
    near = agreement(run(0, 5, 20), run(5, 0, 20), submitted_s=0, tolerance_s=5)
    assert (near.pairs, near.order_off) == (2, 0)
    assert agreement(run(0, 5), run(5, 0), submitted_s=0, tolerance_s=4).order_off == 1


def test_the_makespan_counts_from_the_first_submission_and_may_be_off_either_way():
    seen = run(10, 100)
    assert agreement(seen, run(10, 111), submitted_s=0, tolerance_s=5).makespan_off == pytest.approx(0.1)
    assert agreement(seen, run(10, 95), submitted_s=10, tolerance_s=5).makespan_off == pytest.approx(-0.05)


def test_nodes_are_the_same_in_whatever_order():
    other = {1: Started(0, 10, ("b", "a")), 2: Started(20, 30, ("c",))}
    assert agreement(run(0, 20, nodes=("a", "b")), other, submitted_s=0, tolerance_s=5).same_nodes == 0.5


@pytest.mark.parametrize(
    ("seen", "simulated", "submitted_s", "said"),
    [
        (run(0, 1), run(0), 0, r"jobs \[2\] are in one of the runs only"),
        ({}, {}, 0, "there are no jobs"),
        (run(0), run(0), 10, "all jobs ended by 10"),
    ],
)
def test_what_cannot_be_compared_is_refused(seen, simulated, submitted_s, said):
    with pytest.raises(Refused, match=said):
        agreement(seen, simulated, submitted_s=submitted_s, tolerance_s=5)


def test_the_table_has_a_line_for_each_run():
    one = agreement(run(0, 10), run(0, 9), submitted_s=0, tolerance_s=5)
    head, line = table({"seed 1": one}).splitlines()
    assert head.startswith("RUN ")
    assert line.split() == ["seed", "1", "2", "20", "s", "-5.0%", "1", "0.0%", "0.5", "s", "100%"]

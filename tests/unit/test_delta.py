from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.slurm.delta import Listing, Marks, merged

from .builders import node, record


def test_the_first_comparison_finds_everything_new_and_the_same_again_finds_nothing():
    marks: Marks[int] = Marks()
    assert marks.compare({1: 10, 2: 20}) == ([1, 2], [])
    assert marks.compare({1: 10, 2: 20}) == ([], [])
    marks.clear()
    assert marks.compare({1: 10}) == ([1], [])


@given(st.lists(st.dictionaries(st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=8))
def test_what_is_told_of_changes_adds_up_to_what_is_there(listings):
    marks: Marks[int] = Marks()
    view = None
    for serial, there in enumerate(listings):
        changed, gone = marks.compare(dict(there))
        jobs = [record(number, priority=there[number]) for number in changed]
        view = merged(view, Listing(serial, serial + 1, jobs, gone, [], []), "big", 1.0)
        assert {number: job.priority for number, job in view.jobs.items()} == there


def test_what_did_not_change_is_the_very_same_object():
    whole = Listing(0, 1, [record(1), record(2)], [], [node("n1"), node("n2")], [])
    before = merged(None, whole, "big", 1.0)
    after = merged(before, Listing(1, 2, [record(2, priority=7)], [], [], ["n1"]), "big", 2.0)
    assert after.jobs[1] is before.jobs[1]
    assert after.jobs[2].priority == 7
    assert (list(after.nodes), after.asked_at) == (["n2"], 2.0)
    assert before.jobs[2].priority != 7

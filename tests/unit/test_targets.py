from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Conflict, JobUnknown, NotAllowed, Refused
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.spans import fold_tasks
from hpcjobs.slurm import slurmrestd_orders
from hpcjobs.slurm.base import Op
from hpcjobs.slurm.outcomes import Part, verdict
from hpcjobs.slurm.targets import Target, expand_tasks, parse_target, signal_number, waiting_tasks


@pytest.mark.parametrize(
    ("text", "target", "written"),
    [
        ("123", Target(123), "123"),
        ("123_4", Target(123, "4"), "123_4"),
        ("123_[1-5,7]", Target(123, "1-5,7", several=True), "123_[1-5,7]"),
        ("123_[1-9:2%3]", Target(123, "1-9:2", several=True), "123_[1-9:2]"),
        ("123_[4]", Target(123, "4", several=True), "123_[4]"),
        ("123+1", Target(123, offset=1), "123+1"),
    ],
)
def test_a_jobs_name_is_taken_apart_and_written_again(text, target, written):
    assert parse_target(text) == target
    assert target.text == written


@given(st.text())
def test_what_is_read_as_a_name_holds_nothing_but_figures_and_slurms_signs(text):
    try:
        target = parse_target(text)
    except Refused:
        return
    assert set(target.text) <= set("0123456789_[]-,:+")


@given(st.sets(st.integers(0, 60), min_size=1))
def test_tasks_are_folded_and_unfolded(tasks):
    assert expand_tasks(fold_tasks(list(tasks))) == sorted(tasks)


@pytest.mark.parametrize(
    ("text", "tasks"), [("0-6:3", [0, 3, 6]), ("3,1-2,2", [1, 2, 3]), ("1-4%2", [1, 2, 3, 4]), ("7", [7])]
)
def test_ranges_steps_and_limits_are_read(text, tasks):
    assert expand_tasks(text) == tasks


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "1-5:0", "1--2", "0-4000001", "1;2"])
def test_what_is_no_list_of_tasks_is_refused(text):
    with pytest.raises(ValueError, match="task numbers"):
        expand_tasks(text)


@pytest.mark.parametrize(
    ("kept", "printed"), [("0x4A", "1,3,6"), ("0x4A%2", "1,3,6%2"), ("0x1", "0"), ("1-6%2", "1-6%2"), ("", "")]
)
def test_tasks_that_wait_are_written_alike_whoever_tells_of_them(kept, printed):
    assert waiting_tasks(kept) == printed


@pytest.mark.parametrize(("name", "number"), [("USR1", 10), ("usr1", 10), ("SIGTERM", 15), ("9", 9)])
def test_signals_have_numbers(name, number):
    assert signal_number(name) == number


def kind_of(*parts: tuple[int, str], others_done: bool = False) -> type | None:
    error = verdict([Part(f"1_{i}", errno, words) for i, (errno, words) in enumerate(parts)], others_done=others_done)
    return None if error is None else type(error)


def test_parts_that_had_ended_do_not_spoil_what_was_done_to_others():
    done, ended, late, foreign, unknown = (0, ""), (2021, "x"), (2073, "x"), (2002, "x"), (2017, "x")
    assert kind_of() is kind_of(done) is kind_of(done, ended) is kind_of(ended, late, done) is None
    assert kind_of(ended) is kind_of(ended, ended) is kind_of(late) is Conflict
    assert kind_of(ended, others_done=True) is None
    assert kind_of(done, foreign) is kind_of(ended, foreign, done) is NotAllowed
    assert kind_of(unknown) is JobUnknown


def test_too_many_tasks_to_requeue_are_found_without_naming_them(monkeypatch):
    def expand(_):
        raise AssertionError("they were named")

    monkeypatch.setattr(slurmrestd_orders, "expand_tasks", expand)

    def lacks(tasks):
        return slurmrestd_orders.lacks(Op.REQUEUE, Order(Verb.REQUEUE, f"7_[{tasks}]"), "v0.0.45")

    assert "too many" in lacks("0-4000000")
    assert "too many" in lacks(",".join(["0-4000000:2"] * 50))
    assert "too many" in lacks("0-1000")
    assert lacks("0-999") == lacks("0-999,0-999") == ""


@pytest.mark.parametrize("text", ["1_[0-4000001]", "1_[5-1]", "1_[0-4:0]"])
def test_a_target_of_tasks_that_cannot_be_is_refused(text):
    with pytest.raises(Refused):
        parse_target(text)

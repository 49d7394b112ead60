"""A requeue with what follows it, carried on whatever is killed in between; and when orders are tried again."""

from __future__ import annotations

import pytest

from hpcjobs.errors import Conflict, NotAllowed, OutcomeUnknown, RateLimited, SlurmUnavailable
from hpcjobs.model.aims import JobAim
from hpcjobs.model.job import State
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Prefer, Requeue, printable
from hpcjobs.steering.absent import LONG_S, Absent
from hpcjobs.steering.orders import AGAIN_S, SOON_S, pause_s
from hpcjobs.steering.plan import plan_jobs
from hpcjobs.steering.requeues import LATE_S, Stage, row_of, stage_of
from tests.unit.builders import node, record, view

ACT = Requeue(1, "n2 is suspect.", nodes=2, avoid=("n2",))
ROW = row_of(ACT, "id1", record(1, state=State.RUNNING), 100.0)


def requeued(**facts):
    own = Particulars(excluded_nodes=facts.pop("excluded", ""))
    told = {"restarts": 1, "submit_time": 110, "eligible_time": 231, "nodes": 4, "particulars": own}
    return record(1, **(told | facts))


def planned(job, *rows, aim=None, asked_at=120.0):
    aims = {1: aim} if aim else {}
    return plan_jobs(aims, {1: job}, {1: "id1"}, {row.key: row for row in (ROW, *rows)}, asked_at, asked_at)


@pytest.mark.parametrize(
    ("job", "asked_at", "stage"),
    [
        (requeued(), 100.0, Stage.OPEN),
        (requeued(state=State.COMPLETING, restarts=0), 120.0, Stage.OPEN),
        (requeued(), 120.0, Stage.DUE),
        (requeued(state=State.HELD), 120.0, Stage.DUE),
        (requeued(state=State.RUNNING), 120.0, Stage.OVER),
        (requeued(state=State.RUNNING, restarts=0), 120.0, Stage.OPEN),
        (requeued(state=State.RUNNING, restarts=0), 100.0 + LATE_S, Stage.OVER),
        (requeued(state=State.FINISHED, restarts=0), 120.0, Stage.OVER),
        (requeued(restarts=0), 120.0, Stage.OPEN),
        (requeued(restarts=0), 100.0 + LATE_S, Stage.OVER),
    ],
)
def test_the_listing_tells_how_far_a_requeue_is(job, asked_at, stage):
    assert stage_of(ROW, job, asked_at, asked_at) is stage


def test_what_follows_a_requeue_is_done_at_once_and_its_row_goes_with_it():
    (step,) = planned(requeued(excluded="n7"))
    assert step.orders == (Order(Verb.UPDATE, "1", changes=Changes(nodes=2, exclude="n[2,7]", begin=0)),)
    assert step.dropped == step.once == (ROW.key,)


def test_nodes_that_policies_keep_a_job_from_do_not_become_its_own_by_a_requeue():
    ours = Steered(Key("job", "id1", "exclude"), "n7", "n1,n7", ("n7",), 50.0)
    (step,) = planned(requeued(excluded="n[1,7]"), ours, aim=JobAim(avoid={"n1"}))
    assert step.orders == (Order(Verb.UPDATE, "1", changes=Changes(nodes=2, exclude="n[1-2,7]", begin=0)),)
    assert {(row.key.field, row.base) for row in step.rows} == {("exclude", "n2,n7"), ("begin", 0)}


def test_a_start_time_that_was_asked_for_is_not_lost_by_a_requeue_and_slurms_own_pause_is_nobodys_wish():
    asked = Steered(Key("job", "id1", "begin"), 9000, 0, (9000,), 50.0)
    (step,) = planned(requeued(), asked, aim=JobAim(start=True))
    assert [row.base for row in step.rows if row.key.field == "begin"] == [9000]
    rows = {asked.key: asked}
    (step,) = plan_jobs({1: JobAim(start=True)}, {1: requeued()}, {1: "id1"}, rows, 120.0, 120.0)
    assert [row.base for row in step.rows] == [9000]


@pytest.mark.parametrize("state", [State.RUNNING, State.FINISHED])
def test_a_requeue_that_was_not_done_is_forgotten(state):
    (step,) = planned(requeued(state=state, restarts=0), asked_at=100.0 + LATE_S)
    assert (step.orders, step.dropped) == ((), (ROW.key,))


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (SlurmUnavailable("x"), SOON_S),
        (OutcomeUnknown("x"), SOON_S),
        (Conflict("It is completing."), SOON_S),
        (RateLimited("x", retry_after_s=30), 30),
        (NotAllowed("x"), AGAIN_S),
    ],
)
def test_what_was_in_the_way_says_when_to_try_again(fault, seconds):
    assert pause_s(fault) == seconds


def test_what_is_missing_is_remembered_for_long_and_no_less():
    absent, key = Absent(), Key("node", "n1", "weight")
    rows = {key: Steered(key, 1, 9, (1,), 0.0)}
    there, gone = view(nodes=(node("n1"),)), view()
    assert absent.see(rows, gone, {}, 0.0) == (set(), set())
    assert absent.see(rows, there, {}, LONG_S) == (set(), set())
    assert absent.see(rows, gone, {}, LONG_S + 1) == (set(), set())
    assert absent.see(rows, gone, {}, 2 * LONG_S + 2) == (set(), {("node", "n1")})


def test_a_reason_that_quotes_what_a_user_wrote_can_be_written_anywhere():
    assert printable(Prefer(1, 1, "of job a\x00b\nc")).why == "of job a b c"
    assert len(printable(Prefer(1, 1, "x" * 10**6)).why) == 2000

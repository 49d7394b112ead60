"""What is to be done about a job of which was decided, by what is listed: pure."""

from __future__ import annotations

import pytest

from hpcjobs.model.cluster import Failure
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness
from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.recovery import Decision, Hold, Recovery, RecoveryState, Retry, Stop
from hpcjobs.model.steering import Avoid, Delay, Release, Requeue, Resize, Start
from hpcjobs.model.steering import Hold as HoldJob
from hpcjobs.model.usage import Run as AccountedRun
from hpcjobs.recovery.course import FORGOTTEN_S, LOST_S, actions, last_run, requeued_for, run_before, state_of

DIAGNOSIS = Diagnosis(failure=FailureClass.NODE, sure=Sureness.STRONG, sentence="n1 failed.")
HELD = "launch failed requeued held"
AGAIN = Retry(why="x", at=100.0, avoid=("n1",), nodes=3)


def decided(decision: Decision, run: int = 0) -> Recovery:
    return Recovery(
        cluster="big", job_id="a", slurm_job_id=7, run=run, at=90.0, progress=None, diagnosis=DIAGNOSIS,
        decision=decision, plugin="checkpoint", decided_at=91.0,
    )  # fmt: skip


def job(state: State, restarts: int = 0, **fields: object) -> JobRecord:
    return JobRecord(slurm_job_id=7, state=state, restarts=restarts, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("decision", "record", "now", "wanted"),
    [
        (AGAIN, job(State.FINISHED), 100.0, [Requeue(7, "x", 3)]), (AGAIN, job(State.FINISHED), 99.0, []),
        (AGAIN, job(State.FINISHED, fate=Fate.COMPLETED), 100.0, []),  # it had hung, and came to its end after all
        (AGAIN, job(State.FINISHED, fate=Fate.CANCELLED), 100.0, []),
        (AGAIN, job(State.FINISHED, fate=Fate.FAILED), 100.0, [Requeue(7, "x", 3)]),
        (Retry(why="x", at=0.0), job(State.FINISHED, fate=Fate.FAILED), 100.0, [Requeue(7, "x", at_once=True)]),
        (AGAIN, job(State.FINISHED, 1), 100.0, []), (AGAIN, job(State.COMPLETING), 100.0, []),
        (AGAIN, job(State.RUNNING), 100.0, [Requeue(7, "x", 3)]),  # it has hung
        (AGAIN, job(State.RUNNING), 99.0, []), (AGAIN, job(State.RUNNING, 1), 100.0, []),
        (Hold("x"), job(State.RUNNING), 100.0, [Requeue(7, "x")]), (Stop("x"), job(State.RUNNING), 100.0, []),
        (AGAIN, job(State.PENDING), 100.0, []),  # it waits, and not after that run
        (AGAIN, job(State.PENDING, 1), 99.0, [Avoid(7, ("n1",), "x"), Delay(7, 100.0, "x")]),
        (AGAIN, job(State.PENDING, 1, nodes=4), 100.0, [Resize(7, 3, "x")]),
        (AGAIN, job(State.PENDING, 1), 100.0, [Avoid(7, ("n1",), "x"), Start(7, "x")]),
        (AGAIN, job(State.HELD, 1), 100.0, [Avoid(7, ("n1",), "x"), Start(7, "x")]),  # somebody else holds it
        (AGAIN, job(State.HELD, 1, reason=HELD), 100.0, [Avoid(7, ("n1",), "x"), Start(7, "x"), Release(7, "x")]),
        (Stop("x"), job(State.HELD, 1, reason=HELD), 100.0, []),
        (Hold("x"), job(State.PENDING, 1), 100.0, [HoldJob(7, "x")]), (Hold("x"), job(State.FINISHED), 100.0, []),
        (Stop("x"), job(State.FINISHED), 100.0, []), (Stop("x"), job(State.PENDING, 1), 100.0, []),
    ],
)  # fmt: skip
def test_what_is_done_follows_from_what_is_listed(decision, record, now, wanted):
    assert list(actions(decided(decision), record, now)) == wanted


@pytest.mark.parametrize(
    ("decision", "record", "state"),
    [
        (AGAIN, job(State.RUNNING, 1), "done"), (AGAIN, job(State.FINISHED, 1), "done"),
        (AGAIN, job(State.RUNNING, 0), "open"), (AGAIN, job(State.PENDING, 1), "open"),
        (AGAIN, job(State.FINISHED, fate=Fate.COMPLETED), "over"),
        (AGAIN, job(State.FINISHED, fate=Fate.FAILED), "open"),
        (AGAIN, job(State.FINISHED), "open"), (Hold("x"), job(State.HELD, 1), "done"),
        (Hold("x"), job(State.PENDING, 1), "open"),
    ],
)  # fmt: skip
def test_a_decision_is_carried_out_when_the_listing_shows_it(decision, record, state):
    assert state_of(decided(decision), record, 100.0) is RecoveryState(state)


def test_a_job_that_one_listing_lacks_is_not_given_up():
    assert state_of(decided(AGAIN), None, 100.0) is RecoveryState.OPEN
    assert state_of(decided(AGAIN), None, 92.0 + FORGOTTEN_S) is RecoveryState.OVER


def test_of_several_runs_the_one_that_ended_last_is_why_a_job_waits_again():
    told = [
        AccountedRun(slurm_job_id=7, submit_time=1, end_time=950, raw_state="REQUEUED"),
        AccountedRun(slurm_job_id=7, submit_time=960, end_time=998, raw_state="NODE_FAIL"),
        AccountedRun(slurm_job_id=7, submit_time=1000, raw_state="PENDING"),
    ]
    waits = job(State.PENDING, 2, submit_time=1000)
    assert run_before(waits, told) == told[1]
    assert run_before(waits, told[::2]) == told[0]
    assert run_before(waits, told[2:]) is None
    assert run_before(job(State.PENDING, 1, submit_time=2000), told) is None


def test_accounting_tells_what_slurm_requeued_by_itself():
    told = {
        ("NODE_FAIL", 0): (Fate.NODE_FAIL, "NODE_FAIL"), ("REQUEUED", 54): (Fate.FAILED, "LAUNCH_FAILED"),
        ("PREEMPTED", 0): (Fate.PREEMPTED, "PREEMPTED"),
        ("REQUEUED", 0): None, ("REQUEUED", 15): None, ("FAILED", 54): None,
    }  # fmt: skip
    for (state, signal), ended in told.items():
        run = AccountedRun(slurm_job_id=7, submit_time=1, end_time=9, raw_state=state, exit_signal=signal)
        assert requeued_for(run) == ended


def test_the_run_that_ended_last_is_the_one_to_decide_of():
    failed = [Failure("n1", 50.0, 7), Failure("n2", 2000.0, 7)]
    run = last_run("a", job(State.FINISHED, 2, fate=Fate.TIMEOUT, end_time=60), failed, 70.0)
    assert run is not None
    assert (run.run, run.fate, run.at, run.failed) == (2, Fate.TIMEOUT, 60.0, {"n1": 50.0, "n2": 2000.0})
    run = last_run("a", job(State.PENDING, 2), failed, 2010.0)
    assert run is not None
    assert (run.run, run.fate, run.at, run.failed) == (1, Fate.NODE_FAIL, 2000.0, {"n2": 2000.0})
    assert last_run("a", job(State.PENDING, 2), failed, 2001.0 + LOST_S) is None
    for other in (
        job(State.PENDING), job(State.RUNNING, 1), job(State.FINISHED, fate=Fate.COMPLETED),
        job(State.FINISHED, fate=Fate.CANCELLED), job(State.UNKNOWN, 1),
    ):  # fmt: skip
        assert last_run("a", other, (), 70.0) is None


@pytest.mark.parametrize(
    "told", [{"reason": HELD}, {"reason": "JobHeldUser", "particulars": Particulars(state_description=HELD)}]
)
def test_what_slurm_holds_because_it_could_not_launch_it_is_a_run_that_ended(told):
    failed = [Failure("n1", 55.0, 7)]  # under the run before
    run = last_run("a", job(State.HELD, 2, submit_time=60, **told), failed, 70.0)
    assert run is not None
    assert (run.run, run.fate, run.at, run.failed, run.word) == (1, Fate.FAILED, 60.0, {}, "LAUNCH_FAILED")
    assert last_run("a", job(State.HELD, 2, submit_time=60, reason="JobHeldUser"), (), 70.0) is None
    assert last_run("a", job(State.PENDING, 2, submit_time=60, **told), (), 70.0) is None

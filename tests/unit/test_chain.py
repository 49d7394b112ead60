"""The chain of a job's runs: in order, nothing lost, nothing twice, whatever of it is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.chain import chain
from hpcjobs.injob.naming import step_of
from hpcjobs.model.attempt import Attempt, AttemptState
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness
from hpcjobs.model.job import Fate, State
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Hold, Recovery, RecoveryState, Retry, Stop
from hpcjobs.model.steering import Requeue
from hpcjobs.model.usage import Run
from hpcjobs.outlook import outlook
from hpcjobs.steering.telling import DONE, OTHERS, Told
from hpcjobs.store import events
from tests.unit.builders import job, record

ATTEMPTS = (Attempt("a1", 1, AttemptState.UNSENT, 5.0, 6.0, "away"), Attempt("a2", 2, AttemptState.SENT, 7.0, 8.0))
AGAIN = Retry(why="A node failed.", at=0.0, avoid=("n2",))
DIAGNOSIS = Diagnosis(failure=FailureClass.NODE, sure=Sureness.STRONG, sentence="A node failed.")


def recovery(run: int = 0, **fields) -> Recovery:
    told = {"cluster": "big", "job_id": "0" * 32, "slurm_job_id": 7, "run": run, "at": 100.0 * run + 90,
            "progress": None, "diagnosis": DIAGNOSIS, "decision": AGAIN, "plugin": "checkpoint",
            "decided_at": 100.0 * run + 91, "state": RecoveryState.DONE}  # fmt: skip
    return Recovery(**(told | fields))


def accounted(run: int, **fields) -> Run:
    told = {"slurm_job_id": 7, "submit_time": 100 * run + 1, "start_time": 100 * run + 10, "end_time": 100 * run + 90,
            "raw_state": "NODE_FAIL", "nodes": 2, "node_list": f"n[{run}-9]", "restarts": run}  # fmt: skip
    return Run(**(told | fields))


def progress(run: int, **fields) -> Progress:
    told = {"cluster": "big", "job_id": "0" * 32, "run": run, "attempt": run + 1, "began": 1.0, "alive": 2.0,
            "seen_at": 3.0}  # fmt: skip
    return Progress(**(told | fields))


def was(at: float, **fields) -> Event:
    return events.state_event(job(**fields), None, at)


def running(**fields):
    told = {"state": State.RUNNING, "raw_state": "RUNNING", "start_time": 1010, "nodes": 2, "node_list": "n[1-2]"}
    return job(**(told | fields))


def test_a_run_is_told_by_accounting_its_decision_and_its_beginning_again():
    (first, last) = chain(running(restarts=1, start_time=95, attempt="a2"), ATTEMPTS, [recovery()], [accounted(0)], [])
    assert (first.run, first.began, first.ended, first.node_list, first.fate) == (0, 10, 90, "n[0-9]", Fate.NODE_FAIL)
    assert (first.state, first.attempt) == (State.FINISHED, 2)
    assert (first.decision_s, first.restart_s, first.again_s) == (1.0, 4.0, 5.0)
    assert (last.run, last.state, last.began, last.ended, last.recovery) == (1, State.RUNNING, 95, None, None)


def test_the_times_to_the_decision_and_on_to_the_next_run_add_up_also_where_the_decision_knew_another_end():
    late = recovery(at=90.8, decided_at=91.0)
    (first, _) = chain(running(restarts=1, start_time=95), ATTEMPTS, [late], [accounted(0)], [])
    assert (first.decision_s, first.restart_s, first.again_s) == (1.0, 4.0, 5.0)
    hung = recovery(at=50.0, decided_at=52.0)
    (first, _) = chain(running(restarts=1, start_time=95), ATTEMPTS, [hung], [accounted(0)], [])
    assert (first.decision_s, first.restart_s, first.again_s) == (2.0, 43.0, 5.0)


def test_before_accounting_tells_events_do():
    told = [
        was(11.0, state=State.RUNNING, raw_state="RUNNING", node_list="n1"),
        was(60.0, state=State.FINISHED, fate=Fate.FAILED, raw_state="FAILED", exit_code=3, node_list="n1"),
        was(62.0, state=State.PENDING, raw_state="PENDING", restarts=1),
    ]
    (first, last) = chain(job(state=State.PENDING, restarts=1), ATTEMPTS, [], [], told)
    assert (first.again_s, last.again_s) == (None, None)
    assert (first.began, first.ended, first.node_list) == (11.0, 60.0, "n1")
    assert (first.fate, first.exit_code, first.raw_state) == (Fate.FAILED, 3, "FAILED")
    assert (last.state, last.began, last.exit_code) == (State.PENDING, None, None)


def test_that_it_waits_again_ends_the_run_before_where_nothing_else_says_so():
    told = [was(11.0, state=State.RUNNING), was(62.0, state=State.PENDING, restarts=1)]
    (first, _) = chain(job(state=State.PENDING, restarts=1), ATTEMPTS, [], [], told)
    assert (first.began, first.ended, first.fate) == (11.0, 62.0, None)


def test_accounting_calls_a_failed_run_requeued_and_the_event_knows_better():
    told = [was(60.0, state=State.FINISHED, fate=Fate.FAILED, raw_state="FAILED")]
    (first, _) = chain(running(restarts=1), ATTEMPTS, [], [accounted(0, raw_state="REQUEUED")], told)
    assert (first.fate, first.raw_state) == (Fate.FAILED, "REQUEUED")


def test_a_run_that_was_made_smaller_is_one():
    pieces = [accounted(0, end_time=50, nodes=4, node_list="n[1-4]", raw_state="RESIZING"),
              accounted(0, submit_time=50, start_time=50, nodes=2, node_list="n[1-2]")]  # fmt: skip
    (first, _) = chain(running(restarts=1), ATTEMPTS, [], pieces[::-1], [])
    assert (first.began, first.ended, first.nodes, first.node_list) == (10, 90, 4, "n[1-4]")


def test_who_had_it_requeued_is_told_of_the_run_that_this_ended():
    told = [
        was(11.0, state=State.RUNNING),
        events.of_job(EventKind.JOB_ORDER, job(), 20.0, verb="requeue", by="ops"),
        was(21.0, state=State.PENDING, restarts=1),
        events.of_job(EventKind.JOB_ORDER, job(), 22.0, verb="hold", by="alice"),
    ]
    for happened in (told, [told[0], told[2], told[1], told[3]]):  # the listing may be quicker
        (first, last) = chain(running(restarts=1), ATTEMPTS, [], [], happened)
        assert (first.requeued_by, last.requeued_by) == ("ops", "")


def test_a_policy_that_had_it_requeued_is_named_with_its_reason_and_recovery_is_not_one():
    of = Told("big", {7: record()}, {7: "0" * 32})
    told = [
        was(11.0, state=State.RUNNING),
        *of.of_action("defragment", Requeue(7, "Room for 12."), "wished", 19.0),
        *of.of_action("defragment", Requeue(7, "Room for 12."), DONE, 20.0),
        was(21.0, state=State.RUNNING, restarts=1),
        *of.of_action(OTHERS, Requeue(7, "A node failed."), DONE, 22.0),
        was(23.0, state=State.PENDING, restarts=2),
    ]
    runs = chain(running(restarts=2), ATTEMPTS, [], [], told)
    assert [(one.requeued_by, one.requeued_why) for one in runs] == [
        ("policy defragment", "Room for 12."), ("", ""), ("", ""),
    ]  # fmt: skip


def test_a_run_of_which_only_the_decision_is_kept_ended_when_that_says():
    (first, last) = chain(running(restarts=1), ATTEMPTS, [recovery()], [], [])
    assert (first.began, first.ended, last.ended) == (None, 90.0, None)


def test_a_run_that_hangs_has_a_decision_and_no_end():
    (only,) = chain(running(), ATTEMPTS, [recovery()], [], [])
    assert (only.ended, only.recovery is not None) == (None, True)


def test_how_far_a_run_came_stands_with_it_and_from_which_step_it_went_on():
    saved = "/x/saved/step-1200.attempt-1.0123456789ab"
    told = [progress(0, step=1240, checkpoint=saved, checkpoint_step=1200), progress(1, resumed=saved)]
    (first, second, last) = chain(running(restarts=2), ATTEMPTS, [], [], [], told)
    assert (first.progress, first.resumed_step) == (told[0], None)
    assert (second.progress, second.resumed_step) == (told[1], 1200)
    assert (last.progress, last.resumed_step) == (None, None)


def test_only_what_was_published_as_a_checkpoint_has_a_step():
    assert step_of("step-7.attempt-2.0123456789ab") == 7
    assert [step_of(path) for path in ("", "/x/step-7", "/x/step-7.attempt-2.0123456789ab/state.pt")] == [None] * 3


def test_an_array_and_a_job_that_slurm_has_not_have_no_runs():
    assert chain(job(array_size=3), ATTEMPTS, [], [], []) == ()
    assert chain(job(slurm_job_id=None, state=State.SUBMITTING), ATTEMPTS, [], [], []) == ()


RUNS = st.sets(st.integers(0, 9))
STATES = st.sampled_from([State.PENDING, State.RUNNING, State.COMPLETING, State.FINISHED, State.HELD, State.UNKNOWN])


@given(st.integers(0, 9), STATES, RUNS, RUNS, RUNS, st.lists(st.tuples(st.integers(0, 9), STATES)))
def test_runs_are_in_order_none_is_lost_and_none_is_twice(restarts, state, decided, told, came, seen):
    fate = Fate.FAILED if state is State.FINISHED else None
    now = running(restarts=restarts, state=state, fate=fate, end_time=1090 if fate else 0)
    happened = [was(1.0 + at, state=how, fate=Fate.FAILED if how is State.FINISHED else None, restarts=run)
                for at, (run, how) in enumerate(seen)]  # fmt: skip
    recoveries = [recovery(run) for run in sorted(decided)]
    found = chain(now, ATTEMPTS, recoveries, [accounted(run) for run in told], happened, map(progress, came))
    numbers = [one.run for one in found]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= {*range(restarts + 1), *decided, *told, *came}
    assert [one.recovery for one in found if one.recovery] == recoveries
    assert [one.state for one in found if one.run == restarts] == [state]
    assert all(one.state is State.FINISHED for one in found if one.run < restarts)
    assert {one.run for one in found if one.ended is not None} >= (decided | told) & set(range(restarts))
    assert all(one.restart_s is None for one in found[-1:])


BAD = {"state": State.FINISHED, "fate": Fate.FAILED}
HANGS = Retry(why="It hangs.", at=0.0)
LATER = Retry(why="Later.", at=1300.0)


@pytest.mark.parametrize(
    ("now", "decided", "recover", "said", "at"),
    [
        ({"state": State.SUBMITTING, "slurm_job_id": None}, [], True, "It goes to Slurm", None),
        ({"state": State.RUNNING}, [], True, "decided whether it starts again", None),
        ({"state": State.RUNNING}, [], False, "--recover", None),
        ({"state": State.RUNNING}, [recovery(decision=HANGS)], True, "starts again: It hangs", None),
        ({"state": State.RUNNING}, [recovery(decision=Hold("It hangs."))], True, "releases it: It hangs.", None),
        ({"state": State.RUNNING}, [recovery(decision=Stop("Let it."))], True, "it runs on: Let it.", None),
        ({"state": State.UNKNOWN}, [], True, "being found out", None),
        ({"state": State.HELD, "detail": "Too often."}, [], True, "releases it. Too often.", None),
        ({"state": State.HELD, "restarts": 1}, [recovery(decision=Hold("It hung."))], True, "it. It hung.", None),
        ({"state": State.PENDING, "eligible_time": 2000}, [], True, "when Slurm has nodes", 2000.0),
        ({"state": State.PENDING, "restarts": 1}, [recovery()], True, "nodes for it, without n2", None),
        ({"state": State.PENDING, "restarts": 1, "eligible_time": 1121},
         [recovery(decision=Retry(why="", at=1060.0), state=RecoveryState.OPEN)], True, "starts again", 1060.0),
        ({"state": State.FINISHED, "fate": Fate.COMPLETED}, [], True, "it has completed", None),
        (BAD | {"end_time": 990}, [], True, "being decided", None),
        (BAD | {"end_time": 100}, [], True, "nobody has decided", None),
        (BAD | {"end_time": 990}, [], False, "--recover", None),
        (BAD, [recovery(decision=Stop("Enough."))], True, "stays as it ended: Enough.", None),
        (BAD, [recovery(decision=Hold("Enough."))], True, "until somebody requeues it: Enough.", None),
        (BAD, [recovery(state=RecoveryState.OVER)], True, "could not be", None),
        (BAD,
         [recovery(decision=LATER, state=RecoveryState.OPEN)], True, "started again: Later.", 1300.0),
        ({"array_size": 3}, [], True, "tasks", None),
    ],
)  # fmt: skip
def test_what_comes_next_is_a_sentence(now, decided, recover, said, at):
    one = job(**now)
    sentence, then = outlook(one, chain(one, ATTEMPTS, decided, [], []), recover, 1000.0)
    assert said in sentence
    assert then == at

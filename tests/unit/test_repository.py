from __future__ import annotations

from itertools import permutations

import pytest
from sqlmodel import Session, select

from hpcjobs.errors import Refusal
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.store import attempts, repository
from hpcjobs.store.attempts import AttemptState, Begun
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import facts_of
from hpcjobs.store.tables import AttemptRow

from .builders import finished, record, spec

REFUSALS = [Refusal("partition", "There is none.", "no-partition"), Refusal("qos", "Nor this.")]


@pytest.fixture
def session(store):
    with Session(store.engine) as session:
        yield session


def begin(session: Session, key: str | None = "key", digest: str = "d", user: str = "alice") -> Begun:
    begun = attempts.begin(session, user, "big", spec(name="train"), key, digest, 10.0)
    session.flush()
    return begun


def seen(session: Session, *records, lost=None, now: float = 50.0, known_as: str | None = None):
    return repository.apply(session, "big", [(known_as, told) for told in records], lost or {}, now)


def attempt_of(session: Session, begun: Begun) -> AttemptRow:
    return session.get_one(AttemptRow, begun.attempt)


def job_now(session: Session, begun: Begun) -> Job:
    session.flush()
    session.expire_all()
    found = repository.job_by_id(session, begun.job.id)
    assert found is not None
    return found


def test_a_new_job_is_submitting_and_shows_what_was_asked(session):
    begun = begin(session)
    assert (begun.made, begun.state) == (True, AttemptState.SENDING)
    job = job_now(session, begun)
    assert (job.state, job.fate, job.slurm_job_id, job.user, job.name) == (
        State.SUBMITTING,
        None,
        None,
        "alice",
        "train",
    )
    assert repository.spec_of(session, job.id) == spec(name="train")


def test_without_a_key_every_call_makes_a_job_and_another_user_has_keys_of_their_own(session):
    ids = {begin(session, None).job.id, begin(session, None).job.id, begin(session).job.id,
        begin(session, user="bob").job.id}  # fmt: skip
    assert len(ids) == 4


def test_a_second_call_with_the_key_finds_the_first_attempt_under_way(session):
    first, again = begin(session), begin(session)
    assert (again.made, again.state, again.attempt, again.job) == (
        False,
        AttemptState.SENDING,
        first.attempt,
        first.job,
    )


def test_a_call_with_the_key_of_another_request_is_told_the_first_ones_digest(session):
    begin(session, digest="first")
    again = begin(session, digest="second")
    assert (again.made, again.digest) == (False, "first")


def test_a_refused_request_is_answered_again_with_the_same_refusals(session):
    first = begin(session)
    attempts.settle_refused(session, first.attempt, REFUSALS, 20.0)
    again = begin(session)
    assert (again.made, again.state, again.refusals) == (False, AttemptState.REFUSED, tuple(REFUSALS))
    job = job_now(session, first)
    assert (job.state, job.fate, job.detail) == (State.FINISHED, Fate.REFUSED, "There is none.; Nor this.")


def test_a_request_that_did_not_reach_slurm_gets_the_next_attempt_of_the_same_job(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "Slurm was away.", 20.0)
    assert (job_now(session, first).fate, job_now(session, first).detail) == (Fate.NOT_SENT, "Slurm was away.")
    again = begin(session)
    assert again.made
    assert again.attempt != first.attempt
    assert again.job.id == first.job.id
    assert (again.job.state, again.job.fate, again.job.detail) == (State.SUBMITTING, None, "")
    assert attempt_of(session, again).number == 2


def test_another_request_does_not_get_the_next_attempt(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    again = begin(session, digest="other")
    assert (again.made, again.state) == (False, AttemptState.UNSENT)
    assert job_now(session, first).fate is Fate.NOT_SENT


def test_a_request_whose_answer_was_lost_is_not_sent_again(session):
    first = begin(session)
    attempts.mark_unknown(session, first.attempt, "lost", 20.0)
    again = begin(session)
    assert (again.made, again.state, again.job.detail) == (False, AttemptState.UNKNOWN, "lost")


OUTCOMES = {
    "sent": lambda session, attempt: attempts.settle_sent(session, attempt, 7, 20.0),
    "unknown": lambda session, attempt: attempts.mark_unknown(session, attempt, "lost", 20.0),
    "unsent": lambda session, attempt: attempts.settle_unsent(session, attempt, "late", 20.0),
    "refused": lambda session, attempt: attempts.settle_refused(session, attempt, REFUSALS, 20.0),
    "seen": lambda session, attempt: seen(session, finished(7, attempt=attempt)),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_told_twice_is_told_once(session, outcome):
    begun = begin(session)
    OUTCOMES[outcome](session, begun.attempt)
    once, attempt = job_now(session, begun), attempt_of(session, begun).model_dump()
    OUTCOMES[outcome](session, begun.attempt)
    assert job_now(session, begun) == once
    assert attempt_of(session, begun).model_dump() == attempt


def test_whatever_else_was_thought_and_in_any_order_a_job_that_slurm_lists_is_that_job(session):
    for order in permutations(OUTCOMES):
        begun = begin(session)
        for outcome in order:
            OUTCOMES[outcome](session, begun.attempt)
        job = job_now(session, begun)
        assert (job.slurm_job_id, job.state, job.fate, job.detail) == (7, State.FINISHED, Fate.COMPLETED, ""), order
        assert attempt_of(session, begun).state == AttemptState.SENT, order
        assert len(repository.page(session, JobFilter(), None, 10)) == 1, order
        session.rollback()


def test_an_attempt_that_came_late_does_not_take_the_row_of_its_successor(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    second = begin(session)
    attempts.settle_sent(session, second.attempt, 8, 30.0)
    seen(session, record(8, attempt=second.attempt), record(7, attempt=first.attempt))
    assert job_now(session, second).slurm_job_id == 8
    assert {job.slurm_job_id for job in repository.page(session, JobFilter(), None, 10)} == {7, 8}


def test_an_attempt_whose_job_was_made_by_an_earlier_one_is_settled_and_not_sent_again(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    second = begin(session)
    seen(session, record(7, attempt=first.attempt))
    attempts.settle_unsent(session, second.attempt, "away", 30.0)
    session.flush()
    assert attempts.open_attempts(session, "big", 1e9) == []
    again = begin(session)
    assert (again.made, again.job.slurm_job_id, again.job.state) == (False, 7, State.PENDING)


def test_a_mark_copied_into_another_users_job_does_not_take_the_row(session):
    begun = begin(session)
    attempts.settle_sent(session, begun.attempt, 7, 20.0)
    seen(session, record(7, attempt=begun.attempt), record(9, user="mallory", attempt=begun.attempt))
    assert (job_now(session, begun).user, job_now(session, begun).slurm_job_id) == ("alice", 7)
    stranger = repository.job_by_slurm_id(session, "big", 9)
    assert stranger is not None
    assert stranger.user == "mallory"


def test_a_mark_copied_before_the_answer_does_not_settle_the_attempt(session):
    begun = begin(session)
    seen(session, record(9, user="mallory", attempt=begun.attempt))
    assert job_now(session, begun).slurm_job_id is None
    assert attempt_of(session, begun).state == AttemptState.SENDING


def test_only_attempts_that_are_open_for_long_enough_on_this_cluster_are_to_be_settled(session):
    old, young = begin(session, "1"), begin(session, "2")
    done, lost = begin(session, "3"), begin(session, "4")
    attempts.settle_sent(session, done.attempt, 1, 10.0)
    attempts.mark_unknown(session, lost.attempt, "lost", 11.0)
    attempt_of(session, young).changed_at = 99.0
    session.flush()
    assert set(attempts.open_attempts(session, "big", 50.0)) == {old.attempt, lost.attempt}
    assert attempts.open_attempts(session, "other", 50.0) == []


def test_a_job_that_came_another_way_gets_a_row_and_keeps_it(session):
    known = seen(session, record(3))
    assert (known[3].facts, known[3].final) == (facts_of(record(3)), False)
    again = seen(session, record(3, state=State.RUNNING))
    assert again[3].id == known[3].id
    assert repository.spec_of(session, known[3].id) is None


def test_a_number_used_again_gets_a_row_of_its_own_and_the_newest_answers_to_it(session):
    old = seen(session, finished(3, submit_time=100))[3].id
    new = seen(session, record(3, submit_time=500))[3].id
    assert new != old
    found = repository.job_by_slurm_id(session, "big", 3)
    assert found is not None
    assert found.id == new


def test_a_requeue_goes_on_in_the_same_row(session):
    first = seen(session, record(3, state=State.RUNNING))[3].id
    assert seen(session, record(3, submit_time=500, restarts=1))[3].id == first


def test_a_lost_job_is_unknown_with_a_reason_and_a_finished_one_stays_as_it_ended(session):
    known = seen(session, record(3, state=State.RUNNING), finished(4))
    seen(session, lost={known[3].id: "not listed", known[4].id: "not listed", "no such id": "x"})
    lost, ended = (repository.job_by_slurm_id(session, "big", number) for number in (3, 4))
    assert lost is not None
    assert (lost.state, lost.detail, lost.raw_state) == (State.UNKNOWN, "not listed", "PENDING")
    assert ended is not None
    assert (ended.state, ended.detail) == (State.FINISHED, "")
    assert seen(session, record(3, state=State.RUNNING))[3].id == known[3].id
    assert repository.live_jobs(session, "big").keys() == {3}


def test_after_a_restart_the_memory_holds_the_jobs_of_this_cluster_that_go_on(session):
    seen(session, record(1), finished(2), record(3, state=State.HELD))
    repository.apply(session, "other", [(None, record(4))], {}, 50.0)
    begin(session)
    live = repository.live_jobs(session, "big")
    assert {number: known.facts for number, known in live.items()} == {
        1: facts_of(record(1)),
        3: facts_of(record(3, state=State.HELD)),
    }


def test_every_attempt_of_a_job_is_kept(session):
    for _ in range(3):
        begun = begin(session)
        attempts.settle_unsent(session, begun.attempt, "away", 20.0)
    numbers = session.exec(select(AttemptRow.number).where(AttemptRow.job_id == begun.job.id)).all()
    assert sorted(numbers) == [1, 2, 3]

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import Connection, select, update

from hpcjobs.errors import Refusal
from hpcjobs.model.attempt import AttemptState
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.store import attempts, intake, listing, repository
from hpcjobs.store.intake import Begun
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import job_of
from hpcjobs.store.tables import ATTEMPTS

from .builders import finished, record, spec

REFUSALS = [Refusal("partition", "There is none.", "no-partition"), Refusal("qos", "Nor this.")]


@pytest.fixture
def session(store):
    with store.engine.connect() as connection:
        yield connection


def begin(
    session: Connection, key: str | None = "key", digest: str = "d", user: str = "alice", waits: str = ""
) -> Begun:
    (begun,) = intake.begin(session, [intake.Request(user, "big", spec(name="train"), key, digest, 10.0, waits=waits)])
    return begun


def settle_sent(session: Connection, attempt: str, number: int, at: float) -> None:
    job_id = session.execute(select(ATTEMPTS.c.job_id).where(ATTEMPTS.c.id == attempt)).scalar_one()
    job = repository.job_by_id(session, job_id)
    assert job is not None
    intake.settle_sent(session, [intake.Sent(job, attempt, number, at)])


def seen(session: Connection, *records, lost=(), now: float = 50.0, known_as: str | None = None):
    return listing.apply(session, "big", [(known_as, told) for told in records], lost, now)


def attempt_of(session: Connection, begun: Begun):
    return session.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == begun.attempt)).one()


def job_now(session: Connection, begun: Begun) -> Job:
    found = repository.job_by_id(session, begun.job.id)
    assert found is not None
    return found


def page(session: Connection, wanted: JobFilter | None = None) -> list[Job]:
    return [job_of(document) for document in repository.page(session, wanted or JobFilter(), None, 100)]


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


def take_next(session, cluster, now):
    """The turn of the job that waits longest; None: none waits."""
    waiting = [attempt for ids in attempts.turns(session, cluster, (), 10).values() for attempt in ids]
    return attempts.take(session, waiting[0], cluster, now) if waiting else None


def test_a_request_that_did_not_reach_slurm_waits_as_the_next_attempt_of_the_same_job(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "Slurm was away.", 20.0)
    job = job_now(session, first)
    assert (job.state, job.fate, job.detail) == (State.SUBMITTING, None, "Slurm was away.")
    again = begin(session)
    assert (again.made, again.job.id, again.state) == (False, first.job.id, AttemptState.WAITING)
    turn = take_next(session, "big", 30.0)
    assert turn is not None
    assert (turn.attempt, turn.job, turn.spec) == (again.attempt, job, spec(name="train"))
    assert take_next(session, "big", 30.0) is None
    assert [(one.number, one.state, one.detail) for one in attempts.of_job(session, job.id)] == [
        (1, AttemptState.UNSENT, "Slurm was away."),
        (2, AttemptState.SENDING, ""),
    ]


def test_what_waits_goes_out_in_the_order_in_which_it_came_and_only_to_its_cluster(session):
    jobs = [begin(session, str(number), waits="Slurm is away.").job.id for number in range(5)]
    assert attempts.waiting_by_user(session, "big") == {"alice": 5}
    assert attempts.waiting_by_user(session, "other") == {}
    assert take_next(session, "other", 30.0) is None
    turns = [take_next(session, "big", 30.0) for _ in range(5)]
    assert [turn.job.id for turn in turns if turn] == jobs
    attempts.settle_unsent(session, turns[1].attempt, "away again", 40.0)
    late = begin(session, "late", waits="others wait")
    assert take_next(session, "big", 50.0).job.id == jobs[1]
    assert take_next(session, "big", 50.0).job.id == late.job.id


def test_what_waits_is_told_by_user_and_without_those_who_are_left_out(session):
    mine = begin(session, "1", waits="Slurm is away.").attempt
    theirs = begin(session, "2", waits="Slurm is away.", user="bob").attempt
    more = begin(session, "3", waits="Slurm is away.").attempt
    assert attempts.waiting_by_user(session, "big") == {"alice": 2, "bob": 1}
    assert attempts.turns(session, "big", (), 10) == {"alice": [mine, more], "bob": [theirs]}
    assert attempts.turns(session, "big", ("alice",), 10) == {"bob": [theirs]}
    assert attempts.turns(session, "big", (), 1) == {"alice": [mine]}
    assert attempts.cancel_waiting(session, begin(session, "1").job.id, 20.0)
    assert attempts.take(session, mine, "big", 30.0) is None


def test_a_waiting_job_can_be_cancelled_and_is_not_sent_then(session):
    begun = begin(session, waits="Slurm is away.")
    over = attempts.cancel_waiting(session, begun.job.id, 20.0)
    assert over is not None
    assert (over.state, over.fate) == (State.FINISHED, Fate.CANCELLED)
    assert take_next(session, "big", 30.0) is None
    assert attempts.cancel_waiting(session, begun.job.id, 20.0) is None
    sending = begin(session, "other")
    assert attempts.cancel_waiting(session, sending.job.id, 20.0) is None
    assert job_now(session, sending).state is State.SUBMITTING


def test_a_request_whose_answer_was_lost_is_not_sent_again(session):
    first = begin(session)
    attempts.mark_unknown(session, first.attempt, "lost", 20.0)
    again = begin(session)
    assert (again.made, again.state, again.job.detail) == (False, AttemptState.UNKNOWN, "lost")


OUTCOMES = {
    "sent": lambda session, attempt: settle_sent(session, attempt, 7, 20.0),
    "unknown": lambda session, attempt: attempts.mark_unknown(session, attempt, "lost", 20.0),
    "unsent": lambda session, attempt: attempts.settle_unsent(session, attempt, "late", 20.0),
    "refused": lambda session, attempt: attempts.settle_refused(session, attempt, REFUSALS, 20.0),
    "seen": lambda session, attempt: seen(session, finished(7, attempt=attempt)),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_told_twice_is_told_once(session, outcome):
    begun = begin(session)
    OUTCOMES[outcome](session, begun.attempt)
    once, attempt = job_now(session, begun), attempt_of(session, begun)
    OUTCOMES[outcome](session, begun.attempt)
    assert job_now(session, begun) == once
    assert attempt_of(session, begun) == attempt


def test_whatever_else_was_thought_and_in_any_order_a_job_that_slurm_lists_is_that_job(session):
    for order in permutations(OUTCOMES):
        begun = begin(session)
        for outcome in order:
            OUTCOMES[outcome](session, begun.attempt)
        job = job_now(session, begun)
        assert (job.slurm_job_id, job.state, job.fate, job.detail) == (7, State.FINISHED, Fate.COMPLETED, ""), order
        assert attempt_of(session, begun).state == AttemptState.SENT, order
        assert len(page(session)) == 1, order
        session.rollback()


def test_an_attempt_that_came_late_does_not_take_the_row_of_its_successor(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    second = take_next(session, "big", 25.0)
    settle_sent(session, second.attempt, 8, 30.0)
    seen(session, record(8, attempt=second.attempt), record(7, attempt=first.attempt))
    assert job_now(session, first).slurm_job_id == 8
    assert {job.slurm_job_id for job in page(session)} == {7, 8}


def test_an_attempt_whose_job_was_made_by_an_earlier_one_is_settled_and_not_sent_again(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    second = take_next(session, "big", 25.0)
    seen(session, record(7, attempt=first.attempt))
    attempts.settle_unsent(session, second.attempt, "away", 30.0)
    assert attempts.open_attempts(session, "big", 1e9) == []
    again = begin(session)
    assert (again.made, again.job.slurm_job_id, again.job.state) == (False, 7, State.PENDING)


def test_a_mark_copied_into_another_users_job_does_not_take_the_row(session):
    begun = begin(session)
    settle_sent(session, begun.attempt, 7, 20.0)
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
    settle_sent(session, done.attempt, 1, 10.0)
    attempts.mark_unknown(session, lost.attempt, "lost", 11.0)
    session.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == young.attempt).values(changed_at=99.0))
    assert {one.id for one in attempts.open_attempts(session, "big", 50.0)} == {old.attempt, lost.attempt}
    assert attempts.open_attempts(session, "other", 50.0) == []


def test_a_job_that_came_another_way_gets_a_row_and_keeps_it(session):
    known = seen(session, record(3))
    assert (known[3].record, known[3].final) == (record(3), False)
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
    seen(session, lost=[known[3].id, known[4].id, "no such id"])
    lost, ended = (repository.job_by_slurm_id(session, "big", number) for number in (3, 4))
    assert lost is not None
    assert (lost.state, lost.detail, lost.raw_state) == (State.UNKNOWN, listing.UNKNOWN_END, "PENDING")
    assert ended is not None
    assert (ended.state, ended.detail) == (State.FINISHED, "")
    assert seen(session, record(3, state=State.RUNNING))[3].id == known[3].id
    assert [known.record.slurm_job_id for known in repository.live_jobs(session, "big")] == [3]


def test_after_a_restart_the_memory_holds_the_jobs_of_this_cluster_that_go_on(session):
    seen(session, record(1), finished(2), record(3, state=State.HELD))
    listing.apply(session, "other", [(None, record(4))], (), 50.0)
    begin(session)
    live = repository.live_jobs(session, "big")
    assert [known.record for known in live] == [record(1), record(3, state=State.HELD)]


def test_every_attempt_of_a_job_is_kept(session):
    attempt = begin(session).attempt
    for _ in range(3):
        attempts.settle_unsent(session, attempt, "away", 20.0)
        attempt = take_next(session, "big", 30.0).attempt
    job_id = page(session)[0].id
    assert [one.number for one in attempts.of_job(session, job_id)] == [1, 2, 3, 4]


def test_a_job_that_an_earlier_attempt_brought_into_slurm_after_all_is_not_sent_again(session):
    first = begin(session)
    attempts.settle_unsent(session, first.attempt, "away", 20.0)
    seen(session, record(7, attempt=first.attempt))
    assert attempts.waiting_by_user(session, "big") == {}
    assert take_next(session, "big", 30.0) is None

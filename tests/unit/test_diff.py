from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, Job, JobRecord, State
from hpcjobs.observe.diff import Diff, diff
from hpcjobs.store.listing import same_job
from hpcjobs.store.repository import Known
from hpcjobs.store.rows import columns_of, job_of, record_of, with_record

from .builders import finished, record, view

RECORDS = st.builds(
    record,
    st.integers(1, 6),
    user=st.sampled_from(["alice", "bob"]),
    state=st.sampled_from([State.PENDING, State.RUNNING, State.FINISHED]),
    submit_time=st.integers(1, 3),
    restarts=st.integers(0, 2),
    reason=st.sampled_from(["", "Resources"]),
)
VIEWS = st.lists(RECORDS, max_size=6).map(lambda records: view(*records))


def remember(known: dict[int, Known], change: Diff, seen: ClusterView) -> dict[int, Known]:
    """What an observer remembers after it has written a diff: a new id for what is new, the old one for the rest."""
    after = {number: before for number, before in known.items() if number in seen.jobs}
    for job_id, told in change.changed:
        after[told.slurm_job_id] = Known(job_id or f"new-{told.slurm_job_id}", told)
    return after


def known_of(*records: JobRecord) -> dict[int, Known]:
    return {told.slurm_job_id: Known(f"id-{told.slurm_job_id}", told) for told in records}


@given(VIEWS)
def test_a_diff_applied_to_an_empty_memory_yields_the_view(seen):
    change = diff({}, seen)
    assert {told.slurm_job_id: told for _, told in change.changed} == seen.jobs
    assert all(job_id is None for job_id, _ in change.changed)
    assert change.lost == ()


@given(VIEWS)
def test_the_same_view_twice_changes_nothing(seen):
    assert diff(remember({}, diff({}, seen), seen), seen) == Diff((), ())


@given(st.lists(VIEWS, max_size=4))
def test_however_the_views_go_the_memory_holds_the_last_one(views):
    known: dict[int, Known] = {}
    seen = view()
    for seen in views:
        known = remember(known, diff(known, seen), seen)
    assert {number: before.record for number, before in known.items()} == seen.jobs


@given(VIEWS, VIEWS)
def test_every_job_that_went_away_is_lost_or_had_ended_and_none_is_both(first, second):
    change = diff(remember({}, diff({}, first), first), second)
    gone = set(first.jobs) - set(second.jobs)
    other = {n for n in set(first.jobs) & set(second.jobs) if not same_job(first.jobs[n], second.jobs[n])}
    ended = {number for number in first.jobs if first.jobs[number].state is State.FINISHED}
    assert set(change.lost) == {f"new-{number}" for number in (gone | other) - ended}
    assert not set(change.lost) & {job_id for job_id, _ in change.changed}


def test_a_job_that_ended_and_was_forgotten_is_not_lost():
    assert diff(known_of(finished(1)), view()).lost == ()


def test_a_job_that_had_not_ended_and_is_not_listed_is_lost():
    assert diff(known_of(record(1, state=State.RUNNING), finished(2)), view(finished(2))).lost == ("id-1",)


def test_a_change_of_one_fact_keeps_the_id():
    before, after = record(1), record(1, state=State.RUNNING, node_list="n1")
    assert diff(known_of(before), view(after)).changed == (("id-1", after),)


def test_an_array_that_shrinks_goes_on_and_its_last_task_is_another_job():
    together = {"array_job_id": 1}
    before = known_of(record(1, array_task="5-10%2", **together))
    fewer, last = record(1, array_task="6-10%2", **together), record(1, array_task="10", **together)
    assert diff(before, view(fewer)).changed == (("id-1", fewer),)
    assert diff(before, view(last)).changed == ((None, last),)


def test_a_number_used_again_by_another_job_does_not_continue_the_old_one():
    old = finished(1, submit_time=100)
    for new in (record(1, submit_time=200), record(1, user="bob"), record(1, user="bob", restarts=3)):
        assert diff(known_of(old), view(new)).changed == ((None, new),)


def test_a_job_that_had_not_ended_and_whose_number_another_one_has_is_lost():
    for new in (record(1, submit_time=200), record(1, user="bob"), record(1, attempt="b" * 32)):
        assert diff(known_of(record(1, attempt="a" * 32)), view(new)) == Diff(((None, new),), ("id-1",))


def expected(number: int = 1, mark: str = "a", **facts) -> Known:
    """A job of which no more is known than that Slurm took it."""
    return Known(f"id-{mark}", JobRecord(slurm_job_id=number, user="alice", attempt=mark * 32, **facts))


def test_a_job_that_slurm_took_is_lost_where_the_listing_does_not_hold_it_or_another_one_under_its_number():
    assert diff({}, view(), [expected()]).lost == ("id-a",)
    theirs = record(1, attempt="b" * 32)
    assert diff({}, view(theirs), [expected()]) == Diff(((None, theirs),), ("id-a",))
    by_hand = record(1)
    assert diff({}, view(by_hand), [expected()]) == Diff(((None, by_hand),), ("id-a",))


def test_a_job_that_slurm_took_and_lists_is_not_lost_and_the_store_finds_it_by_its_mark():
    ours = record(1, attempt="a" * 32)
    assert diff({}, view(ours), [expected()]) == Diff(((None, ours),), ())
    last_task = record(1, attempt="a" * 32, array_job_id=1, array_task="3")
    assert diff({}, view(last_task), [expected()]) == Diff(((None, last_task),), ())


def test_a_job_whose_mark_did_not_survive_is_known_by_number_owner_and_time_of_submission():
    def sent(at: float, mark: str = "a") -> Known:
        return msgspec.structs.replace(expected(mark=mark), since=at)

    bare = record(1, submit_time=100, comment="the site's")
    for at in (95.0, 100.4, 129.0):
        assert diff({}, view(bare), [sent(at)]) == Diff(((None, bare),), ())
    assert diff({1: sent(100.4)}, view(bare)) == Diff((("id-a", bare),), ())
    for other in (
        record(1, submit_time=106),
        record(1, submit_time=60),
        record(1, user="bob"),
        record(1, attempt="b" * 32),
    ):
        assert diff({}, view(other), [sent(100.4)]).lost == ("id-a",)
    assert diff({}, view(bare), [sent(100.9, "b"), sent(100.4)]).lost == ("id-a",), "the later has the number"


def test_of_two_jobs_that_were_given_one_number_the_one_that_is_not_listed_is_lost():
    listed = record(1, attempt="b" * 32)
    change = diff({}, view(listed), [expected(mark="a"), expected(mark="b")])
    assert change.lost == ("id-a",)
    assert diff(known_of(listed), view(listed), [expected(mark="a")]) == Diff((), ("id-a",))


def test_a_job_that_is_missed_in_two_ways_is_lost_once():
    job = expected()
    assert diff({1: job}, view(), [job]).lost == ("id-a",)


def test_a_requeue_continues_the_job_although_its_submit_time_moves():
    before = record(1, state=State.RUNNING, submit_time=100)
    after = record(1, submit_time=300, restarts=1)
    assert diff(known_of(before), view(after)).changed == (("id-1", after),)


def test_a_job_that_ended_and_was_requeued_lives_again_under_its_id():
    after = record(1, state=State.RUNNING, submit_time=300, restarts=1)
    assert diff(known_of(finished(1, fate=Fate.NODE_FAIL)), view(after)).changed == (("id-1", after),)


def test_a_lost_job_that_is_listed_again_is_new_to_the_observer():
    told = record(1)
    known = remember(known_of(told), diff(known_of(told), view()), view())
    assert diff(known, view(told)).changed == ((None, told),)


def test_a_job_holds_everything_of_a_record():
    told = record(1, attempt="a" * 32, gpus={"a100": 8}, array_job_id=1, array_task="3")
    job = with_record(Job(id="x", cluster="big", slurm_job_id=None, created_at=1.0, changed_at=1.0), told, 2.0)
    assert record_of(job) == told
    assert job_of(columns_of(job)["document"]) == job

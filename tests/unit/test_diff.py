from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, Job, JobRecord, State
from hpcjobs.observe.diff import Diff, diff
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
    assert set(change.lost) == {number for number in gone if first.jobs[number].state is not State.FINISHED}
    assert not set(change.lost) & {told.slurm_job_id for _, told in change.changed}


def test_a_job_that_ended_and_was_forgotten_is_not_lost():
    assert diff(known_of(finished(1)), view()).lost == ()


def test_a_job_that_had_not_ended_and_is_not_listed_is_lost():
    assert diff(known_of(record(1, state=State.RUNNING), finished(2)), view(finished(2))).lost == (1,)


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

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.observe.diff import Diff, diff
from hpcjobs.store.repository import Known
from hpcjobs.store.rows import facts_of

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
        final = told.state is State.FINISHED
        after[told.slurm_job_id] = Known(job_id or f"new-{told.slurm_job_id}", facts_of(told), final)
    return after


def known_of(*records: JobRecord) -> dict[int, Known]:
    return {told.slurm_job_id: Known(f"id-{told.slurm_job_id}", facts_of(told), told.state is State.FINISHED)
            for told in records}  # fmt: skip


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
    assert {number: before.facts for number, before in known.items()} == {
        number: facts_of(told) for number, told in seen.jobs.items()
    }


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


def test_a_change_of_the_mark_alone_is_no_change_of_facts():
    assert diff(known_of(record(1)), view(record(1, attempt="a" * 32))).changed == ()


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


def test_facts_hold_everything_of_a_record_but_number_and_mark():
    told = record(1, attempt="a" * 32)
    names = set(JobRecord.__struct_fields__) - {"slurm_job_id", "attempt"}
    assert msgspec.structs.asdict(facts_of(told)) == {name: getattr(told, name) for name in names}

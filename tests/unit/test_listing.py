"""Arrays and heterogeneous jobs: many records of Slurm, one job with tasks or components."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.spans import among, count_together
from hpcjobs.model.tasks import tally
from hpcjobs.store import events, intake, listing, repository
from hpcjobs.store.events import EventFilter
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import job_of

from .builders import finished, record, spec


@pytest.fixture
def connection(store):
    with store.engine.connect() as connection:
        yield connection


def see(connection, *records, now: float = 50.0):
    """A listing as an observer that remembers nothing writes it."""
    return listing.apply(connection, "big", [(None, told) for told in records], (), now)


def page(connection, **wanted) -> list[Job]:
    return [job_of(document) for document in repository.page(connection, JobFilter(**wanted), None, 100)]


def together(tasks: str, number: int = 100, **more):
    return record(number, array_job_id=100, array_task=tasks, raw_state="PENDING", **more)


def task(index: int, number: int, **more):
    return record(number, array_job_id=100, array_task=str(index), **({"state": State.RUNNING} | more))


def done(index: int, number: int, fate: Fate = Fate.COMPLETED):
    return finished(number, array_job_id=100, array_task=str(index), fate=fate)


def test_an_array_is_one_job_that_counts_its_tasks(connection):
    see(connection, together("0-9%4"))
    (array,) = page(connection)
    assert (array.state, array.array_size, array.tasks) == (State.PENDING, 10, {"PENDING": 10})
    see(connection, together("4-9%4"), *[task(index, 101 + index) for index in range(4)])
    (array,) = page(connection)
    assert (array.state, array.tasks) == (State.RUNNING, {"PENDING": 6, "RUNNING": 4})
    tasks = page(connection, parent=array.id)
    assert {(job.task, job.slurm_job_id, job.slurm_name) for job in tasks} == {
        (index, 101 + index, f"100_{index}") for index in range(4)
    }
    assert len(page(connection, tasks=True)) == 5


def test_the_last_task_takes_the_arrays_own_number_and_both_are_found(connection):
    see(connection, together("0-2"))
    see(connection, done(0, 101), done(1, 102), task(2, 100))
    (array,) = page(connection)
    assert (array.tasks, array.array_task) == ({"COMPLETED": 2, "RUNNING": 1}, "")
    found = repository.job_by_slurm_id(connection, "big", 100)
    assert found is not None
    assert found.id == array.id
    last = repository.task_of(connection, array.id, 2)
    assert last is not None
    assert (last.slurm_job_id, last.slurm_name) == (100, "100_2")
    see(connection, done(2, 100, Fate.FAILED))
    (array,) = page(connection)
    assert (array.state, array.fate, array.tasks) == (State.FINISHED, Fate.FAILED, {"COMPLETED": 2, "FAILED": 1})
    assert array.end_time == 50


def test_tasks_that_ended_unseen_are_unknown_until_accounting_tells(connection):
    see(connection, together("0-2"))
    see(connection, task(2, 100))
    (array,) = page(connection)
    assert array.tasks == {"RUNNING": 1, "UNKNOWN": 2}
    see(connection, done(2, 100))
    (array,) = page(connection)
    assert (array.state, array.fate) == (State.UNKNOWN, None)
    assert listing.of_unknown_end(connection, "big") == [array.id]
    see(connection, done(0, 101), done(1, 102))
    (array,) = page(connection)
    assert (array.state, array.fate) == (State.FINISHED, Fate.COMPLETED)


def test_an_array_cancelled_while_it_waits_has_all_its_tasks_cancelled(connection):
    see(connection, together("0-9"))
    cancelled = finished(100, array_job_id=100, array_task="0-9", raw_state="CANCELLED", fate=Fate.CANCELLED)
    see(connection, cancelled)
    (array,) = page(connection)
    assert (array.state, array.fate, array.tasks) == (State.FINISHED, Fate.CANCELLED, {"CANCELLED": 10})


def test_an_array_that_was_asked_for_here_is_known_by_its_mark_whichever_task_is_seen_first(connection):
    (begun,) = intake.begin(connection, [intake.Request("alice", "big", spec(), None, "d", 10.0, array_size=3)])
    see(connection, task(1, 102, attempt=begun.attempt), together("2", attempt=begun.attempt))
    (array,) = page(connection)
    assert (array.id, array.slurm_job_id, array.array_size) == (begun.job.id, 100, 3)
    assert {job.task for job in page(connection, parent=array.id)} == {1, 2}


def test_a_task_of_an_array_that_was_never_seen_whole_makes_the_array_too(connection):
    see(connection, task(7, 107))
    (array,) = page(connection)
    assert (array.slurm_job_id, array.array_size, array.tasks) == (100, 1, {"RUNNING": 1})
    see(connection, task(7, 107), together("8-9"))
    (array,) = page(connection)
    assert (array.array_size, array.tasks) == (3, {"RUNNING": 1, "PENDING": 2})


def test_the_waiting_rest_of_a_lost_array_is_unknown(connection):
    known = see(connection, together("0-9"))
    listing.apply(connection, "big", (), [known[100].id], 60.0)
    (array,) = page(connection)
    assert (array.state, array.tasks) == (State.UNKNOWN, {"UNKNOWN": 10})


def test_tasks_cancelled_while_they_wait_leave_no_record_and_are_known_by_that(connection):
    known = see(connection, together("0-5"))
    change = [(known[100].id, together("0,2-3")), (None, task(1, 101))]
    listing.apply(connection, "big", change, (), 60.0, unbroken=True)
    (array,) = page(connection)
    assert array.tasks == {"PENDING": 3, "RUNNING": 1, "CANCELLED": 2}
    gone = [job for job in page(connection, parent=array.id) if job.fate]
    assert {(job.task, job.fate, job.slurm_name) for job in gone} == {
        (4, Fate.CANCELLED, "100_4"),
        (5, Fate.CANCELLED, "100_5"),
    }
    assert all(job.detail == listing.CANCELLED_WAITING for job in gone)
    listing.apply(connection, "big", [(None, task(3, 100)), (None, done(2, 102)), (None, done(0, 103))], (), 61.0, True)
    (array,) = page(connection)
    assert array.tasks == {"COMPLETED": 2, "RUNNING": 2, "CANCELLED": 2}


def test_after_a_gap_a_task_without_a_record_is_not_taken_for_cancelled(connection):
    known = see(connection, together("0-5"))
    listing.apply(connection, "big", [(known[100].id, together("0,2-3"))], (), 9000.0)
    (array,) = page(connection)
    assert array.tasks == {"PENDING": 3, "UNKNOWN": 3}


def test_a_heterogeneous_job_is_one_job_with_components(connection):
    components = [record(200 + offset, het_job_id=200, het_offset=offset) for offset in (1, 0, 2)]
    see(connection, *components)
    (leader,) = page(connection)
    assert (leader.slurm_job_id, leader.slurm_name) == (200, "200")
    parts = page(connection, parent=leader.id)
    assert {(part.task, part.slurm_job_id, part.slurm_name) for part in parts} == {(1, 201, "200+1"), (2, 202, "200+2")}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_components_of_a_job_that_came_another_way_are_of_one_job_in_whatever_order_they_are_seen(connection, order):
    parts = [record(100 + offset, het_job_id=100, het_offset=offset, attempt="e" * 32) for offset in range(3)]
    see(connection, *(parts[offset] for offset in order))
    (job,) = page(connection)
    assert (job.slurm_job_id, job.parent, len(page(connection, parent=job.id))) == (100, None, 2)


def test_the_same_listing_twice_writes_nothing_twice(connection):
    records = [together("4-9%4"), *[task(index, 101 + index) for index in range(4)], record(1)]
    see(connection, *records)
    before, last = page(connection, tasks=True), events.last_seq(connection)
    see(connection, *records, now=99.0)
    assert page(connection, tasks=True) == before
    assert events.last_seq(connection) == last


def test_each_change_of_state_is_told_once_and_a_change_of_reason_is_not(connection):
    known = see(connection, record(1, reason="Priority"))
    listing.apply(connection, "big", [(known[1].id, record(1, reason="Resources"))], (), 51.0)
    listing.apply(connection, "big", [(known[1].id, record(1, state=State.RUNNING))], (), 52.0)
    listing.apply(connection, "big", [(known[1].id, finished(1))], (), 53.0)
    told = events.stretch(connection, EventFilter(job_id=known[1].id), 0, 10).events
    assert [(event.data["before"], event.data["state"], event.data["fate"]) for event in told] == [
        (None, "PENDING", None),
        ("PENDING", "RUNNING", None),
        ("RUNNING", "FINISHED", "COMPLETED"),
    ]
    assert [event.at for event in told] == [50.0, 52.0, 53.0]


WORDS = st.dictionaries(st.sampled_from([*State, *Fate]).map(str), st.integers(0, 5), max_size=6)


@given(WORDS, st.integers(0, 30))
def test_a_tally_loses_no_task_and_is_over_only_when_all_have_ended(tasks, size):
    counts, state, fate = tally(tasks, size)
    assert sum(counts.values()) == max(size, sum(tasks.values()))
    ended = all(word in set(Fate) for word in counts)
    if state is State.FINISHED:
        assert fate is None or counts[fate]
    else:
        assert fate is None
        assert not ended


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.integers(0, 40), min_size=1), st.sampled_from(["", "%3"]))
def test_what_waits_together_is_counted_and_found_in_any_way_of_writing_it(tasks, limit):
    text = ",".join(map(str, sorted(tasks))) + limit
    assert count_together(text) == len(tasks)
    assert {index for index in range(50) if among(index, text)} == tasks


def test_a_list_of_tasks_that_slurm_cut_short_has_no_number(connection):
    assert count_together("1,3,5,...%2") is None
    assert count_together("0-20:5,21-22") == 7
    assert not among(3, "0-20:5,22")
    assert among(99, "1,3,...")
    see(connection, together("0-99"))
    see(connection, together("1,3,5,..."), task(0, 101), task(2, 102))
    (array,) = page(connection)
    assert array.tasks == {"RUNNING": 2, "PENDING": 98}


@pytest.mark.parametrize("cut", ["1-2,8,400-402...%3", "1-2,8,4...", "1-2,8,400-...%3", "1-2,8,..."])
def test_wherever_slurm_cuts_a_list_of_tasks_the_listing_is_read(connection, cut):
    assert count_together(cut) is None
    assert [among(task, cut) for task in (1, 8, 777)] == [True, True, True]
    see(connection, together(cut), record(7))
    assert {job.slurm_job_id for job in page(connection)} == {100, 7}


@given(st.text(alphabet="0123456789-,:.%x[] ", max_size=40))
def test_no_text_of_a_list_of_tasks_keeps_a_listing_from_being_read(text):
    assert count_together(text) is None or count_together(text) >= 0
    assert among(5, text) in (True, False)


def test_however_many_tasks_are_new_they_are_looked_for_in_as_many_statements(store):
    def statements(tasks: int) -> int:
        said: list[str] = []
        with store.engine.connect() as connection:
            sqlalchemy.event.listen(connection, "before_cursor_execute", lambda *told: said.append(told[2]))
            see(connection, together("0-99"), *[task(index, 101 + index) for index in range(tasks)])
            see(connection, together("0-99"), *[task(index, 301 + index) for index in range(tasks)])
            (array,) = page(connection)
            assert len(page(connection, parent=array.id)) == tasks, "known by parent and task under another number"
            connection.rollback()
        return len(said)

    assert statements(40) == statements(2)


def test_forgetting_events_takes_no_longer_where_there_are_more_of_them(store):
    def steps(count: int) -> int:
        taken: list[int] = []
        with store.engine.connect() as connection:
            events.write(connection, [Event(0, 1.0, EventKind.NODE_STATE, "big") for _ in range(count)])
            driver = connection.connection.driver_connection
            driver.set_progress_handler(lambda: taken.append(1), 100)
            assert events.prune(connection, 2.0, most=10) == 10
            driver.set_progress_handler(None, 0)
            connection.rollback()
        return len(taken)

    assert steps(5000) <= 2 * steps(50)

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from hpcjobs.model.job import Fate, State
from hpcjobs.store import listing, repository
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import job_of
from tests.conftest import examples

from .builders import finished, record

JOBS = [
    ("big", record(1, user="alice", name="a", account="x", partition="gpu")),
    ("big", record(2, user="alice", name="b", account="y", partition="cpu", state=State.RUNNING)),
    ("big", record(3, user="bob", name="a", account="x", partition="gpu", state=State.HELD)),
    ("big", finished(4, user="alice", name="a", account="x", partition="gpu")),
    ("old", finished(4, user="bob", name="b", account="y", partition="gpu", fate=Fate.TIMEOUT)),
    ("old", record(5, user="alice", name="a", account="y", partition="cpu,gpu")),
]
CLAUSES = {
    "user": "alice",
    "cluster": "big",
    "states": (State.PENDING, State.FINISHED),
    "fates": (Fate.COMPLETED, Fate.FAILED),
    "account": "x",
    "partition": "gpu",
    "name": "a",
    "slurm_job_id": 4,
}


def add(connection: Connection, *jobs) -> None:
    for cluster, told in jobs:
        listing.apply(connection, cluster, [(None, told)], (), 1.0)


def page(connection: Connection, *args):
    return [job_of(document) for document in repository.page(connection, *args)]


def holds(cluster: str, told, wanted: JobFilter) -> bool:
    return (
        wanted.cluster in (None, cluster)
        and (not wanted.states or told.state in wanted.states)
        and (not wanted.fates or told.fate in wanted.fates)
        and all(getattr(wanted, name) in (None, getattr(told, name))
            for name in ("user", "account", "partition", "name", "slurm_job_id"))
    )  # fmt: skip


def test_every_combination_of_filters_finds_exactly_the_jobs_for_which_all_hold(store):
    with store.engine.connect() as connection:
        add(connection, *JOBS)
        for size in range(len(CLAUSES) + 1):
            for names in combinations(CLAUSES, size):
                wanted = JobFilter(**{name: CLAUSES[name] for name in names})
                found = {(job.cluster, job.slurm_job_id) for job in page(connection, wanted, None, 100)}
                expected = {(cluster, told.slurm_job_id) for cluster, told in JOBS if holds(cluster, told, wanted)}
                assert found == expected, names


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 12), st.lists(st.integers(0, 3), max_size=6), st.integers(1, 5))
def test_paging_is_complete_and_without_doubles_while_jobs_are_added(store, there, arriving, limit):
    with store.engine.connect() as connection:
        add(connection, *[("big", record(number + 1)) for number in range(there)])
        before = [job.id for job in page(connection, JobFilter(), None, 1000)]
        walked: list[str] = []
        cursor, number, arrivals = None, 100, iter(arriving)
        while found := page(connection, JobFilter(), cursor, limit):
            assert len(found) <= limit
            walked += [job.id for job in found]
            cursor = walked[-1]
            for _ in range(next(arrivals, 0)):
                number += 1
                add(connection, ("big", record(number)))
        assert walked == sorted(set(walked), reverse=True)
        assert walked == before  # nothing is missed, and what came after the first page waits for the next walk
        connection.rollback()


def test_a_cursor_past_the_last_job_or_of_no_job_ends_the_walk(store):
    with store.engine.connect() as connection:
        add(connection, *JOBS)
        assert page(connection, JobFilter(), "0" * 32, 10) == []
        assert len(page(connection, JobFilter(), "f" * 32, 10)) == len(JOBS)


@pytest.mark.parametrize("text", ["a'; DROP TABLE jobs; --", "%", "a_", "", "ä\n"])
def test_a_filter_is_a_value_and_never_sql_or_a_pattern(store, text):
    with store.engine.connect() as connection:
        add(connection, *JOBS, ("big", record(9, name=text)))
        assert [job.name for job in page(connection, JobFilter(name=text), None, 10)] == [text]

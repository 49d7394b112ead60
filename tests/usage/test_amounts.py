"""Seconds of runs inside periods: whatever the borders, the parts are the whole."""

from __future__ import annotations

import itertools

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.usage.amounts import held_s, used_s
from hpcjobs.usage.tables import TABLES

READ_UNTIL = 1000


@pytest.fixture(scope="module")
def usage() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(TABLES)
    connection.execute("INSERT INTO clusters VALUES ('north', ?)", [READ_UNTIL])
    return connection


def seconds(
    usage: duckdb.DuckDBPyConnection, run: tuple[int | None, int | None, int], *parts: tuple[int, int]
) -> list[tuple[int, int]]:
    """Used and held seconds of a run (start, end, suspended) in each of some periods."""
    told = ", ".join(f"{used_s(a, b)}, {held_s(a, b)}" for a, b in parts)
    row = usage.execute(
        f"SELECT {told} FROM (SELECT 'north' AS cluster, ?::BIGINT AS start_time, ?::BIGINT AS end_time,"
        " ?::INTEGER AS suspended_s) AS r JOIN clusters AS c USING (cluster)",
        list(run),
    ).fetchone()
    assert row is not None
    return list(zip(row[::2], row[1::2], strict=True))


def test_a_run_has_what_of_it_lies_in_the_period(usage: duckdb.DuckDBPyConnection) -> None:
    parts = seconds(usage, (100, 200, 0), (0, 100), (0, 150), (150, 151), (199, 500), (200, 500), (0, 500))
    assert parts == [(0, 0), (50, 50), (1, 1), (1, 1), (0, 0), (100, 100)]


def test_time_suspended_is_held_and_not_used_and_spread_evenly(usage: duckdb.DuckDBPyConnection) -> None:
    assert seconds(usage, (100, 200, 50), (0, 500), (100, 150), (150, 200)) == [(50, 100), (25, 50), (25, 50)]


def test_a_run_that_has_not_ended_counts_until_accounting_was_read(usage: duckdb.DuckDBPyConnection) -> None:
    assert seconds(usage, (900, None, 0), (0, 5000), (950, 5000)) == [(100, 100), (50, 50)]
    assert seconds(usage, (READ_UNTIL + 5, None, 0), (0, 5000)) == [(0, 0)]


@pytest.mark.parametrize("run", [(None, 300, 0), (None, None, 0), (300, 300, 0), (300, 300, 9), (None, 300, 4)])
def test_what_never_ran_has_no_seconds(
    usage: duckdb.DuckDBPyConnection, run: tuple[int | None, int | None, int]
) -> None:
    assert seconds(usage, run, (0, 5000)) == [(0, 0)]


times = st.integers(0, 2**31)


@given(st.tuples(times, times), st.integers(0, 2**31 - 1), st.lists(times, max_size=8))
def test_parts_at_any_borders_are_the_whole(
    usage: duckdb.DuckDBPyConnection, ends: tuple[int, int], suspended_s: int, borders: list[int]
) -> None:
    start, end = sorted(ends)
    cuts = [0, *sorted(borders), 2**31 + 1]
    parts = seconds(usage, (start, end, suspended_s), *itertools.pairwise(cuts))
    assert all(0 <= used <= held for used, held in parts)
    assert sum(held for _, held in parts) == end - start
    assert sum(used for used, _ in parts) == max(0, end - start - suspended_s)

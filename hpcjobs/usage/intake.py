"""Runs and nodes into the tables: what is written twice is there once. Functions of a connection, in a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import duckdb
import numpy as np

from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.usage.attribution import gpus_of
from hpcjobs.usage.fleet import Fleet

_NUMBERS: Final = {
    "slurm_job_id": np.int64, "submit_time": np.int64, "suspended_s": np.int32, "nodes": np.int32, "cpus": np.int32,
    "mem_bytes": np.int64, "exit_code": np.int32, "exit_signal": np.int32, "restarts": np.int32,
}  # fmt: skip
"""Fields that always have a number."""
_TIMES: Final = ("eligible_time", "start_time", "end_time", "array_job_id", "het_job_id")
"""Numbers of which 0 is none."""
_MAYBE: Final = {"wall_s": np.int32, "mem_max_bytes": np.int64, "energy_j": np.int64, "cpu_used_s": np.float64}
"""Numbers that are None where they are not known."""
_WORDS: Final = (
    "user", "account", "partition", "qos", "raw_state", "node_list", "tres_alloc", "tres_req", "reason", "reservation",
    "wckey",
)  # fmt: skip
_COLUMNS: Final = (*_NUMBERS, *_TIMES, *_MAYBE, *_WORDS, "exclusive")
BATCH: Final = 50_000
"""Runs that are written at a time."""


def _column(runs: Sequence[Run], field: str) -> Any:  # noqa: ANN401  what DuckDB reads as a column
    values = [getattr(run, field) for run in runs]
    if field in _NUMBERS:
        return np.array(values, _NUMBERS[field])
    if field in _TIMES:
        return np.ma.masked_equal(np.array(values, np.int64), 0)
    if field in _MAYBE:
        lacks = [value is None for value in values]
        return np.ma.masked_array(np.array([value or 0 for value in values], _MAYBE[field]), lacks)
    if field == "exclusive":
        return np.ma.masked_array(np.array([bool(value) for value in values]), [value is None for value in values])
    return np.array(values, object)


def write_runs(connection: duckdb.DuckDBPyConnection, cluster: str, runs: Iterable[Run], fleet: Fleet) -> int:
    """Keep runs as they are now, in place of what was known of them.

    Args:
        connection: To usage, in a transaction.
        cluster: Whose runs.
        runs: Of several with one number and one submission the last counts.
        fleet: What nodes had.

    Returns:
        How many.
    """
    last = list({(run.slurm_job_id, run.submit_time): run for run in runs}.values())
    for first in range(0, len(last), BATCH):
        _write(connection, cluster, last[first : first + BATCH], fleet)
    return len(last)


def _write(connection: duckdb.DuckDBPyConnection, cluster: str, runs: Sequence[Run], fleet: Fleet) -> None:
    _forget(connection, cluster, runs)
    first = _next_run(connection)
    numbers = np.arange(first, first + len(runs), dtype=np.int64)
    told = {"run": numbers} | {field: _column(runs, field) for field in _COLUMNS}
    names = ", ".join(f'"{name}"' for name in told)
    connection.execute(f"INSERT INTO runs (cluster, {names}) SELECT $cluster, {names} FROM told", {"cluster": cluster})
    uses = [(number, use) for number, run in zip(numbers, runs, strict=True) for use in gpus_of(run, fleet)]
    if not uses:
        return
    had = {
        "run": np.array([number for number, _ in uses], np.int64),
        "kind": np.array([use.kind for _, use in uses], object),
        "sharing": np.array([use.sharing for _, use in uses], object),
        "devices": np.array([use.devices for _, use in uses], np.int32),
        "equivalent": np.array([use.equivalent for _, use in uses], np.float64),
        "held": np.array([use.held for _, use in uses], np.float64),
        "basis": np.array([use.basis.value for _, use in uses], object),
    }
    names = ", ".join(had)
    connection.execute(f"INSERT INTO run_gpus ({names}) SELECT {names} FROM had")


def _next_run(connection: duckdb.DuckDBPyConnection) -> int:
    """The first number that no run has."""
    (last,) = connection.execute("SELECT coalesce(max(run), 0) FROM runs").fetchone() or (0,)
    return int(last) + 1


def _forget(connection: duckdb.DuckDBPyConnection, cluster: str, runs: Sequence[Run]) -> None:
    """Take out what is known of runs; looked for among those of about that time only."""
    keys = {  # noqa: F841  read by DuckDB
        "slurm_job_id": _column(runs, "slurm_job_id"), "submit_time": _column(runs, "submit_time"),
    }  # fmt: skip
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT run FROM runs JOIN keys USING (slurm_job_id, submit_time)"
        " WHERE cluster = $cluster AND submit_time BETWEEN $first AND $last",
        {
            "cluster": cluster,
            "first": min(run.submit_time for run in runs),
            "last": max(run.submit_time for run in runs),
        },
    )
    found = connection.execute("SELECT min(run), max(run) FROM known").fetchone()
    if found is None or found[0] is None:
        return
    for table in ("run_gpus", "runs"):
        connection.execute(
            f"DELETE FROM {table} USING known WHERE {table}.run = known.run AND {table}.run BETWEEN $first AND $last",
            {"first": found[0], "last": found[1]},
        )


LOST: Final = "lost by accounting"
"""Reason of a run that accounting has no more."""


def close_runs(connection: duckdb.DuckDBPyConnection, cluster: str, keys: Iterable[tuple[int, int]], at: int) -> None:
    """Take runs to have ended, of which accounting will not tell the end; where it does, that counts.

    Args:
        connection: In a transaction.
        cluster: Whose runs.
        keys: Number and time of submission of each.
        at: Unix seconds.
    """
    for number, submit_time in keys:
        connection.execute(
            "UPDATE runs SET end_time = greatest(coalesce(start_time, 0), $at), reason = $reason"
            " WHERE cluster = $cluster AND slurm_job_id = $number AND submit_time = $submitted AND end_time IS NULL",
            {"at": at, "reason": LOST, "cluster": cluster, "number": number, "submitted": submit_time},
        )


def write_nodes(connection: duckdb.DuckDBPyConnection, cluster: str, kinds: Sequence[NodeKind]) -> None:
    """Keep what nodes have from some time on."""
    if kinds:
        connection.executemany(
            "INSERT INTO node_kinds (cluster, node, since, gres, cpus, usable) VALUES (?, ?, ?, ?, ?, ?)",
            [[cluster, kind.node, kind.since, kind.gres, kind.cpus, kind.usable] for kind in kinds],
        )


def read_fleet(connection: duckdb.DuckDBPyConnection, cluster: str) -> Fleet:
    """What is known of a cluster's nodes."""
    rows = connection.execute(
        "SELECT node, since, gres, cpus, usable FROM node_kinds WHERE cluster = ? ORDER BY since", [cluster]
    ).fetchall()
    return Fleet(NodeKind(*row) for row in rows)


def read_until(connection: duckdb.DuckDBPyConnection, cluster: str) -> int | None:
    """Until when accounting has been read; None: never."""
    row = connection.execute("SELECT max(read_until) FROM clusters WHERE cluster = ?", [cluster]).fetchone()
    return row[0] if row else None


def set_read_until(connection: duckdb.DuckDBPyConnection, cluster: str, at: int) -> None:
    """Say that accounting has been read until then."""
    connection.execute("DELETE FROM clusters WHERE cluster = ?", [cluster])
    connection.execute("INSERT INTO clusters (cluster, read_until) VALUES (?, ?)", [cluster, at])


def open_runs(connection: duckdb.DuckDBPyConnection, cluster: str) -> dict[tuple[int, int], int]:
    """Number and time of submission of runs that have not ended, and since when each is there."""
    rows = connection.execute(
        "SELECT slurm_job_id, submit_time, coalesce(start_time, submit_time) FROM runs"
        " WHERE cluster = ? AND end_time IS NULL",
        [cluster],
    ).fetchall()
    return {(number, submitted): since for number, submitted, since in rows}

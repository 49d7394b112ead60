"""What failures took, of the jobs that a question meets: a table of times, each with the run and the cause.

The times are those of ``recovery.losses``: there is no other account of what is lost.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.failure import FailureClass
from hpcjobs.model.losses import RunTold
from hpcjobs.recovery.losses import stretches
from hpcjobs.recovery.tried import Ran, courses
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.query import FROM_RUNS, LOST_PARTS, may_see, seen

WELL: Final = ("COMPLETED", "CANCELLED", "RUNNING", "PENDING", "SUSPENDED", "COMPLETING", "RESIZING")
"""States of runs that lost nothing by themselves."""
CLOCKS_S: Final = 600.0
"""So far what is told of a run may be beyond it: clocks differ, and what ended is diagnosed a little later."""
CAUSES: Final = frozenset(FailureClass)
_MEANT: Final = """
SELECT DISTINCT r.cluster, r.slurm_job_id {source}
WHERE {seen} AND {visible} AND (r.restarts > 0 OR r.raw_state NOT IN ({well}))
    AND EXISTS (FROM run_gpus AS g WHERE g.run = r.run)
"""
_RUNS: Final = """
SELECT r.run, r.cluster, r.slurm_job_id, r.submit_time, r.start_time, coalesce(r.end_time, c.read_until), r.raw_state,
    r.exit_code, r.exit_signal, r.restarts
{source} SEMI JOIN ({meant}) AS m ON m.cluster = r.cluster AND m.slurm_job_id = r.slurm_job_id
WHERE r.start_time IS NOT NULL AND {visible}
ORDER BY r.cluster, r.slurm_job_id, r.submit_time
"""


class Piece(NamedTuple):
    """A line of accounting: a run, or what it was of one size."""

    run: int
    cluster: str
    number: int
    submitted: int
    began: int
    ended: int
    raw_state: str
    exit_code: int
    exit_signal: int
    restarts: int


class Lost(NamedTuple):
    """A time that a failure took.

    Attributes:
        run: Whose, by our number.
        part: ``lost``, ``stalled``, ``restarting`` or ``waiting``.
        cause: What took it.
        since: Unix seconds.
        until: Unix seconds.
    """

    run: int
    part: str
    cause: str
    since: float
    until: float


def make(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> None:
    """Make the table.

    Args:
        connection: To usage.
        asked: The question.
        visible: What whoever asks may see.
    """
    condition, parameters = may_see(visible)
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    meant = _MEANT.format(
        source=FROM_RUNS, seen=seen(), visible=condition, well=", ".join(f"'{state}'" for state in WELL)
    )
    rows = connection.execute(_RUNS.format(source=FROM_RUNS, meant=meant, visible=condition), parameters).fetchall()
    columns = list(zip(*lost(map(Piece._make, rows), asked.told), strict=True)) or [()] * len(Lost._fields)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {LOST_PARTS}"
        " (run BIGINT, part VARCHAR, cause VARCHAR, since DOUBLE, until DOUBLE)"
    )
    connection.execute(
        f"INSERT INTO {LOST_PARTS} SELECT unnest($run::BIGINT[]), unnest($part::VARCHAR[]), unnest($cause::VARCHAR[]),"
        " unnest($since::DOUBLE[]), unnest($until::DOUBLE[])",
        {name: list(column) for name, column in zip(Lost._fields, columns, strict=True)},
    )


def lost(pieces: Iterable[Piece], told: Iterable[RunTold]) -> Iterator[Lost]:
    """What failures took. Pure.

    Args:
        pieces: All lines that accounting has of some jobs, by cluster, number and time.
        told: What else is known of any runs.
    """
    known: defaultdict[tuple[str, int], list[RunTold]] = defaultdict(list)
    for one in told:
        known[one.cluster, one.slurm_job_id].append(one)
    for name, of_number in itertools.groupby(pieces, key=lambda one: (one.cluster, one.number)):
        for runs in _jobs(of_number):
            yield from _of_job(runs, known.get(name, ()))


def _jobs(pieces: Iterable[Piece]) -> Iterator[list[list[Piece]]]:
    """The runs of each job of a number, each in its pieces: Slurm gives numbers again."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        before = runs[-1][-1] if runs else None
        if before is not None and before.raw_state == "RESIZING" and before.restarts == piece.restarts:
            runs[-1].append(piece)
            continue
        if before is not None and piece.restarts <= before.restarts:
            yield runs
            runs = []
        runs.append([piece])
    if runs:
        yield runs


def _of_job(runs: Sequence[Sequence[Piece]], told: Sequence[RunTold]) -> Iterator[Lost]:
    since, until = runs[0][0].submitted - CLOCKS_S, runs[-1][-1].ended + CLOCKS_S
    there = [one for one in told if since <= one.at <= until]
    cause = {one.run: one.cause for one in there if one.cause is not None}
    progress = {one.run: one.progress for one in there if one.progress is not None}
    ran = [
        Ran(
            began=pieces[0].began,
            ended=pieces[-1].ended,
            raw_state=pieces[-1].raw_state,
            exit_code=pieces[-1].exit_code,
            exit_signal=pieces[-1].exit_signal,
            cause=cause.get(pieces[-1].restarts),
            progress=progress.get(pieces[-1].restarts),
        )
        for pieces in runs
    ]
    first = 0
    for course in courses(ran):
        for one in stretches(course[0].started_at, course):
            if one.cause in CAUSES and one.part != "productive" and one.until > one.since:
                yield from _cut(runs[first + one.place], Lost(0, one.part, one.cause, one.since, one.until))
        first += len(course)


def _cut(pieces: Sequence[Piece], one: Lost) -> Iterator[Lost]:
    """A time of a run, by the pieces in which it was; it waited for the first."""
    if one.part == "waiting":
        yield one._replace(run=pieces[0].run)
        return
    for piece in pieces:
        since, until = max(one.since, piece.began), min(one.until, piece.ended)
        if until > since:
            yield one._replace(run=piece.run, since=since, until=until)

"""How busy GPUs were, five minutes a line: kept once however often it is told, and added up for a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import duckdb
import msgspec

from hpcjobs.model.sample import BUCKET_S
from hpcjobs.usage.efficiency import Busy

HOUR_S: Final = 3600
OF_JOB: Final = f"s.cluster = r.cluster AND s.slurm_job_id = r.slurm_job_id AND s.bucket + {BUCKET_S} > r.start_time"
STILL: Final = "s.bucket < coalesce(r.end_time, c.read_until)"
"""The condition on a sample ``s`` and a run ``r`` of a cluster ``c``: that the run had not ended before it."""


_OF_JOBS: Final = """SELECT cluster, node, kind, bucket, slurm_job_id, sum(covered_s) AS covered_s,
    sum(busy_s) AS busy_s, sum(energy_j) AS energy_j FROM samples WHERE slurm_job_id IS NOT NULL GROUP BY ALL"""
"""All devices of a node together, before each looks for its run: what is asked of buckets is asked before that."""


def of_runs(runs: str) -> str:
    """Samples with the run that each is of: the last of its job that had started before the five minutes were over.

    One in which a job was requeued and started again is of its next run alone, so that nothing counts twice.

    Args:
        runs: SQL of rows of ``runs``, with every run of a job that can have been there when it was sampled.

    Returns:
        SQL that follows FROM, over ``s``, which has no devices, and ``r``; ``STILL`` has to hold, too.
    """
    return f"({_OF_JOBS}) AS s ASOF JOIN ({runs}) AS r ON {OF_JOB}"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one device of a node did in one bucket (table ``samples``): a DeviceSample, of a node, with a kind.

    Attributes:
        node: Where it is.
        device: See DeviceSample; ``""``: all devices of this kind, where single ones are no longer kept.
        kind: As Slurm's type; ``""``: not known.
        bucket: First second of the five minutes, Unix.
        slurm_job_id: Whose it was; None: no job's, or the node could not say.
        samples: How often it was looked at.
        covered_s: Seconds of the bucket that these stand for.
        busy_s: Of these, how many it was busy.
        mem_max_bytes: Most memory that was used; None: not measured.
        energy_j: Joules meanwhile; None: not measured.
    """

    node: str
    device: str
    kind: str = ""
    bucket: int
    slurm_job_id: int | None = None
    samples: int
    covered_s: float
    busy_s: float
    mem_max_bytes: int | None = None
    energy_j: float | None = None


_COLUMNS: Final = {
    "node": "VARCHAR", "device": "VARCHAR", "kind": "VARCHAR", "bucket": "BIGINT", "slurm_job_id": "BIGINT",
    "samples": "INTEGER", "covered_s": "DOUBLE", "busy_s": "DOUBLE", "mem_max_bytes": "BIGINT", "energy_j": "DOUBLE",
}  # fmt: skip


def write_samples(connection: duckdb.DuckDBPyConnection, cluster: str, told: Iterable[Sample]) -> None:
    """Keep samples; one that is there already, of the same device, bucket and job, is replaced.

    Args:
        connection: In a transaction.
        cluster: Whose nodes these are.
        told: The last of the same device, bucket and job counts.
    """
    last = list({(one.node, one.device, one.bucket, one.slurm_job_id): one for one in told}.values())
    if not last:
        return
    lists = ", ".join(f"unnest(${name}::{kind}[]) AS {name}" for name, kind in _COLUMNS.items())
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE told_samples AS SELECT {lists}",
        {name: [getattr(one, name) for one in last] for name in _COLUMNS},
    )
    connection.execute(
        """DELETE FROM samples AS s USING told_samples AS t
        WHERE s.cluster = $cluster AND s.bucket BETWEEN $first AND $last AND s.node = t.node AND s.device = t.device
            AND s.bucket = t.bucket AND s.slurm_job_id IS NOT DISTINCT FROM t.slurm_job_id""",
        {
            "cluster": cluster,
            "first": min(one.bucket for one in last),
            "last": max(one.bucket for one in last),
        },
    )
    names = ", ".join(_COLUMNS)
    connection.execute(
        f"INSERT INTO samples (cluster, {names}) SELECT $cluster, {names} FROM told_samples", {"cluster": cluster}
    )


def thin(connection: duckdb.DuckDBPyConnection, before: int) -> int:
    """Put old samples together: one line each node, kind of device, hour and run, with the same sums.

    Args:
        connection: In a transaction.
        before: Samples of before this Unix second, a full hour, are old.

    Returns:
        How many samples were put together.
    """
    span = connection.execute(
        "SELECT count(*), min(bucket) FROM samples WHERE bucket < $before AND device <> ''", {"before": before}
    ).fetchone()
    if span is None or not span[0]:
        return 0
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE thinned AS
        SELECT s.cluster, s.node, '' AS device, s.kind, min(s.bucket) AS bucket, s.slurm_job_id,
            sum(s.samples)::INTEGER AS samples, sum(s.covered_s) AS covered_s, sum(s.busy_s) AS busy_s,
            max(s.mem_max_bytes) AS mem_max_bytes, sum(s.energy_j) AS energy_j
        FROM samples AS s ASOF LEFT JOIN (
            SELECT * FROM runs WHERE start_time < $before AND coalesce(end_time, $before) >= $first
        ) AS r ON {OF_JOB}
        WHERE s.bucket < $before AND s.device <> ''
        GROUP BY s.cluster, s.node, s.kind, s.bucket // {HOUR_S}, s.slurm_job_id,
            CASE WHEN s.bucket < coalesce(r.end_time, $before) THEN r.run END""",
        {"before": before, "first": span[1]},
    )
    connection.execute("DELETE FROM samples WHERE bucket < $before AND device <> ''", {"before": before})
    connection.execute("INSERT INTO samples BY NAME FROM thinned")
    return int(span[0])


def busy_of(connection: duckdb.DuckDBPyConnection, runs: Collection[int]) -> dict[int, Busy]:
    """What the samples of runs add up to, by run (``runs.run``); those that have none are not among them."""
    jobs = "SELECT cluster, slurm_job_id FROM runs WHERE list_contains($runs::BIGINT[], run)"
    found = connection.execute(
        f"""SELECT r.run, sum(s.covered_s), sum(s.busy_s), sum(s.energy_j)
        FROM {of_runs(f"SELECT * FROM runs WHERE (cluster, slurm_job_id) IN ({jobs}) AND start_time IS NOT NULL")}
        JOIN clusters AS c ON c.cluster = r.cluster
        WHERE {STILL} AND list_contains($runs::BIGINT[], r.run) GROUP BY r.run""",
        {"runs": list(runs)},
    ).fetchall()
    return {run: Busy(*sums) for run, *sums in found}

"""How busy GPUs were, five minutes a line: kept once however often it is told, and added up for a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import duckdb
import msgspec

from hpcjobs.usage.efficiency import Busy

BUCKET_S: Final = 300
OF_RUN: Final = (
    "s.cluster = r.cluster AND s.slurm_job_id = r.slurm_job_id"
    f" AND s.bucket > r.start_time - {BUCKET_S} AND s.bucket < coalesce(r.end_time, c.read_until)"
)
"""Which samples ``s`` are of a run ``r`` of a cluster ``c``: those that touch it. One in which a job was requeued and
started again is of both runs."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one device of a node did in one bucket (table ``samples``).

    Attributes:
        node: Where it is.
        device: Its UUID, or index where it has none.
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


def write_samples(connection: duckdb.DuckDBPyConnection, cluster: str, told: Iterable[Sample]) -> None:
    """Keep samples; one that is there already, of the same device, bucket and job, is replaced.

    Args:
        connection: In a transaction.
        cluster: Whose nodes these are.
        told: The last of the same device, bucket and job counts.
    """
    last = {(one.node, one.device, one.bucket, one.slurm_job_id): one for one in told}
    for key, one in last.items():
        connection.execute(
            "DELETE FROM samples WHERE cluster = ? AND node = ? AND device = ? AND bucket = ?"
            " AND slurm_job_id IS NOT DISTINCT FROM ?",
            [cluster, *key],
        )
        connection.execute(
            "INSERT INTO samples (cluster, node, device, kind, bucket, slurm_job_id, samples, covered_s, busy_s,"
            " mem_max_bytes, energy_j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                cluster,
                one.node,
                one.device,
                one.kind,
                one.bucket,
                one.slurm_job_id,
                one.samples,
                one.covered_s,
                one.busy_s,
                one.mem_max_bytes,
                one.energy_j,
            ],
        )


def busy_of(connection: duckdb.DuckDBPyConnection, runs: Collection[int]) -> dict[int, Busy]:
    """What the samples of runs add up to, by run (``runs.run``); those that have none are not among them."""
    found = connection.execute(
        f"""SELECT r.run, sum(s.covered_s), sum(s.busy_s)
        FROM runs AS r JOIN clusters AS c ON c.cluster = r.cluster JOIN samples AS s ON {OF_RUN}
        WHERE list_contains($runs::BIGINT[], r.run) GROUP BY r.run""",
        {"runs": list(runs)},
    ).fetchall()
    return {run: Busy(covered_s, busy_s) for run, covered_s, busy_s in found}

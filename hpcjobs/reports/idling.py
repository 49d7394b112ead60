"""Jobs that run now and leave their GPUs idle: since when, how busy these were meanwhile, and how far that is known."""

from __future__ import annotations

from typing import Any, Final

import duckdb
import msgspec

from hpcjobs.model.sample import BUCKET_S
from hpcjobs.usage.samples import OF_JOB

FIRST: Final = "SELECT min(start_time) FROM runs WHERE end_time IS NULL AND raw_state = 'RUNNING'"
"""Nothing that was sampled before is of a job that runs."""
IDLING: Final = f"""WITH running AS (
  SELECT r.*, size.gpus FROM runs AS r JOIN clusters AS c ON c.cluster = r.cluster
  JOIN (SELECT run, sum(devices) AS gpus FROM run_gpus GROUP BY run) AS size ON size.run = r.run
  WHERE r.end_time IS NULL AND r.raw_state = 'RUNNING' AND r.start_time <= c.read_until
), buckets AS (
  SELECT r.run, s.bucket, sum(s.busy_s) AS busy_s, sum(s.covered_s) AS covered_s
  FROM samples AS s JOIN running AS r ON {OF_JOB} WHERE s.bucket > $first - {BUCKET_S} GROUP BY ALL
), idle AS (
  SELECT run, max(bucket) FILTER (covered_s > 0 AND busy_s >= $share * covered_s) AS last_busy,
    max(bucket) FILTER (covered_s > 0) AS last FROM buckets GROUP BY run
), since AS (
  SELECT run, greatest(r.start_time, coalesce(idle.last_busy + {BUCKET_S}, 0)) AS since, idle.last + {BUCKET_S} AS until
  FROM running AS r LEFT JOIN idle USING (run)
)
SELECT r.cluster, r.slurm_job_id, r."user", r.account, r.start_time, r.gpus, since.since, since.until,
  sum(b.busy_s), sum(b.covered_s)
FROM running AS r JOIN since USING (run) LEFT JOIN buckets AS b ON b.run = r.run AND b.bucket + {BUCKET_S} > since.since
GROUP BY ALL ORDER BY ALL"""
"""One line a run; a job has one that runs, so that its samples since then are of this one.

Five minutes in which it was busy are not of the idle time that follows.
"""


class Idling(msgspec.Struct, frozen=True):
    """A running job's GPUs since they were last busy.

    Attributes:
        cluster: Where.
        slurm_job_id: Slurm's number.
        user: Whose.
        project: The account that it is charged to.
        start_time: Unix seconds.
        gpus: How many it has, in whole ones.
        since: Unix seconds: the end of the last five minutes in which they were busy, or the job's start.
        until: Unix seconds up to which they were sampled; None: never.
        busy: Share of the sampled time since then that they were busy; None: nothing was sampled.
        coverage: Share of the time since then that was sampled, of all of its GPUs: how sure this is.
    """

    cluster: str
    slurm_job_id: int
    user: str
    project: str
    start_time: int
    gpus: float
    since: int
    until: int | None
    busy: float | None
    coverage: float

    @property
    def lasting_s(self) -> int:
        """How long it has been so, as far as it was sampled."""
        return max(0, (self.until or 0) - self.since)


def idling(connection: duckdb.DuckDBPyConnection, share: float) -> list[Idling]:
    """How long the GPUs of every running job have been idle.

    Args:
        connection: To usage.
        share: Busy is what is busy for so much of five minutes or more, over all of a job's GPUs.
    """
    (first,) = connection.execute(FIRST).fetchone() or (None,)
    if first is None:
        return []
    return [_idling(row) for row in connection.execute(IDLING, {"share": share, "first": first}).fetchall()]


def _idling(row: tuple[Any, ...]) -> Idling:
    cluster, slurm_job_id, user, project, start_time, gpus, since, until, busy_s, covered_s = row
    there_s, sampled_s = float(gpus) * max(0, (until or 0) - since), float(covered_s or 0)
    return Idling(
        cluster=cluster,
        slurm_job_id=slurm_job_id,
        user=user,
        project=project,
        start_time=start_time,
        gpus=float(gpus),
        since=since,
        until=until,
        busy=busy_s / sampled_s if sampled_s else None,
        coverage=min(1.0, sampled_s / there_s) if there_s else 0.0,
    )

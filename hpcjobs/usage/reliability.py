"""How often jobs met failures of nodes, of accounting: what a failure rate is counted from."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import duckdb

_RAN: Final = """
SELECT coalesce(sum(nodes * greatest(least(coalesce(end_time, read_until), $now) - greatest(start_time, $since), 0)), 0)
FROM runs JOIN clusters USING (cluster)
WHERE cluster = $cluster AND start_time IS NOT NULL
"""
_FAILED: Final = """
SELECT slurm_job_id, restarts, again - end_time
FROM (
    SELECT *, lead(start_time) OVER (PARTITION BY slurm_job_id ORDER BY submit_time) AS again
    FROM runs WHERE cluster = $cluster AND start_time IS NOT NULL AND coalesce(end_time, $now) > $since
)
WHERE raw_state IN ('NODE_FAIL', 'BOOT_FAIL') AND end_time > $since AND end_time <= $now
"""


class Seen(NamedTuple):
    """What accounting saw of a time.

    Attributes:
        node_days: Days in which jobs had nodes, each node for itself.
        failed: Runs that ended because a node failed: Slurm's number of the job, and how often it was requeued before.
        down_s: From these ends to the next beginning of the job, in seconds; of those that began again.
    """

    node_days: float
    failed: frozenset[tuple[int, int]]
    down_s: tuple[float, ...]


def seen(connection: duckdb.DuckDBPyConnection, cluster: str, since: float, now: float) -> Seen:
    """Look.

    Args:
        connection: To usage.
        cluster: Whose jobs.
        since: Unix seconds.
        now: Unix seconds.
    """
    asked: dict[str, Any] = {"cluster": cluster, "since": since, "now": now}
    (node_s,) = connection.execute(_RAN, asked).fetchone() or (0,)
    rows = connection.execute(_FAILED, asked).fetchall()
    return Seen(
        node_days=node_s / 86_400,
        failed=frozenset((number, restarts) for number, restarts, _ in rows),
        down_s=tuple(float(again_s) for *_, again_s in rows if again_s is not None),
    )

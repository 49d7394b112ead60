"""What nodes did, of accounting: for how long they ran jobs, and where jobs failed that another time did not."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

import duckdb

from hpcjobs.model.suspicion import LemonRules, Signal, SignalKind
from hpcjobs.recovery.lemons import DAY_S
from hpcjobs.sbatch.hostlists import nodes_in

_RAN: Final = """
SELECT node_list, sum(exp(-$decay * ($now - ended)) - exp(-$decay * ($now - greatest(start_time, $since))))
FROM (
    SELECT node_list, start_time, least(coalesce(end_time, read_until), $now) AS ended
    FROM runs JOIN clusters USING (cluster)
    WHERE cluster = $cluster AND start_time IS NOT NULL AND node_list <> ''
)
WHERE ended > greatest(start_time, $since)
GROUP BY node_list
"""
_CURED: Final = """
SELECT slurm_job_id, end_time, node_list, then_nodes
FROM (
    SELECT *, lead(raw_state) OVER runs_of AS then_state, lead(node_list) OVER runs_of AS then_nodes
    FROM runs
    WHERE cluster = $cluster AND start_time IS NOT NULL
        AND slurm_job_id IN (
            SELECT slurm_job_id FROM runs
            WHERE cluster = $cluster AND end_time > $since AND raw_state IN ('FAILED', 'NODE_FAIL', 'BOOT_FAIL')
        )
    WINDOW runs_of AS (PARTITION BY slurm_job_id ORDER BY submit_time)
)
WHERE raw_state IN ('FAILED', 'NODE_FAIL', 'BOOT_FAIL') AND then_state = 'COMPLETED' AND end_time > $since
ORDER BY end_time
"""


def ran_days(
    connection: duckdb.DuckDBPyConnection, cluster: str, rules: LemonRules, now: float
) -> dict[str, float] | None:
    """Days in which nodes ran jobs, faded (``recovery.lemons.faded_days``); each job counts for itself.

    Args:
        connection: To usage.
        cluster: Whose nodes.
        rules: Half-life and window.
        now: Unix seconds.

    Returns:
        By node; None: accounting knows of no run within the window.
    """
    decay = math.log(2) / (rules.half_life_days * DAY_S)
    asked = {"cluster": cluster, "decay": decay, "now": now, "since": now - rules.window_days * DAY_S}
    found: defaultdict[str, float] = defaultdict(float)
    for hosts, faded in connection.execute(_RAN, asked).fetchall():
        for name in nodes_in(hosts):
            found[name] += faded / decay / DAY_S
    return dict(found) or None


def cured_elsewhere(connection: duckdb.DuckDBPyConnection, cluster: str, rules: LemonRules, now: float) -> list[Signal]:
    """Nodes on which a job failed whose next run completed without them; of several, one is meant.

    Args:
        connection: To usage.
        cluster: Whose nodes.
        rules: The window.
        now: Unix seconds.
    """
    asked = {"cluster": cluster, "since": now - rules.window_days * DAY_S}
    found = []
    for number, at, hosts, then in connection.execute(_CURED, asked).fetchall():
        left = {*nodes_in(hosts)} - {*nodes_in(then)}
        told = {"kind": SignalKind.CURED_ELSEWHERE, "at": float(at), "slurm_job_id": number, "among": len(left)}
        found += [Signal(node=name, **told) for name in sorted(left)]
    return found

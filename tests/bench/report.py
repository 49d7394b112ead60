"""Reports over 10 million runs of five years: how long the usual questions take, and how large the file is.

The runs are made up (a seed): 2,000 users of 200 projects by Zipf, waits exponential, run times lognormal, GPUs 0 to
8 a node of two kinds, a tenth of slices. What is timed is a question of the service, from the checked query to its
table.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.report import ReportQuery
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import check
from hpcjobs.usage.tables import TABLES
from tests.bench.verdict import Verdict

RUNS = int(os.environ.get("HPCJOBS_BENCH_RUNS", "10000000"))
FIRST = 1_609_459_200
"""2021-01-01, UTC."""
LAST = 1_767_225_600
"""2026-01-01, UTC."""
BATCH = 500_000
ROUNDS = 5
EVERYBODY = Visibility("", everything=True)

FILL = """
INSERT INTO runs SELECT
    i, 'north', i, submit, submit, submit + wait, submit + wait + took, 'user' || who, 'project' || (who % 200),
    'p' || (hash(i * 7) % 5), 'normal', CASE WHEN hash(i * 11) % 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END, 0, 2 * took,
    n, n * 16, n::BIGINT * 64 * 1073741824, 'n[' || first || '-' || (first + n - 1) || ']',
    'billing=' || n || ',cpu=' || (16 * n) || ',gres/gpu=' || (n * each) || ',mem=' || (64 * n) || 'G,node=' || n,
    'cpu=' || (16 * n), FALSE, 0, 0, 0, 'None', 0.7 * 16 * n * took, NULL, NULL, NULL, NULL, '', ''
FROM (
    SELECT i, $first + (i * (($last - $first) / $runs))::BIGINT AS submit,
        least(2000, floor(1 / greatest(1 - hash(i) / 18446744073709551616.0, 0.0005)))::INTEGER AS who,
        (-3600 * ln(1 - hash(i * 3) / 18446744073709551617.0))::BIGINT AS wait,
        (30 + 600 * exp(3 * sqrt(-2 * ln(1 - hash(i * 5) / 18446744073709551617.0)) * cos(i)))::BIGINT % 604800
            AS took,
        (1 + hash(i * 13) % 4)::INTEGER AS n, (hash(i * 17) % 9)::INTEGER AS each,
        (hash(i * 19) % 1000)::INTEGER AS first
    FROM range($from, $to) AS numbers (i)
)
"""
FILL_GPUS = """
INSERT INTO run_gpus SELECT run, kind, CASE WHEN sliced THEN 'mig' ELSE '' END, devices,
    CASE WHEN sliced THEN devices / 7.0 ELSE devices END, CASE WHEN sliced THEN devices / 7.0 ELSE devices END, 'named'
FROM (
    SELECT run, hash(run) % 10 = 0 AS sliced, regexp_extract(tres_alloc, 'gres/gpu=(\\d+)', 1)::INTEGER AS devices,
        CASE WHEN hash(run) % 10 = 0 THEN 'a100_1g.5gb' WHEN hash(run) % 3 = 0 THEN 'h100' ELSE 'a100' END AS kind
    FROM runs WHERE run >= $from AND run < $to
) WHERE devices > 0
"""


def filled(path: Path) -> duckdb.DuckDBPyConnection:
    """A file with as many runs."""
    connection = duckdb.connect(str(path), config={"memory_limit": "2GB", "threads": 2})
    connection.execute(TABLES)
    connection.execute("INSERT INTO clusters (cluster, read_until) VALUES ('north', ?)", [LAST])
    for first in range(0, RUNS, BATCH):
        piece = {"from": first, "to": min(first + BATCH, RUNS)}
        connection.execute(FILL, piece | {"first": FIRST, "last": LAST, "runs": RUNS})
        connection.execute(FILL_GPUS, piece)
    connection.execute("CHECKPOINT")
    return connection


def asked_s(connection: duckdb.DuckDBPyConnection, query: ReportQuery) -> float:
    """Median seconds of a question; the first time, which reads the file, does not count."""
    took = []
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        table = answer(connection, check(query, "Europe/Berlin", LAST), EVERYBODY)
        took.append(time.perf_counter() - begun)
    median = statistics.median(took[1:])
    print(f"    {query.period}: {len(table.rows)} rows, first {took[0]:.3f} s, then {median:.3f} s")
    return median


def run() -> list[Verdict]:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounting.duckdb"
        begun = time.perf_counter()
        connection = filled(path)
        print(f"  {RUNS} runs made in {time.perf_counter() - begun:.0f} s, {path.stat().st_size / 1e6:.0f} MB")
        by, sums = ("project", "gpu"), ("gpu_hours", "gpu_hours_equivalent", "gpu_hours_held")
        month = asked_s(connection, ReportQuery(period="2025-06", by=by, measures=sums))
        years = asked_s(connection, ReportQuery(period="2021-01-01..2026-01-01", by=by, measures=sums))
        usual = asked_s(connection, ReportQuery(period="2025-06", by=by))
        all_usual = asked_s(connection, ReportQuery(period="2021-01-01..2026-01-01", by=by))
        months = asked_s(connection, ReportQuery(period="2021-01-01..2026-01-01", by=("month",), measures=sums))
        connection.close()
        return [
            Verdict("report, one month by project and GPU, in s", month, 0.2, most=True),
            Verdict("report, five years by project and GPU, in s", years, 2.0, most=True),
            Verdict("report, the usual measures, one month, in s", usual, 0.2, most=True),
            Verdict("report, the usual measures, five years, in s", all_usual, 2.0, most=True),
            Verdict("report, five years by month, in s", months, 2.0, most=True),
            Verdict("report, MB a million runs", path.stat().st_size / RUNS, 100, most=True),
        ]

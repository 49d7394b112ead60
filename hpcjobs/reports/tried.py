"""Answers that plugins' reports are tried with, by the tests that their authors import (hpcjobs.conformance)."""

from __future__ import annotations

from typing import Final

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.report import Ready, ReportQuery, Table
from hpcjobs.model.sample import BUCKET_S
from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import check
from hpcjobs.reports.own import question
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.intake import write_nodes, write_runs
from hpcjobs.usage.samples import Sample, write_samples
from hpcjobs.usage.tables import TABLES

NOW: Final = 1_796_000_000
HOUR_S: Final = 3600
CLUSTER: Final = "alpha"
PERIODS: Final = ("2000", "2d")
"""One in which nothing was, and one in which these were."""
_TRES: Final = (
    "cpu=64,mem=512G,node=1,gres/gpu=8,gres/gpu:a100=8",
    "cpu=4,mem=16G,node=1,gres/gpu=1,gres/gpu:a100_1g.5gb=1",
    "cpu=4,mem=16G,node=1,gres/gpu=2",
    "cpu=32,mem=128G,node=1,gres/gpu=6,gres/gpu:h100=4,gres/gpu:no_such_model=2",
    "cpu=1,mem=1G,node=1",
)
"""Whole GPUs, a slice, some of which nobody knows the kind, several kinds, none at all."""


def _runs() -> list[Run]:
    told = []
    for number, tres in enumerate(_TRES, start=1):
        begin = NOW - 24 * HOUR_S + number * HOUR_S
        told.append(
            Run(
                slurm_job_id=number, submit_time=begin - 60, start_time=begin, end_time=begin + HOUR_S,
                user=("alice", "bob", "")[number % 3], account=("vision", "nlp")[number % 2], partition="gpu",
                qos="normal", raw_state=("COMPLETED", "FAILED")[number % 2], nodes=1, cpus=4, mem_bytes=2**34,
                node_list=f"n{number}", tres_alloc=tres,
            )
        )  # fmt: skip
    return [*told, Run(slurm_job_id=9, submit_time=NOW - 7200, start_time=NOW - HOUR_S, raw_state="RUNNING", nodes=1)]


def answers(report: Ready) -> list[Table]:
    """What usage says to a report's question: of a time in which nothing was, and of runs of every shape.

    Args:
        report: A plugin's.

    Raises:
        Refused: Its question cannot be asked.
    """
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        connection.execute("INSERT INTO clusters (cluster, read_until) VALUES (?, ?)", [CLUSTER, NOW])
        write_nodes(connection, CLUSTER, [NodeKind("n1", NOW - 48 * HOUR_S, "gpu:a100:8", 64)])
        write_runs(connection, CLUSTER, _runs(), Fleet())
        bucket = (NOW - 22 * HOUR_S) // BUCKET_S * BUCKET_S
        busy = Sample(
            node="n1", device="0", kind="a100", bucket=bucket, slurm_job_id=1, samples=30, covered_s=300.0, busy_s=120.0
        )
        write_samples(connection, CLUSTER, [busy])
        asked = [check(question(report, ReportQuery(period)), "UTC", NOW) for period in PERIODS]
        return [answer(connection, one, Visibility("", everything=True), report.title) for one in asked]

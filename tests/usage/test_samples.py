"""How busy GPUs were: kept once, and added up for a run."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.usage import Run
from hpcjobs.usage import intake
from hpcjobs.usage.efficiency import Busy
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.samples import Sample, busy_of, thin, write_samples
from hpcjobs.usage.tables import TABLES


@pytest.fixture
def usage() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(TABLES)
        yield connection


def sample(bucket: int, job: int | None = 7, device: str = "GPU-a", busy_s: float = 30) -> Sample:
    return Sample(node="n1", device=device, bucket=bucket, slurm_job_id=job, samples=20, covered_s=300, busy_s=busy_s)


def busy(usage: duckdb.DuckDBPyConnection, cluster: str, job: int, start: int, end: int) -> Busy | None:
    """What the samples of a run say that had this time."""
    run = Run(slurm_job_id=job, submit_time=1, end_time=end)
    usage.execute("DELETE FROM runs")
    intake.set_read_until(usage, cluster, end)
    intake.write_runs(usage, cluster, [run], Fleet())
    usage.execute("UPDATE runs SET start_time = ?", [start])  # 0 is none to accounting, and a time here
    return busy_of(usage, [1]).get(1)


def test_a_batch_that_is_told_twice_is_kept_once(usage: duckdb.DuckDBPyConnection) -> None:
    batch = [sample(0), sample(0, device="GPU-b"), sample(300), sample(0, job=None)]
    write_samples(usage, "c", batch)
    once = usage.execute("FROM samples ORDER BY ALL").fetchall()
    write_samples(usage, "c", batch)
    assert usage.execute("FROM samples ORDER BY ALL").fetchall() == once
    assert len(once) == 4


def test_what_is_told_of_a_bucket_later_replaces_what_was_told(usage: duckdb.DuckDBPyConnection) -> None:
    write_samples(usage, "c", [sample(0, busy_s=1), sample(0, busy_s=2)])
    write_samples(usage, "c", [sample(0, busy_s=90)])
    assert busy(usage, "c", 7, 0, 300) == Busy(300, 90)


def test_a_run_has_the_samples_of_its_job_and_time_only(usage: duckdb.DuckDBPyConnection) -> None:
    write_samples(usage, "c", [sample(0), sample(300), sample(600), sample(300, job=8, device="GPU-b")])
    write_samples(usage, "other", [sample(300)])
    assert busy(usage, "c", 7, 300, 600) == Busy(300, 30)
    assert busy(usage, "c", 9, 300, 600) is None


moments = st.integers(0, 20_000)
told_runs = st.lists(st.tuples(st.integers(1, 3), moments, st.integers(0, 9_000)), max_size=6)
told_samples = st.lists(
    st.tuples(st.integers(0, 65), st.sampled_from([None, 1, 2, 3]), st.sampled_from("ab"), st.sampled_from(["x", "y"])),
    max_size=20, unique_by=lambda one: one[:3],
)  # fmt: skip


@given(told_runs, told_samples, st.integers(0, 6))
def test_put_together_each_run_and_hour_has_what_it_had(runs, samples, hours):
    with duckdb.connect(":memory:") as usage:
        usage.execute(TABLES)
        intake.set_read_until(usage, "c", 30_000)
        ends: dict[int, int] = {}
        for number, (job, start, lasts) in enumerate(sorted(runs)):
            start = max(start, ends.get(job, 0))
            ends[job] = start + lasts
            run = Run(slurm_job_id=job, submit_time=number + 1, start_time=start + 1, end_time=start + lasts + 1)
            intake.write_runs(usage, "c", [run], Fleet())
        write_samples(
            usage,
            "c",
            [
                Sample(node="n", device=device, kind=kind, bucket=300 * place, slurm_job_id=job, samples=1,
                       covered_s=10 + place, busy_s=place / 7, energy_j=None if place % 2 else 5.0)
                for place, job, device, kind in samples
            ],
        )  # fmt: skip

        def state() -> tuple[object, ...]:
            numbers = [run for (run,) in usage.execute("SELECT run FROM runs").fetchall()]
            by_hour = """SELECT bucket // 3600, kind, slurm_job_id, sum(samples), round(sum(covered_s), 6),
                round(sum(busy_s), 6), sum(energy_j) FROM samples GROUP BY ALL ORDER BY ALL"""
            found = {run: (round(had.covered_s, 6), round(had.busy_s, 6)) for run, had in
                     busy_of(usage, numbers).items()}  # fmt: skip
            return usage.execute(by_hour).fetchall(), found

        before = state()
        thin(usage, 3600 * hours)
        assert state() == before
        assert thin(usage, 3600 * hours) == 0
        kinds = {(place // 12, kind, job) for place, job, _, kind in samples if place < 12 * hours}
        (lines,) = usage.execute("SELECT count(*) FROM samples WHERE bucket < ?", [3600 * hours]).fetchone() or (0,)
        assert lines <= len(kinds) * (1 + len(runs))

"""What a job used, over REST: its runs, what was measured of them, and nobody else's business."""

from __future__ import annotations

import time

import pytest

from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.samples import Sample, write_samples

from .bench import Bench

FLEET = Fleet([NodeKind("n1", 0, "gpu:a100:8", 64)])
START = int(time.time()) // 300 * 300 - 7200


async def ran(bench: Bench, number: int, *runs: dict[str, object]) -> None:
    told = [
        Run(
            slurm_job_id=number, user="alice", account="vision", nodes=1, cpus=8, node_list="n1",
            tres_alloc="cpu=8,gres/gpu=4", **run,  # type: ignore[arg-type]
        )
        for run in runs
    ]  # fmt: skip

    def write(connection):
        intake.write_runs(connection, "big", told, FLEET)
        intake.set_read_until(connection, "big", START + 7000)

    await bench.service.usage.write(write)


async def test_each_try_is_told_with_what_it_had_and_the_sums(bench):
    job = await bench.submitted()
    number = job["slurm_job_id"]
    await ran(
        bench, number,
        {"submit_time": START, "start_time": START, "end_time": START + 1800, "raw_state": "REQUEUED"},
        {"submit_time": START + 1800, "start_time": START + 1800, "end_time": START + 5400, "raw_state": "COMPLETED",
         "cpu_used_s": 7200.0, "suspended_s": 1800},
    )  # fmt: skip
    found = (await bench.get(f"/v1/jobs/{job['id']}/usage")).json()
    assert [run["raw_state"] for run in found["runs"]] == ["REQUEUED", "COMPLETED"]
    assert [run["gpu_hours"] for run in found["runs"]] == [2.0, 2.0]
    assert (found["gpu_hours"], found["gpu_hours_held"], found["cpu_hours"]) == (4.0, 6.0, 8.0)
    assert found["runs"][1]["gpus"][0] | {"held": 4.0} == {
        "kind": "a100", "sharing": "", "devices": 4, "equivalent": 4.0, "held": 4.0, "basis": "nodes",
    }  # fmt: skip
    assert found["runs"][1]["cpu_efficiency"] == 0.5
    assert found["runs"][1]["gpu_busy"] is None


async def test_what_was_sampled_says_what_nobody_used(bench):
    job = await bench.submitted()
    number = job["slurm_job_id"]
    await ran(bench, number, {"submit_time": START, "start_time": START, "end_time": START + 3600})
    samples = [
        Sample(node="n1", device=str(device), kind="a100", bucket=START + 300 * place, slurm_job_id=number, samples=10,
               covered_s=300, busy_s=30)
        for place in range(12) for device in range(4)
    ]  # fmt: skip
    await bench.service.usage.write(write_samples, "big", samples)
    (run,) = (await bench.get(f"/v1/jobs/{number}/usage")).json()["runs"]
    assert (run["gpu_busy"], run["gpu_coverage"]) == (pytest.approx(0.1), pytest.approx(1.0))
    assert run["gpu_hours_idle"] == pytest.approx(3.6)


async def test_a_job_that_runs_counts_until_accounting_was_read_and_one_that_is_not_there_yet_has_nothing(bench):
    job = await bench.submitted()
    await ran(bench, job["slurm_job_id"], {"submit_time": START, "start_time": START + 5200})
    found = (await bench.get(f"/v1/jobs/{job['id']}/usage")).json()
    assert (found["runs"][0]["used_s"], found["read_until"], found["runs"][0]["end_time"]) == (1800, START + 7000, 0)
    other = await bench.submitted()
    assert (await bench.get(f"/v1/jobs/{other['id']}/usage")).json()["runs"] == []


async def test_what_a_job_used_is_for_who_may_see_the_job(bench):
    job = await bench.submitted()
    await ran(bench, job["slurm_job_id"], {"submit_time": START, "start_time": START, "end_time": START + 60})
    assert (await bench.call("GET", f"/v1/jobs/{job['id']}/usage", "mallory")).status_code == 404
    assert (await bench.call("GET", f"/v1/jobs/{job['id']}/usage", "ops")).json()["runs"]

"""Samples of nodes over REST: told twice they are there once, and in reports and jobs at once."""

from __future__ import annotations

import time

import pytest

from hpcjobs.identity import Scope
from hpcjobs.model.usage import NodeKind, Run
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet

from .bench import problem_of

PATH = "/v1/clusters/big/nodes/n1/samples"
NODE = NodeKind("n1", 0, "gpu:a100:8", 64)
START = int(time.time()) // 300 * 300 - 7200


def line(**fields: object) -> dict[str, object]:
    usual = {"device": "GPU-a", "model": "NVIDIA A100", "bucket": START, "slurm_job_id": 7, "samples": 30,
             "covered_s": 300, "busy_s": 9, "mem_max_bytes": 2**30, "energy_j": 1000.5}  # fmt: skip
    return usual | fields


async def tell(bench, *lines, user="ops", scopes=(Scope.SAMPLES_WRITE,), path=PATH):
    return await bench.call("PUT", path, user, scopes=scopes, json={"devices": lines})


async def test_what_a_node_tells_is_in_reports(bench):
    def write(connection):
        intake.write_nodes(connection, "big", [NODE])
        run = Run(slurm_job_id=7, submit_time=START, start_time=START, end_time=START + 600, user="alice",
                  account="vision", nodes=1, cpus=8, node_list="n1", tres_alloc="cpu=8,gres/gpu=1")  # fmt: skip
        intake.write_runs(connection, "big", [run], Fleet([NODE]))
        intake.set_read_until(connection, "big", START + 7000)

    await bench.service.usage.write(write)
    for _ in range(2):
        answer = await tell(bench, line(), line(bucket=START + 300, busy_s=21), line(slurm_job_id=None, device="b"))
        assert (answer.status_code, answer.json()) == (200, {"kept": 3, "too_old": 0})
    asked = {"by": "user", "measures": "gpu_busy,gpu_hours_idle", "period": "1d"}
    report = (await bench.get("/v1/reports/idle", "alice", **asked)).json()
    assert report["rows"] == [["alice", 0.05, pytest.approx(570 / 3600)]]
    audit = (await bench.get("/v1/audit", "boss")).json()["items"]
    assert not [entry for entry in audit if "samples" in entry["action"]]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"bucket": START + 1}, "devices[0].bucket"), ({"covered_s": 301}, "devices[0].covered_s"),
        ({"busy_s": -1}, "devices[0].busy_s"), ({"device": ""}, "devices[0].device"), ({"colour": 1}, "devices[0]"),
        ({"slurm_job_id": 0}, "devices[0].slurm_job_id"), ({"energy_j": "x"}, "devices[0].energy_j"),
    ],
)  # fmt: skip
async def test_a_line_that_cannot_be_is_refused_by_its_place(bench, fields, where):
    answer = await tell(bench, line(), line(**fields))
    assert answer.status_code in (400, 422)
    assert "devices" in answer.text


async def test_only_operators_tokens_for_just_this_tell_samples(bench):
    for user, scopes in (("alice", None), ("alice", [Scope.SAMPLES_WRITE]), ("ops", [Scope.JOBS_WRITE])):
        answer = await tell(bench, line(), user=user, scopes=scopes)
        assert answer.status_code == 403
    assert (await tell(bench, line(), path=PATH.replace("big", "small"))).status_code == 404
    answer = await tell(bench, line())
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "unavailable")

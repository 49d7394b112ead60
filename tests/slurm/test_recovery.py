"""Jobs that ended badly on real Slurm, both releases: started again where that helps, elsewhere, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from hpcjobs.sbatch.hostlists import expand_hostlist
from tests.slurm.conftest import Stack
from tests.slurm.steered import Use, nodes_of, until

BEGIN_DELAY_S = 121
"""So long Slurm lets a job wait that it requeues itself."""


@pytest.fixture(autouse=True)
def checkpoint(use: Use) -> None:
    use(checkpoint={"rules": {"unknown": {"do": "restart", "budget": 3}}})  # without pauses


def told(stack: Stack, job: dict[str, Any]) -> list[dict[str, Any]]:
    """What was decided of a job."""
    params = {"kind": "job.recovery", "after": 0}
    with stack.api() as api:
        items = api.get("/v1/events", params=params, headers={"Accept": "application/json"}).json()["items"]
    return [event["data"] for event in items if event["job_id"] == job["id"]]


def history(stack: Stack, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Its runs, as they are told."""
    with stack.api() as api:
        return list(api.get(f"/v1/jobs/{job['id']}/runs").json()["runs"])


def submitted(stack: Stack, script: str, **more: Any) -> dict[str, Any]:
    told = {"hints": {"recover": True}, "resources": {"nodes": 1, "wall_s": 600}} | more
    return stack.submit(f"#!/bin/sh\n{script}\n", **told)


def test_a_script_that_always_fails_is_started_so_often_as_its_budget_says_and_no_more(stack: Stack) -> None:
    job = submitted(stack, "exit 1")
    found = until(stack, lambda: told(stack, job), lambda all_: bool(all_) and all_[-1]["decision"] == "stop", 150)
    assert [one["decision"] for one in found] == ["retry", "retry", "retry", "stop"]
    assert [one["run"] for one in found] == [0, 1, 2, 3]
    time.sleep(5)
    last = stack.job(job["id"])
    assert (last["fate"], last["restarts"]) == ("FAILED", 3)
    runs = stack.run("slurmctld", f"sacct -n -X -D -P -j {last['slurm_job_id']} -o State").split()
    assert len(runs) == 4
    assert {*runs} <= {"FAILED", "REQUEUED"}  # 24.11 calls a run so that another follows
    assert runs[-1] == "FAILED"
    chain = history(stack, job)
    assert [(one["run"], one["fate"]) for one in chain] == [(run, "FAILED") for run in range(4)]
    assert [one["recovery"]["decision"]["type"] for one in chain] == ["retry", "retry", "retry", "stop"]


def test_a_job_that_asks_not_to_be_run_again_is_not(stack: Stack) -> None:
    job = submitted(stack, "exit 93")
    (found,) = until(stack, lambda: told(stack, job), bool)
    assert found["decision"] == "stop"
    time.sleep(3)
    assert stack.job(job["id"])["restarts"] == 0


def test_what_failed_for_a_reason_that_no_restart_helps_is_told_so(stack: Stack) -> None:
    script = "echo 'Traceback (most recent call last):' >&2; echo 'ValueError: no such layer' >&2; exit 1"
    job = submitted(stack, script)
    (found,) = until(stack, lambda: told(stack, job), bool)
    assert (found["failure"], found["decision"]) == ("user", "stop")
    assert "ValueError" not in found["why"], "events are for operators, too"
    (run,) = history(stack, job)
    assert run["recovery"]["diagnosis"]["findings"][0]["text"] == "ValueError: no such layer"


@pytest.fixture
def downed(stack: Stack) -> Iterator[list[str]]:
    """Names of nodes that are down, which are up again after the test."""
    names: list[str] = []
    yield names
    for name in names:
        stack.run("slurmctld", f"scontrol update nodename={name} state=resume", check=False)


def test_a_job_whose_node_fails_runs_again_elsewhere_long_before_slurm_would_start_it(
    stack: Stack, downed: list[str]
) -> None:
    job = submitted(stack, "srun sleep 300", hints={})  # it says nothing: Slurm requeues it itself
    first = stack.running(job["id"])["node_list"]
    began = time.time()
    downed.append(first)
    stack.run("slurmctld", f"scontrol update nodename={first} state=down reason=test")
    again = stack.wait(
        job["id"], lambda one: one["state"] == "RUNNING" and one["restarts"] == 1, timeout_s=BEGIN_DELAY_S - 20
    )
    assert again["node_list"] != first
    assert time.time() - began < BEGIN_DELAY_S - 20
    (found,) = told(stack, job)
    assert (found["failure"], found["decision"], found["avoid"]) == ("node", "retry", first)
    before, after = history(stack, job)
    assert (before["node_list"], after["node_list"]) == (first, again["node_list"])
    assert before["recovery"]["decision"]["avoid"] == [first]
    assert before["again_s"] < BEGIN_DELAY_S - 20
    with stack.api() as api:
        api.delete(f"/v1/jobs/{job['id']}")


def test_a_job_that_can_run_with_fewer_nodes_goes_on_with_those_that_are_left(
    stack: Stack, use: Use, downed: list[str]
) -> None:
    use(checkpoint={"rules": {"node": {"do": "shrink", "budget": 3}}})
    every = nodes_of(stack)
    job = submitted(stack, "srun sleep 300", resources={"nodes": every, "wall_s": 600}, hints={"nodes_min": 1})
    nodes = set(expand_hostlist(stack.running(job["id"])["node_list"]))
    downed.append(min(nodes))
    stack.run("slurmctld", f"scontrol update nodename={downed[0]} state=down reason=test")
    again = stack.wait(job["id"], lambda one: one["state"] == "RUNNING" and one["restarts"] == 1)
    assert set(expand_hostlist(again["node_list"])) == nodes - {downed[0]}
    with stack.api() as api:
        api.delete(f"/v1/jobs/{job['id']}")


def test_a_decision_survives_the_service_that_made_it(stack: Stack) -> None:
    job = submitted(stack, "sleep 1; exit 1")
    until(stack, lambda: told(stack, job), bool)
    with stack.restarted():
        stack.run("hpcjobs", "kill -9 $(pgrep -of 'hpcjobs serve')")
    found = until(stack, lambda: told(stack, job), lambda all_: bool(all_) and all_[-1]["decision"] == "stop", 150)
    assert [one["run"] for one in found] == [0, 1, 2, 3]
    assert stack.job(job["id"])["restarts"] == 3


def test_who_depends_on_a_job_that_is_started_again_waits_for_that(stack: Stack) -> None:
    once = submitted(stack, "test $SLURM_RESTART_COUNT || exit 1; sleep 2")
    tasks = submitted(stack, "test $SLURM_ARRAY_TASK_ID = 1 || test $SLURM_RESTART_COUNT || exit 1", array="1-2")
    first, array = (stack.wait(one["id"], lambda now: bool(now["slurm_job_id"])) for one in (once, tasks))
    after = stack.submit(
        "#!/bin/sh\ntrue\n",
        dependency=f"afterok:{first['slurm_job_id']},afterok:{array['slurm_job_id']}",
        resources={"nodes": 1},
    )
    last = stack.finished(after["id"])
    assert last["fate"] == "COMPLETED"
    before = stack.job(once["id"])
    assert (before["fate"], before["restarts"]) == ("COMPLETED", 1)
    assert last["start_time"] >= before["end_time"]
    number = array["slurm_job_id"]
    told_of = stack.run("slurmctld", f"sacct -n -X -D -P -j {number} -o JobID,State,Restarts")
    whole = [line.split("|") for line in told_of.split() if "COMPLETED" in line]
    assert sorted((job.split("_")[1], restarts) for job, _, restarts in whole) == [("1", "0"), ("2", "1")]


def test_what_a_failure_took_is_reported_and_how_often_to_save_is_advised(stack: Stack) -> None:
    since = int(time.time())
    asks = {"nodes": 1, "gpus_per_node": 2, "wall_s": 600}
    job = submitted(stack, "test $SLURM_RESTART_COUNT || { sleep 6; exit 1; }", resources=asks)
    ended = stack.wait(job["id"], lambda now: now["fate"] == "COMPLETED")
    assert ended["restarts"] == 1
    asked = {"period": f"{since}..{since + 600}", "user": "alice"}

    def lost() -> dict[str, float]:
        with stack.api() as api:
            table = api.get("/v1/reports/lost", params=asked).json()
        names = [column["name"] for column in table["columns"]]
        rows = [dict(zip(names, row, strict=True)) for row in table["rows"]]
        return {row["cause"]: row["gpu_hours_lost"] for row in rows if row["gpu_hours_lost"]}

    found = until(stack, lost, bool)
    assert found.keys() == {"unknown"}
    assert 2 * 5 <= 3600 * found["unknown"] <= 2 * 12
    with stack.api() as api:
        advised = api.get("/v1/recovery/advice", params={"job": job["id"], "save_s": 30}).json()
    assert 60 < advised["advice"]["intervals"]["young_s"] < advised["advice"]["mtbf_s"]
    assert advised["told"]

"""Arrays, components, orders and details on a real Slurm, as its own commands see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.slurm.conftest import Stack

SLEEP = "#!/bin/bash\nsleep 300\n"


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with stack.api() as api:
        yield api


@pytest.fixture
def submitted(stack: Stack) -> Iterator[Callable[..., dict[str, Any]]]:
    """Jobs that are cancelled in the end."""
    names: list[str] = []

    def submit(script: str = SLEEP, **more: Any) -> dict[str, Any]:
        job = stack.submit(script, **more)
        names.append(str(job["slurm_job_id"]))
        return job

    yield submit
    if names:
        stack.run("slurmctld", f"scancel {' '.join(names)}; true")


def slurm_says(stack: Stack, job: dict[str, Any], words: str = "%T") -> list[str]:
    return stack.run("slurmctld", f"squeue -h -r -o '{words}' -j {job['slurm_job_id']}").split()


def until(stack: Stack, job: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return stack.wait(job["id"], lambda now: all(now[name] == value for name, value in facts.items()))


def test_an_array_is_one_job_with_tasks_of_their_own(stack: Stack, api: httpx.Client, submitted: Any) -> None:
    job = submitted("#!/bin/bash\nexit $((SLURM_ARRAY_TASK_ID == 2 ? 5 : 0))\n", array="0-3%2")
    assert job["array_size"] == 4
    done = until(stack, job, state="FINISHED")
    assert (done["fate"], done["tasks"]) == ("FAILED", {"COMPLETED": 3, "FAILED": 1})
    tasks = api.get("/v1/jobs", params={"parent": job["id"]}).json()["items"]
    assert {(task["task"], task["fate"], task["exit_code"]) for task in tasks} == {
        (0, "COMPLETED", 0),
        (1, "COMPLETED", 0),
        (2, "FAILED", 5),
        (3, "COMPLETED", 0),
    }
    one = api.get(f"/v1/jobs/{job['slurm_job_id']}_2").json()
    assert (one["task"], one["exit_code"], one["parent"]) == (2, 5, job["id"])
    assert stack.output(one["id"]) == ""


def test_tasks_of_an_array_are_held_released_and_cancelled_one_by_one(
    stack: Stack, api: httpx.Client, submitted: Any
) -> None:
    job = submitted(array="0-5", hold=True)
    number = job["slurm_job_id"]
    until(stack, job, state="HELD")
    assert api.delete(f"/v1/jobs/{number}_[4-5]").status_code == 202
    assert api.post(f"/v1/jobs/{number}_1/release").status_code == 202
    shown = stack.wait(job["id"], lambda now: now["tasks"].get("CANCELLED") == 2 and now["tasks"].get("RUNNING") == 1)
    assert shown["tasks"] == {"HELD": 3, "RUNNING": 1, "CANCELLED": 2}
    assert sorted(slurm_says(stack, job)) == ["PENDING", "PENDING", "PENDING", "RUNNING"]
    waiting = api.get(f"/v1/jobs/{number}_3").json()
    assert (waiting["state"], waiting["task"]) == ("HELD", 3)
    assert api.get(f"/v1/jobs/{number}_9").status_code == 404
    assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert until(stack, job, state="FINISHED")["tasks"] == {"CANCELLED": 6}


def test_a_heterogeneous_job_is_one_job_with_its_components(stack: Stack, api: httpx.Client, submitted: Any) -> None:
    job = submitted(
        resources={"ntasks": 1}, het=[{"resources": {"ntasks": 2}}, {"resources": {"ntasks": 3}}], hold=True
    )
    parts = (
        stack.wait(job["id"], lambda now: now["het_job_id"] == job["slurm_job_id"])
        and api.get("/v1/jobs", params={"parent": job["id"]}).json()["items"]
    )
    assert {(part["task"], part["ntasks"]) for part in parts} == {(1, 2), (2, 3)}
    assert api.get(f"/v1/jobs/{job['slurm_job_id']}+1").json()["ntasks"] == 2
    assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    until(stack, job, state="FINISHED", fate="CANCELLED")


def test_hold_and_release(stack: Stack, api: httpx.Client, submitted: Any) -> None:
    job = submitted(begin="now+1hour")
    assert until(stack, job, state="PENDING")["reason"] in ("BeginTime", "")
    assert api.post(f"/v1/jobs/{job['id']}/hold").status_code == 202
    until(stack, job, state="HELD")
    assert slurm_says(stack, job, "%r") == ["JobHeldUser"]
    why = api.get(f"/v1/jobs/{job['id']}/detail").json()["why"]
    assert (why["reason"], why["waits_for"] != "", len(why["would_help"]) > 0) == ("JobHeldUser", True, True)
    assert api.post(f"/v1/jobs/{job['id']}/release").status_code == 202
    until(stack, job, state="PENDING")


def test_a_running_job_is_requeued_and_a_signal_reaches_its_script(
    stack: Stack, api: httpx.Client, submitted: Any
) -> None:
    script = "#!/bin/bash\ntrap 'echo got it; exit 7' USR1\necho ready\nfor i in $(seq 300); do sleep 1; done\n"
    job = submitted(script)
    stack.running(job["id"])
    give_up = time.monotonic() + 90
    while "ready" not in api.get(f"/v1/jobs/{job['id']}/output").text and time.monotonic() < give_up:
        time.sleep(0.2)
    signal = {"signal": "USR1", "scope": "batch"}
    assert api.post(f"/v1/jobs/{job['id']}/signal", json=signal).status_code == 202
    ended = stack.finished(job["id"])
    assert (ended["fate"], ended["exit_code"]) == ("FAILED", 7)
    assert "got it" in stack.output(job["id"])
    again = api.post(f"/v1/jobs/{job['id']}/requeue", json={"hold": True})
    assert again.status_code in (202, 501), again.text
    if again.status_code == 202:
        held = until(stack, job, state="HELD")
        assert held["restarts"] >= 1
    else:
        assert "requeue" in again.json()["detail"]


def test_what_is_changed_is_so_in_slurm(stack: Stack, api: httpx.Client, submitted: Any) -> None:
    job = submitted(hold=True, comment="mine")
    changes = {"name": "renamed", "wall_s": 600, "comment": "new words", "nice": 5}
    answer = api.patch(f"/v1/jobs/{job['id']}", json=changes)
    assert answer.status_code == 202, answer.text
    shown = until(stack, job, name="renamed", wall_s=600)
    assert shown["comment"] == "new words"
    assert slurm_says(stack, job, "%j|%l") == ["renamed|10:00"]
    nothing = api.patch(f"/v1/jobs/{job['id']}", json={})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "refused")


def test_another_users_job_is_not_there_for_any_order(stack: Stack, submitted: Any) -> None:
    job = submitted(hold=True)
    with stack.api("carol") as carol:
        answers = [
            carol.post(f"/v1/jobs/{job['id']}/hold"),
            carol.delete(f"/v1/jobs/{job['id']}"),
            carol.patch(f"/v1/jobs/{job['id']}", json={"name": "x"}),
            carol.get(f"/v1/jobs/{job['id']}/detail"),
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert slurm_says(stack, job) == ["PENDING"]


def test_many_jobs_are_cancelled_in_one_call_with_a_result_each(
    stack: Stack, api: httpx.Client, submitted: Any, name: str
) -> None:
    jobs = [submitted(hold=True, name=name) for _ in range(3)]
    named = [jobs[0]["id"], str(jobs[1]["slurm_job_id"]), "999999999"]
    report = api.post("/v1/jobs/actions", json={"verb": "cancel", "jobs": named}).json()
    assert [(result["job"], result["done"]) for result in report["results"]] == [
        (named[0], True),
        (named[1], True),
        (named[2], False),
    ]
    assert report["results"][2]["problem"]["code"] == "job-unknown"
    until(stack, jobs[0], state="FINISHED")
    rest = {"verb": "cancel", "filter": {"name": name, "state": ["HELD", "PENDING"]}}
    until(stack, jobs[2], state="HELD")
    until(stack, jobs[1], state="FINISHED")
    report = api.post("/v1/jobs/actions", json=rest).json()
    assert [result["job"] for result in report["results"]] == [jobs[2]["id"]]
    until(stack, jobs[2], state="FINISHED", fate="CANCELLED")


def test_a_dry_run_says_when_it_would_start_or_all_that_is_against_it(stack: Stack, api: httpx.Client) -> None:
    good = api.post("/v1/jobs/validate", json={"script": SLEEP}).json()
    assert good["valid"] is True
    assert good["estimate"] is not None or good["note"] != ""
    bad = {"script": "echo", "resources": {"nodes": 0, "gpus_per_node": "a100:0"}}
    verdict = api.post("/v1/jobs/validate", json=bad).json()
    assert verdict["valid"] is False
    assert {fault["field"] for fault in verdict["errors"]} >= {"script", "resources.nodes", "resources.gpus_per_node"}
    never = api.post("/v1/jobs/validate", json={"script": SLEEP, "resources": {"gpus_per_node": 99}}).json()
    assert never["valid"] is False or never["estimate"] is None


def test_a_jobs_detail_holds_spec_attempts_events_and_steps(stack: Stack, api: httpx.Client, submitted: Any) -> None:
    job = submitted("#!/bin/bash\nsrun true\nexit 3\n", name="detailed")
    stack.finished(job["id"])
    detail = api.get(f"/v1/jobs/{job['id']}/detail").json()
    assert detail["spec"]["name"] == "detailed"
    assert [attempt["state"] for attempt in detail["attempts"]] == ["SENT"]
    kinds = [(event["kind"], event["data"].get("state")) for event in detail["events"]]
    assert kinds[0] == ("job.submitted", None)
    assert kinds[-1] == ("job.state", "FINISHED")
    give_up = time.monotonic() + 90
    while len(detail["steps"]) < 2 and time.monotonic() < give_up:
        time.sleep(1)
        detail = api.get(f"/v1/jobs/{job['id']}/detail").json()
    assert {"batch", "0"} <= {step["id"] for step in detail["steps"]}


def test_how_a_job_ended_that_slurm_forgot_comes_from_accounting(old: Stack) -> None:
    """The service is away while the job ends, and until the controller has forgotten it (MinJobAge=20 there)."""
    job = old.submit("#!/bin/bash\nsleep 2; exit 9\n")
    old.running(job["id"])
    service = old.container("hpcjobs")
    service.stop(timeout=10)
    try:
        give_up = time.monotonic() + 180
        while old.run("slurmctld", f"scontrol show job {job['slurm_job_id']}", check=False):
            assert time.monotonic() < give_up, "slurmctld does not forget the job"
            time.sleep(2)
    finally:
        service.start()
        old.wait_ready(90)
    ended = old.finished(job["id"])
    assert (ended["fate"], ended["exit_code"], ended["slurm_job_id"]) == ("FAILED", 9, job["slurm_job_id"])


def test_an_array_whose_tasks_slurm_lists_only_in_part_hides_no_other_job(stack: Stack, name: str) -> None:
    tasks = ",".join(str(number * number) for number in range(2, 31))  # no steps: longer than Slurm prints
    array = stack.as_user("alice", f"sbatch --parsable --hold --array={tasks} -J {name} --wrap true").strip()
    other = stack.submit(SLEEP, hold=True)
    try:
        assert until(stack, other, state="HELD")  # by a listing that has the array too
        with stack.api() as api:
            (found,) = api.get("/v1/jobs", params={"name": name}).json()["items"]
        assert (found["slurm_job_id"], found["state"]) == (int(array), "HELD")
    finally:
        stack.run("slurmctld", f"scancel {array} {other['slurm_job_id']}")

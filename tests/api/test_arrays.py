"""Tasks of arrays by name: those that Slurm has split off, and those that still wait together."""

from __future__ import annotations

from hpcjobs.store import events
from hpcjobs.store.events import EventFilter
from tests.api.bench import problem_of

SLEEP = "#!/bin/sh\nsleep 9999\n"


async def array(bench, **more) -> dict:
    answer = await bench.post(script=SLEEP, array="0-5", **more)
    assert answer.status_code == 201, answer.text
    await bench.tick()
    return (await bench.get(answer.headers["Location"])).json()


async def test_a_task_that_still_waits_with_the_others_is_shown_held_released_and_cancelled_by_name(bench):
    job = await array(bench, hold=True)
    number = job["slurm_job_id"]
    task = (await bench.get(f"/v1/jobs/{number}_3")).json()
    assert (task["id"], task["parent"], task["task"], task["state"]) == (f"{job['id']}_3", job["id"], 3, "HELD")
    assert (await bench.get(f"/v1/jobs/{task['id']}")).json() == task
    assert (await bench.call("POST", f"/v1/jobs/{number}_1/release")).status_code == 202
    assert (await bench.call("DELETE", f"/v1/jobs/{task['id']}")).status_code == 202
    await bench.tick()
    shown = (await bench.get(f"/v1/jobs/{job['id']}")).json()
    assert shown["tasks"] == {"HELD": 4, "RUNNING": 1, "CANCELLED": 1}
    detail = (await bench.get(f"/v1/jobs/{job['id']}/detail")).json()
    orders = [event["data"] for event in detail["events"] if event["kind"] == "job.order"]
    assert [(order["verb"], order["tasks"]) for order in orders] == [("release", "1"), ("cancel", "3")]
    waiting = (await bench.get(f"/v1/jobs/{number}_2/detail")).json()
    assert [attempt["state"] for attempt in waiting["attempts"]] == ["SENT"]
    assert waiting["why"]["reason"] == "JobHeldUser"


async def test_several_tasks_are_one_order_and_no_others(bench):
    job = await array(bench, hold=True)
    answer = await bench.call("DELETE", f"/v1/jobs/{job['slurm_job_id']}_[1-2,4]")
    assert answer.status_code == 202, answer.text
    await bench.tick()
    tasks = (await bench.get("/v1/jobs", parent=job["id"])).json()["items"]
    assert {task["task"] for task in tasks if task["fate"] == "CANCELLED"} == {1, 2, 4}


async def test_a_task_that_is_not_there_is_404_and_a_plain_job_has_none(bench):
    job = await array(bench)
    plain = await bench.submitted()
    for name in (f"{job['slurm_job_id']}_6", f"{job['id']}_6", f"{plain['id']}_1", f"{plain['slurm_job_id']}_[1-2]",
                 f"{plain['slurm_job_id']}+1"):  # fmt: skip
        answer = await bench.get(f"/v1/jobs/{name}")
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "job-unknown"), name


async def test_an_order_to_a_task_that_slurm_has_split_off_is_an_event_of_its_array_too(bench):
    array = await bench.submitted(array="1-2")
    assert (await bench.call("DELETE", "/v1/jobs/1_1")).status_code == 202
    page = await bench.call(
        "GET", "/v1/events", headers={"Accept": "application/json"},
        params={"job_id": array["id"], "kind": "job.order", "after": 0},
    )  # fmt: skip
    (told,) = page.json()["items"]
    assert (told["job_id"] != array["id"], told["data"]["parent"]) == (True, array["id"])


async def test_who_listens_to_a_task_that_waits_hears_of_it_once_slurm_has_split_it_off(bench):
    job = await array(bench, hold=True)
    waiting = (await bench.get(f"/v1/jobs/{job['slurm_job_id']}_3")).json()["id"]
    assert (await bench.call("POST", f"/v1/jobs/{waiting}/release")).status_code == 202
    await bench.tick()
    split_off = (await bench.get(f"/v1/jobs/{waiting}")).json()
    told = await bench.service.store.read(events.stretch, EventFilter(job_id=waiting), 0, 100)
    assert {event.job_id for event in told.events} == {split_off["id"]} != {waiting}
    assert [event.data["state"] for event in told.events] == ["RUNNING"]
    others = await bench.service.store.read(events.stretch, EventFilter(job_id=f"{job['id']}_2"), 0, 100)
    assert others.events == []

"""What happened to a job, over REST: its runs, why each ended, what was decided; and nobody else's business."""

from __future__ import annotations

import pytest

from hpcjobs.model.failure import Diagnosis, FailureClass, Finding, Sureness
from hpcjobs.model.recovery import Recovery, Stop
from hpcjobs.recovery.spent import UNTOLD
from hpcjobs.store import recoveries
from tests.api.test_job_usage import START, ran
from tests.api.test_lives import USER, watch
from tests.api.test_lives import pytestmark as as_root
from tests.api.test_recovery import care

__all__ = ["care", "watch"]

pytestmark = pytest.mark.thorough


async def runs_of(bench, job, user: str = "alice"):
    answer = await bench.get(f"/v1/jobs/{job['id']}/runs", user)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_crash_loop_is_told_run_by_run_until_its_budget_ends(care):
    job = await care.submitted()
    for _ in range(4):
        await care.end(job, exit_code=1)
        await care.turns(10, 10.0)
    found = await runs_of(care.bench, job)
    assert [(run["run"], run["state"], run["fate"], run["exit_code"]) for run in found["runs"]] == [
        (number, "FINISHED", "FAILED", 1) for number in range(4)
    ]
    assert [run["recovery"]["decision"]["type"] for run in found["runs"]] == ["retry"] * 3 + ["stop"]
    assert {run["recovery"]["diagnosis"]["failure"] for run in found["runs"]} == {"unknown"}
    assert all(run["began"] < run["ended"] for run in found["runs"])
    assert all(one["ended"] <= after["began"] for one, after in zip(found["runs"], found["runs"][1:], strict=False))
    assert [run["restart_s"] is None for run in found["runs"]] == [False, False, False, True]
    assert [run["attempt"] for run in found["runs"]] == [1] * 4
    assert [attempt["state"] for attempt in found["attempts"]] == ["SENT"]
    assert found["next"].startswith("It stays as it ended: ")
    assert "3 times" in found["next"]


async def test_a_job_that_goes_on_has_a_run_that_runs(care):
    job = await care.submitted()
    await care.end(job, "TIMEOUT")
    found = await runs_of(care.bench, job)
    first, last = found["runs"]
    assert (first["fate"], first["recovery"]["decision"]["type"], first["node_list"]) == ("TIMEOUT", "retry", "n1")
    assert (last["state"], last["ended"], last["recovery"]) == ("RUNNING", None, None)
    assert found["job"]["restarts"] == 1
    assert found["next"].startswith("It runs.")


async def test_where_the_time_of_a_job_went_is_told_with_what_is_not_known(care):
    job = await care.submitted()
    assert (await runs_of(care.bench, job))["time"]["losses"]["failures"] == {}
    await care.end(job, "TIMEOUT")
    found = await runs_of(care.bench, job)
    first, last = found["runs"]
    parts = found["time"]["losses"]["time_s"]
    assert found["time"]["losses"]["failures"] == {"time_limit": 1}
    assert parts["lost"] == pytest.approx(first["ended"] - first["began"])
    assert parts["waiting"] >= last["began"] - first["ended"]
    assert found["time"]["ettr"] == pytest.approx(parts["productive"] / sum(parts.values()))
    assert found["time"]["told"] == ["Of 2 runs as Slurm tells them; no agent told of any.", UNTOLD]


async def test_an_array_names_the_tasks_of_which_something_was_decided_and_these_have_runs(care):
    array = await care.submitted(array="0-1")
    await care.turns()
    tasks = (await care.bench.get("/v1/jobs", parent=array["id"])).json()["items"]
    await care.end(next(task for task in tasks if task["task"] == 1), "TIMEOUT")
    found = await runs_of(care.bench, array)
    assert (found["runs"], found["tasks"]) == ([], [1])
    named = (await care.bench.get(f"/v1/jobs/{array['slurm_job_id']}_1/runs")).json()
    assert [run["fate"] for run in named["runs"]] == ["TIMEOUT", None]
    assert named["tasks"] == []


async def test_whoever_requeues_a_job_is_named(care):
    job = await care.bench.submitted()
    assert (await care.bench.call("POST", f"/v1/jobs/{job['id']}/requeue", "ops")).status_code == 202
    await care.turns()
    found = await runs_of(care.bench, job)
    assert [run["requeued_by"] for run in found["runs"]] == ["ops", ""]
    assert found["runs"][0]["recovery"] is None


async def test_a_job_that_waits_for_slurm_has_attempts_and_no_runs(bench):
    bench.slurm.down = True
    job = (await bench.post()).json()
    found = await runs_of(bench, job)
    assert found["runs"] == []
    assert [(one["number"], one["state"]) for one in found["attempts"]] == [(1, "UNSENT"), (2, "WAITING")]
    assert found["next"] == "It goes to Slurm as soon as Slurm takes it."


async def test_what_accounting_has_of_the_number_s_former_jobs_is_not_told(bench):
    job = await bench.submitted()
    number = job["slurm_job_id"]
    await ran(bench, number, {"submit_time": START, "start_time": START, "end_time": START + 60, "raw_state": "FAILED"})
    (only,) = (await runs_of(bench, job))["runs"]
    assert (only["state"], only["began"], only["ended"]) == ("RUNNING", job["start_time"], None)


async def test_what_happened_is_for_who_may_see_the_job(care):
    job = await care.submitted()
    await care.end(job, "TIMEOUT")
    assert (await care.bench.call("GET", f"/v1/jobs/{job['id']}/runs", "mallory")).status_code == 404
    assert len((await runs_of(care.bench, job, "ops"))["runs"]) == 2


async def test_lines_of_its_logs_are_for_the_owner_alone(bench):
    job = await bench.submitted()
    told = tuple(
        Finding(failure=FailureClass.NODE, pattern="p", source=source, line=line, text=text)
        for source, line, text in (("Slurm", 0, "NODE_FAIL"), ("stderr", 3, "token=secret"))
    )
    diagnosis = Diagnosis(failure=FailureClass.NODE, sure=Sureness.STRONG, findings=told, sentence="A node failed.")
    kept = Recovery(
        cluster="big", job_id=job["id"], slurm_job_id=job["slurm_job_id"], run=0, at=1.0, progress=None,
        diagnosis=diagnosis, decision=Stop("Enough."), plugin="checkpoint", decided_at=2.0,
    )  # fmt: skip
    assert await bench.service.store.write(recoveries.add, kept)
    for user, line in (("alice", "token=secret"), ("ops", ""), ("boss", "")):
        (only,) = (await runs_of(bench, job, user))["runs"]
        assert [one["text"] for one in only["recovery"]["diagnosis"]["findings"]] == ["NODE_FAIL", line], user


@pytest.mark.skipif(*as_root[1].args, **as_root[1].kwargs)
async def test_how_far_each_run_came_and_where_the_next_went_on_is_told(watch):
    job = await watch.begun()
    saved = f"{job['checkpoints']}/saved/step-100.attempt-1.0123456789ab"
    watch.tell(job, step=140, checkpoint=saved, checkpoint_step=100, checkpoint_at=watch.time)
    await watch.end(job, "TIMEOUT")
    watch.tell(job, 1, step=101, resumed=saved)
    await watch.looks()
    first, last = (await runs_of(watch.bench, job, USER))["runs"]
    assert (first["progress"]["step"], first["progress"]["checkpoint_step"], first["resumed_step"]) == (140, 100, None)
    assert first["recovery"]["progress"] == 100
    assert (last["progress"]["step"], last["progress"]["checkpoint"], last["resumed_step"]) == (101, "", 100)

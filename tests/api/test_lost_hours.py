"""What failures took, over REST: of accounting, what was diagnosed, and what agents told of checkpoints."""

from __future__ import annotations

import pytest

from hpcjobs.model.failure import Diagnosis, FailureClass, Sureness
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Recovery, Retry
from hpcjobs.store import progress, recoveries
from tests.api.bench import problem_of
from tests.api.test_job_usage import START, ran


async def failed_once(bench) -> str:
    """Four GPUs for an hour, saved after half of it; a device fails; a quarter of an hour later half an hour more."""
    job = await bench.submitted()
    await ran(
        bench, job["slurm_job_id"],
        {"submit_time": START, "start_time": START, "end_time": START + 3600, "raw_state": "REQUEUED"},
        {"submit_time": START + 3600, "start_time": START + 4500, "end_time": START + 6300, "raw_state": "COMPLETED",
         "restarts": 1},
    )  # fmt: skip
    why = Diagnosis(failure=FailureClass.DEVICE, sure=Sureness.STRONG)
    decided = Recovery(
        cluster="big", job_id=job["id"], slurm_job_id=job["slurm_job_id"], run=0, at=START + 3600.0, progress=None,
        diagnosis=why, decision=Retry(why="", at=0.0), plugin="x", decided_at=START + 3601.0,
    )  # fmt: skip
    of_job = {"cluster": "big", "job_id": job["id"]}
    came = [
        Progress(**of_job, run=0, attempt=1, began=START + 0.0, alive=START + 3590.0, checkpoint="/c/1",
                 checkpoint_at=START + 1800.0, save_s=0.0, seen_at=START + 3595.0),
        Progress(**of_job, run=1, attempt=2, began=START + 4500.0, alive=START + 6300.0, resumed="/c/1",
                 seen_at=START + 6300.0),
    ]  # fmt: skip
    await bench.service.store.write(recoveries.add, decided)
    await bench.service.store.write(progress.keep, came)
    return job["id"]


async def test_hours_are_laid_to_what_was_diagnosed_from_the_last_checkpoint_on(bench):
    await failed_once(bench)
    found = (await bench.get("/v1/reports/lost", period="3d")).json()
    assert found["rows"] == [["device", 2.0, 2.0, 0.0, 0.0, 1.0]]
    ratio = (await bench.get("/v1/reports/ettr", "ops", period="3d", by="user")).json()
    assert ratio["rows"] == [["alice", pytest.approx(4 / 7), 6.0, 2.0, 1.0]]


@pytest.mark.parametrize("form", ["csv", "html", "pdf"])
async def test_it_has_all_forms_over_time_with_a_picture(bench, form):
    await failed_once(bench)
    answer = await bench.get("/v1/reports/lost", period="3d", by="hour", format=form)
    assert answer.status_code == 200
    assert ("<svg" in answer.text) is (form == "html")


async def test_only_one_cause_can_be_asked_for_and_only_of_what_has_one(bench):
    await failed_once(bench)
    assert (await bench.get("/v1/reports/lost", period="3d", cause="node")).json()["rows"] == []
    assert len((await bench.get("/v1/reports/lost", period="3d", cause="node,device")).json()["rows"]) == 1
    assert problem_of(await bench.get("/v1/reports/usage", cause="node"))["errors"][0]["field"] == "measures"


async def test_others_see_nothing_of_it(bench):
    await failed_once(bench)
    assert (await bench.get("/v1/reports/lost", "mallory", period="3d")).json()["rows"] == []

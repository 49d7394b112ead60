"""Runs that go on are looked at: how far they are is kept and renews budgets, and what hangs is started again.

What agents tell is read through real agents of a real spawner as nobody. Needs root, as the spawner does.
"""

from __future__ import annotations

import os
import time

import pytest

from hpcjobs.injob import status
from hpcjobs.injob.naming import folder as folder_of
from hpcjobs.injob.naming import told_of
from hpcjobs.injob.status import Status
from hpcjobs.lives import FEW, LOOK_S
from hpcjobs.settings import ClusterSettings
from hpcjobs.store import progress, recoveries
from tests.api.bench import NEVER, UnrulySlurm, on_bench, settings_of
from tests.api.test_recovery import Care

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]
USER = "nobody"


class Watch(Care):
    """A service that looks at jobs, and what the agents inside them tell."""

    def __init__(self, bench, folder):
        super().__init__(bench)
        self.folder = folder

    @property
    def time(self) -> float:
        return time.time() + self.ahead_s

    async def looks(self, count: int = 1, seconds: float = LOOK_S) -> None:
        for _ in range(count):
            await self.turns(1, seconds)
            await self.bench.service.lives["big"].tick(self.time)

    async def begun(self, **hints):
        checkpoints = str(self.folder / f"run-{time.monotonic_ns()}")
        asked = {"recover": True, "checkpoints": checkpoints} | hints
        return await self.submitted(user=USER, hints=asked) | {
            "checkpoints": asked["checkpoints"],
            "begun": self.time,
        }

    def tell(self, job, run: int = 0, **more) -> None:
        """What its agent tells now."""
        number = str(job["slurm_job_id"])
        one = Status(run + 1, 0, number, run, "n1", 9, job["begun"], self.time)._replace(**more)
        self.write(job, status.encode(one))

    def write(self, job, data: bytes) -> None:
        path = folder_of(job["checkpoints"], str(job["slurm_job_id"])) + "/" + told_of(str(job["slurm_job_id"]))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    async def progress(self, job):
        return (await self.bench.service.store.read(progress.of_jobs, [job["id"]])).get(job["id"], [])

    async def decided(self, job):
        found = await self.bench.service.store.read(recoveries.of_jobs, [job["id"]])
        return [
            (one.diagnosis.failure.value, type(one.decision).__name__.lower(), one.progress)
            for one in found.get(job["id"], [])
        ]


@pytest.fixture
async def watch(place, spawner, folder, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    cluster = ClusterSettings("big", observe_s=NEVER, file_roots=(str(folder),))
    told = settings_of(place, clusters=(cluster,), spawner_socket=str(folder / "spawner.sock"))
    async with on_bench(told, {"big": UnrulySlurm(run_s=1_000_000)}) as bench:
        await bench.tick()
        answer = await bench.call("PUT", "/v1/plugins", "boss", json={"plugins": [{"name": "checkpoint"}]})
        assert answer.status_code == 200, answer.text
        yield Watch(bench, folder)


async def test_a_job_that_comes_on_goes_on_after_each_time_limit_and_then_once_more(watch):
    job = await watch.begun()
    for run in range(4):
        watch.tell(job, run, checkpoint="/x", checkpoint_step=100 * (run + 1), checkpoint_at=watch.time)
        await watch.end(job, "TIMEOUT")
        assert ((await watch.now(job))["state"], (await watch.now(job))["restarts"]) == ("RUNNING", run + 1)
    for run in (4, 5):
        watch.tell(job, run, checkpoint="/x", checkpoint_step=400)
        await watch.end(job, "TIMEOUT")
    assert ((await watch.now(job))["state"], (await watch.now(job))["restarts"]) == ("FINISHED", 4)
    decided = await watch.decided(job)
    assert decided == [("time_limit", "retry", 100 * run) for run in (1, 2, 3, 4)] + [("time_limit", "stop", 400)]
    assert [(one.run, one.checkpoint_step) for one in await watch.progress(job)] == [
        (0, 100), (1, 200), (2, 300), (3, 400), (4, 400),
    ]  # fmt: skip


async def test_how_far_a_run_is_is_kept_while_it_goes_on(watch):
    job = await watch.begun(checkpoints=str(watch.folder / "of-%j"), recover=False)
    watch.tell(job, step=5, step_at=watch.time)
    await watch.looks()
    (first,) = await watch.progress(job)
    assert (first.step, first.attempt, first.checkpoint_step) == (5, 1, None)
    watch.write(job, b'{"attempt": "x"}')  # half a file, or somebody's joke
    await watch.looks()
    assert await watch.progress(job) == [first]
    watch.tell(job, step=6, checkpoint="/x", checkpoint_step=6, save_s=1.5)
    await watch.looks()
    (last,) = await watch.progress(job)
    assert (last.step, last.checkpoint_step, last.save_s) == (6, 6, 1.5)
    assert last.seen_at > first.seen_at


async def test_how_far_a_run_was_in_the_end_is_known_of_one_that_was_never_looked_at(watch):
    job = await watch.begun()
    watch.tell(job, step=9, checkpoint="/x", checkpoint_step=9)
    await watch.end(job, "COMPLETED")
    await watch.bench.service.lives["big"].tick(watch.time)
    (last,) = await watch.progress(job)
    assert (last.run, last.checkpoint_step) == (0, 9)


async def test_a_job_that_does_nothing_is_started_again_and_one_that_works_is_not(watch):
    hangs, works = await watch.begun(hang_s=300), await watch.begun(hang_s=300)
    steps = {}
    for look in range(20):
        for job in (hangs, works):
            if job is works or look < 2:
                steps[job["id"]] = ((watch.time, look),)
            watch.tell(job, steps=steps[job["id"]], heartbeat=watch.time)
        if (await watch.now(hangs))["restarts"]:
            break
        await watch.looks()
    await watch.turns()
    assert await watch.decided(hangs) == [("hang", "retry", None)]
    assert ((await watch.now(hangs))["state"], (await watch.now(hangs))["restarts"]) == ("RUNNING", 1)
    assert (await watch.now(works))["restarts"] == 0
    assert await watch.decided(works) == []


async def test_where_all_do_nothing_at_the_same_time_none_is_started_again(watch, caplog):
    jobs = [await watch.begun(hang_s=60) for _ in range(FEW + 1)]
    for job in jobs:
        watch.tell(job)
    await watch.looks()
    for _ in range(5):
        for job in jobs:
            watch.tell(job)
        await watch.looks()
    assert [(await watch.now(job))["restarts"] for job in jobs] == [0] * len(jobs)
    assert f"{len(jobs)} jobs do nothing" in caplog.text


async def test_a_folder_that_a_job_cannot_have_is_refused(watch):
    for path, array, word in (
        ("runs/7", None, "absolute"), ("/x/\n", None, "printable"), ("/x", "0-3", "%a"), ("/x/%a", None, "array"),
    ):  # fmt: skip
        body = {"script": "#!/bin/sh\n", "hints": {"checkpoints": path}} | ({"array": array} if array else {})
        answer = await watch.bench.call("POST", "/v1/jobs", USER, json=body)
        assert answer.status_code == 422, answer.text
        assert word in answer.text
    body = {"script": "#!/bin/sh\n#SBATCH --no-requeue\n", "hints": {"recover": True}}
    answer = await watch.bench.call("POST", "/v1/jobs", USER, json=body)
    assert (answer.status_code, "--no-requeue" in answer.text) == (422, True)
    answer = await watch.bench.call("POST", "/v1/jobs", USER, json={"script": "#!/bin/sh\n", "hints": {"hang_s": -1}})
    assert "hang_s" in answer.text

"""The steps of a job: asked of accounting sparingly, and never another job's."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hpcjobs.model.history import Accounted, Step
from hpcjobs.slurm.sparing import ASKED_AT_ONCE, BUSY


class Slowly:
    """An accounting that answers when a test says so."""

    def __init__(self, bench) -> None:
        self.asked: list[int] = []
        self.now = 0
        self.most = 0
        self.begun, self.answer = asyncio.Event(), asyncio.Event()
        self._history = bench.slurm.history
        bench.slurm.history = self.history

    async def history(self, query):
        self.asked += query.numbers
        self.begun.set()
        self.now += 1
        self.most = max(self.most, self.now)
        await self.answer.wait()
        self.now -= 1
        return await self._history(query)


async def ask(bench, job) -> dict:
    return (await bench.get(f"/v1/jobs/{job['id']}/detail")).json()


async def test_however_many_ask_for_the_steps_of_a_job_accounting_is_asked_once(bench):
    job = await bench.submitted()
    slurmdbd = Slowly(bench)
    asking = [asyncio.create_task(ask(bench, job)) for _ in range(10)]
    await slurmdbd.begun.wait()
    asking.pop(0).cancel()
    slurmdbd.answer.set()
    assert [[step["id"] for step in detail["steps"]] for detail in await asyncio.gather(*asking)] == [["batch"]] * 9
    assert slurmdbd.asked == [1]


async def test_the_steps_of_many_jobs_are_asked_for_few_at_a_time_and_who_waits_too_long_is_told(bench, monkeypatch):
    monkeypatch.setattr(bench.service.details._sparing, "turn_s", 0.02)
    await bench.submitted()
    for number in (2, 3, 4):
        running = msgspec.structs.replace(bench.slurm._jobs[1].record, slurm_job_id=number, attempt=None)
        bench.slurm.bring_back(running)
    await bench.tick()
    jobs = (await bench.get("/v1/jobs")).json()["items"]
    slurmdbd = Slowly(bench)
    asking = [asyncio.create_task(ask(bench, job)) for job in jobs]
    done, waiting = set(), set(asking)
    while len(done) < len(jobs) - ASKED_AT_ONCE:
        done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
    assert [task.result()["steps_note"] for task in done] == [BUSY] * 2
    slurmdbd.answer.set()
    assert [(await task)["steps_note"] for task in waiting] == ["", ""]
    assert (slurmdbd.most, len(slurmdbd.asked)) == (ASKED_AT_ONCE, 2)


@pytest.mark.parametrize("other", [{"user": "bob"}, {"submit_time": 5}, {"attempt": "f" * 32}])
async def test_the_steps_of_another_job_that_had_the_number_are_not_shown(bench, other):
    job = await bench.submitted()
    theirs = msgspec.structs.replace(bench.slurm._jobs[1].record, **other)
    told = Accounted(theirs, (Step("0", "secret"),))

    async def history(query):
        return (told,)

    bench.slurm.history = history
    assert (await ask(bench, job))["steps"] == []
    bench.service.details._steps.clear()
    told = Accounted(bench.slurm._jobs[1].record, (Step("0", "own"),))
    assert [step["name"] for step in (await ask(bench, job))["steps"]] == ["own"]

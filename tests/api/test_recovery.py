"""Jobs that ended badly: diagnosed, decided once for each run, started again where that helps, and never for ever."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpcjobs.model.event import EventKind
from hpcjobs.store import recoveries
from tests.api.bench import UnrulySlurm, on_bench, settings_of

pytestmark = pytest.mark.thorough


class Care:
    """A service with plugin ``checkpoint``, and turns of it."""

    def __init__(self, bench):
        self.bench = bench
        self.ahead_s = 0.0

    async def turns(self, count: int = 3, seconds: float = 2.0) -> None:
        """Listings, each with a turn of recovery and of the policies."""
        for _ in range(count):
            self.ahead_s += seconds
            await self.bench.tick(self.ahead_s)
            now = time.time() + self.ahead_s
            await self.bench.service.recovering["big"].tick(now)
            await self.bench.service.policies["big"].tick(now)
        await self.bench.tick(self.ahead_s)

    async def submitted(self, **body):
        return await self.bench.submitted(**({"hints": {"recover": True}} | body))

    async def end(self, job, raw_state: str = "FAILED", **facts) -> None:
        """It ends, and what is decided of it is done."""
        self.bench.slurm.end(job["slurm_job_id"], raw_state, **facts)
        await self.turns()

    async def now(self, job):
        return (await self.bench.get(f"/v1/jobs/{job['id']}", job["user"])).json()

    async def told(self, user: str = "alice"):
        params = {"kind": EventKind.JOB_RECOVERY.value, "after": 0}
        answer = await self.bench.call("GET", "/v1/events", user, params=params, headers={"Accept": "application/json"})
        return [(one["data"]["failure"], one["data"]["decision"]) for one in answer.json()["items"]]

    async def counted(self):
        """What Prometheus is told, by name and labels."""
        text = (await self.bench.call("GET", "/metrics", "boss")).text
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
        return {(one.name, *one.labels.values()): one.value for one in samples}


@pytest.fixture
async def care(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    async with on_bench(settings_of(place), {"big": UnrulySlurm(run_s=10_000)}) as bench:
        await bench.tick()
        answer = await bench.call("PUT", "/v1/plugins", "boss", json={"plugins": [{"name": "checkpoint"}]})
        assert answer.status_code == 200, answer.text
        yield Care(bench)


async def test_a_job_whose_time_was_up_goes_on_once_without_a_checkpoint(care):
    job = await care.submitted()
    await care.end(job, "TIMEOUT")
    again = await care.now(job)
    assert (again["state"], again["restarts"]) == ("RUNNING", 1)
    await care.end(job, "TIMEOUT")
    assert (await care.now(job))["fate"] == "TIMEOUT"
    assert await care.told() == [("time_limit", "retry"), ("time_limit", "stop")]
    counted = await care.counted()
    assert counted["hpcjobs_recoveries_total", "big", "retry", "time_limit"] == 1
    assert counted["hpcjobs_recoveries_total", "big", "stop", "time_limit"] == 1
    assert counted["hpcjobs_recoveries_open", "big"] == 0
    assert counted["hpcjobs_recovery_decision_seconds_total", "big"] >= 0
    assert await care.told("bob") == []


async def test_what_is_started_again_as_it_was_does_not_wait_for_the_listing_that_shows_it(care):
    job = await care.submitted()
    care.bench.slurm.end(job["slurm_job_id"], "TIMEOUT")
    await care.turns(1)
    record = care.bench.slurm._jobs[job["slurm_job_id"]].record
    assert record.restarts == 1
    assert record.eligible_time <= time.time() + care.ahead_s


async def test_a_failure_that_nobody_knows_is_tried_thrice_and_then_no_more(care):
    job = await care.submitted()
    for restarts in (1, 2, 3):
        await care.end(job, exit_code=1)
        await care.turns(10, 10.0)
        assert ((await care.now(job))["state"], (await care.now(job))["restarts"]) == ("RUNNING", restarts)
    await care.end(job, exit_code=1)
    await care.turns(10, 10.0)
    last = await care.now(job)
    assert (last["state"], last["fate"], last["restarts"]) == ("FINISHED", "FAILED", 3)
    assert await care.told() == [("unknown", "retry")] * 3 + [("unknown", "stop")]


@pytest.mark.parametrize(
    ("raw_state", "facts"),
    [("COMPLETED", {}), ("CANCELLED", {}), ("FAILED", {"exit_code": 93}), ("DEADLINE", {})],
)
async def test_some_ends_are_ends(care, raw_state, facts):
    job = await care.submitted()
    await care.end(job, raw_state, **facts)
    assert ((await care.now(job))["state"], (await care.now(job))["restarts"]) == ("FINISHED", 0)


async def test_a_job_that_does_not_say_so_stays_as_it_ended(care):
    job = await care.bench.submitted()
    await care.end(job, "TIMEOUT")
    assert (await care.now(job))["fate"] == "TIMEOUT"
    assert await care.told() == []


async def test_without_the_plugin_nothing_is_started_again(care):
    await care.bench.call("PUT", "/v1/plugins", "boss", json={"plugins": []})
    job = await care.submitted()
    await care.end(job, "TIMEOUT")
    assert (await care.now(job))["fate"] == "TIMEOUT"


async def test_each_run_is_decided_once_whoever_is_killed(care):
    job = await care.submitted()
    care.bench.slurm.end(job["slurm_job_id"], "TIMEOUT")
    care.ahead_s += 2
    await care.bench.tick(care.ahead_s)
    recovering = care.bench.service.recovering["big"]
    await recovering.tick(time.time() + care.ahead_s)
    for _ in range(3):  # all that it remembers is gone, as after a start
        recovering._open = None
        recovering._decided.clear()
        recovering._known.clear()
        await recovering.tick(time.time() + care.ahead_s)
    found = await care.bench.service.store.read(recoveries.of_jobs, [job["id"]])
    assert len(found[job["id"]]) == 1
    recovering._open = None
    await care.turns()
    assert (await care.now(job))["restarts"] == 1
    (one,) = (await care.bench.service.store.read(recoveries.of_jobs, [job["id"]]))[job["id"]]
    assert one.state == "done"


async def test_who_cancels_a_job_that_is_to_be_started_again_has_it_stay_as_it_ended(care):
    job = await care.submitted()
    care.bench.slurm.end(job["slurm_job_id"], exit_code=1)
    await care.turns(1, 1.0)  # it is started again in 5 s
    for expected in (202, 409):
        answer = await care.bench.call("DELETE", f"/v1/jobs/{job['id']}", job["user"])
        assert answer.status_code == expected, answer.text
    await care.turns(5, 5.0)
    last = await care.now(job)
    assert (last["state"], last["fate"], last["restarts"]) == ("FINISHED", "FAILED", 0)
    (one,) = (await care.bench.service.store.read(recoveries.of_jobs, [job["id"]]))[job["id"]]
    assert one.state == "over"

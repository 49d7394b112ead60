"""The observer tells what Slurm says and no more, and gets over whatever it meets."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec
import pytest
from sqlalchemy.exc import OperationalError

from hpcjobs.errors import NotAllowed, ViewStale
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.settings import ClusterSettings
from hpcjobs.slurm.base import Launch
from tests.api.bench import NEVER, SCRIPT, Bench, UnrulySlurm, problem_of, running, settings_of


async def job_now(bench, job) -> dict:
    return (await bench.get(f"/v1/jobs/{job['id']}", max_age_s=1e9)).json()


async def test_a_job_that_is_not_listed_any_more_is_unknown_and_not_finished_and_comes_back(bench):
    job = await bench.submitted()
    bench.slurm.hidden = {1}
    await bench.tick()
    gone = await job_now(bench, job)
    assert (gone["state"], gone["fate"]) == ("UNKNOWN", None)
    assert gone["detail"] == "Slurm no longer lists this job; its end is not known (yet)."
    assert gone["start_time"] == job["start_time"]
    bench.slurm.hidden = set()
    await bench.tick()
    back = await job_now(bench, job)
    assert (back["state"], back["detail"], back["id"]) == ("RUNNING", "", job["id"])
    assert len((await bench.get("/v1/jobs")).json()["items"]) == 1


async def test_a_job_that_ended_and_is_forgotten_by_slurm_stays_ended(bench):
    job = await bench.submitted(script="#!/bin/sh\nsleep 1\n")
    await bench.tick(2)
    bench.slurm.hidden = {1}
    await bench.tick(3)
    ended = await job_now(bench, job)
    assert (ended["state"], ended["fate"], ended["detail"]) == ("FINISHED", "COMPLETED", "")


async def test_a_job_lost_while_the_service_was_away_is_unknown_afterwards(place):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        job = await bench.submitted()
    slurm.hidden = {1}
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        assert (await job_now(bench, job))["state"] == "UNKNOWN"


async def test_a_job_that_ended_while_the_service_was_away_has_ended_afterwards(place):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        job = await bench.submitted()
    slurm.end(1, exit_code=3)
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        ended = await job_now(bench, job)
        assert (ended["fate"], ended["exit_code"]) == ("FAILED", 3)


async def test_a_job_that_came_another_way_gets_a_row(bench):
    spec = JobSpec(SCRIPT, name="native", comment="by hand", workdir="/w", resources=Resources(gpus=1))
    await UnrulySlurm.submit(bench.slurm, "alice", Launch(spec, ""))
    await bench.tick()
    (job,) = (await bench.get("/v1/jobs")).json()["items"]
    assert (job["slurm_job_id"], job["name"], job["comment"], job["state"]) == (1, "native", "by hand", "RUNNING")
    assert (await bench.get("/v1/jobs/1")).json() == job


async def test_a_mark_copied_by_another_user_does_not_take_the_job(bench):
    job = await bench.submitted()
    await UnrulySlurm.submit(bench.slurm, "bob", Launch(JobSpec(SCRIPT), bench.slurm.attempts[0]))
    await bench.tick()
    assert (await job_now(bench, job))["user"] == "alice"
    (theirs,) = (await bench.get("/v1/jobs", "bob")).json()["items"]
    assert (theirs["slurm_job_id"], theirs["id"] == job["id"]) == (2, False)


async def test_a_slurm_that_lost_its_state_and_counts_from_one_again_makes_new_jobs(bench):
    old = await bench.submitted()
    bench.slurm._jobs.clear()
    bench.slurm.now += 1000
    await UnrulySlurm.submit(bench.slurm, "alice", Launch(JobSpec(SCRIPT, name="new"), ""))
    await bench.tick(1001)
    new, kept = (await bench.get("/v1/jobs")).json()["items"]
    assert (new["name"], new["slurm_job_id"], kept["id"]) == ("new", 1, old["id"])
    assert (await bench.get("/v1/jobs/1")).json()["id"] == new["id"]


async def test_trouble_is_told_and_is_over_when_the_controller_answers(bench, caplog):
    async def told() -> tuple:
        (cluster,) = (await bench.get("/v1/clusters")).json()
        ready = await bench.http.get("/readyz")
        return cluster["up"], cluster["trouble"], ready.status_code, ready.json()["cluster big"]

    assert await told() == (True, "", 200, "ok")
    seen = (await bench.get("/v1/clusters")).json()[0]["observed_at"]
    bench.slurm.down = True
    for _ in range(3):
        await bench.tick()
    away = "The controller is away."
    assert await told() == (False, away, 503, away)
    assert (await bench.get("/v1/clusters")).json()[0]["observed_at"] == seen
    bench.slurm.down = False
    await bench.tick()
    assert await told() == (True, "", 200, "ok")
    warnings = [record.getMessage() for record in caplog.records if record.name == "hpcjobs.observe.observer"]
    assert warnings == [f"cluster big: {away}", "cluster big answers again"], "once each, however long it lasts"


async def test_before_the_first_listing_nothing_is_claimed(place):
    async with running(settings_of(place), {"big": UnrulySlurm()}) as bench:
        (cluster,) = (await bench.get("/v1/clusters")).json()
        assert (cluster["up"], cluster["observed_at"]) == (False, None)
        assert (await bench.http.get("/readyz")).json() == {
            "cluster big": "Cluster 'big' has not been seen yet. The next listing is under way.",
            "database": "ok",
        }
        problem = problem_of(await bench.get("/v1/jobs"))
        assert problem["code"] == "view-stale"
        assert problem["detail"] == "Cluster 'big' has not been seen yet. The next listing is under way."


async def test_a_stale_view_says_since_when_and_why_and_how_to_read_it_all_the_same(bench):
    bench.slurm.down = True
    await bench.tick()
    at = bench.observer.view.asked_at
    with pytest.raises(ViewStale) as stale:
        bench.observer.fresh_view(10, at + 10.5)
    seen = time.strftime("%H:%M:%S UTC", time.gmtime(at))
    assert stale.value.detail == (
        f"Cluster 'big' was last seen at {seen}, longer ago than the 10 s accepted. The controller is away."
    )
    assert "larger max_age_s" in stale.value.kept
    assert bench.observer.fresh_view(10, at + 10) is bench.observer.view


async def test_a_stale_view_is_told_on_every_path_that_answers_from_it(bench):
    job = await bench.submitted()
    bench.observer.view = msgspec.structs.replace(bench.observer.view, asked_at=time.time() - 2 * NEVER)
    for path in ("/v1/jobs", f"/v1/jobs/{job['id']}", "/v1/jobs/1", "/v1/clusters/big/nodes"):
        answer = await bench.get(path)
        assert (answer.status_code, problem_of(answer)["code"]) == (503, "view-stale"), path
        assert (await bench.get(path, max_age_s=3 * NEVER)).status_code == 200, path


class Watch:
    """The observer's watch, in a test's hand."""

    strftime, gmtime = staticmethod(time.strftime), staticmethod(time.gmtime)

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def watch(bench, monkeypatch):
    watch = Watch()
    bench.observer.max_age_s = 10.0
    monkeypatch.setattr("hpcjobs.observe.observer.time", watch)
    return watch


async def listed_within(bench: Bench, watch: Watch, took_s: float) -> None:
    """One listing that takes so long, and was asked for as long ago."""
    view = bench.slurm.view

    async def slow(now):
        watch.at += took_s
        return await view(now)

    bench.slurm.view = slow
    await bench.tick(-took_s)
    bench.slurm.view = view


async def test_a_controller_whose_listings_take_longer_than_answers_may_be_old_is_not_away(bench, watch):
    await listed_within(bench, watch, 20.0)
    watch.at += 59.0  # the next listing is under way
    assert (await bench.get("/v1/jobs")).json()["detail"].endswith("The next listing is under way.")
    job = await bench.post()
    assert job.status_code == 201, "readers are told that what is known is old; submitters go to Slurm"
    assert (await bench.call("POST", f"/v1/jobs/{job.json()['id']}/hold")).status_code == 202
    watch.at += 2.0
    late = await bench.post()
    assert (late.status_code, late.json()["detail"]) == (
        202,
        "It goes to Slurm as soon as Slurm answers. Cluster 'big' has not answered for 61 s.",
    )
    await bench.send()
    assert bench.slurm.calls == 1
    await listed_within(bench, watch, 20.0)
    await bench.send()
    assert bench.slurm.calls == 2


async def test_a_controller_that_lists_quickly_is_away_when_it_has_not_answered_for_as_long_as_answers_are_good(
    bench, watch
):
    await listed_within(bench, watch, 1.0)
    watch.at += 9.9
    assert (await bench.post()).status_code == 201
    watch.at += 0.2
    assert (await bench.post()).status_code == 202


async def test_a_job_that_has_ended_needs_no_fresh_view(bench):
    job = await bench.submitted(script="#!/bin/sh\nsleep 1\n")
    await bench.tick(2)
    bench.observer.view = None
    assert (await bench.get(f"/v1/jobs/{job['id']}")).json()["fate"] == "COMPLETED"


async def test_the_next_listing_wakes_who_waits_and_without_one_the_time_ends_the_wait(bench):
    waiting = [asyncio.create_task(bench.observer.next_tick(30)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    await bench.tick()
    await asyncio.wait_for(asyncio.gather(*waiting), 20)
    await asyncio.wait_for(bench.observer.next_tick(0.01), 20)


async def test_a_listing_that_fails_wakes_who_waits_too(bench):
    waiting = asyncio.create_task(bench.observer.next_tick(30))
    await asyncio.sleep(0.01)
    bench.slurm.down = True
    await bench.tick()
    await asyncio.wait_for(waiting, 20)


async def test_a_database_error_is_trouble_and_what_it_kept_back_is_written_later(bench, monkeypatch):
    await bench.post(script="#!/bin/sh\nsleep 1\n")
    before = bench.observer.view

    def broken(*_):
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr("hpcjobs.store.listing.apply", broken)
        await bench.tick()
    assert bench.observer.trouble.detail == "The database does not answer: database is locked"
    assert bench.observer.view is before, "a listing that is not written is not shown"
    await bench.tick(2)
    assert bench.observer.trouble is None
    assert (await bench.get("/v1/jobs/1")).json()["fate"] == "COMPLETED"


@pytest.mark.parametrize("error", [NotAllowed("The service's user may not list jobs."), RuntimeError("a bug")])
async def test_a_listing_that_fails_in_any_way_is_trouble_and_not_silence(bench, monkeypatch, error):
    async def view(now):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(bench.slurm, "view", view)
        await bench.tick()
    (cluster,) = (await bench.get("/v1/clusters")).json()
    assert not cluster["up"]
    assert str(error) in cluster["trouble"]
    assert (await bench.http.get("/readyz")).status_code == 503
    await bench.tick()
    assert (await bench.http.get("/readyz")).status_code == 200


async def test_the_clock_goes_on_after_a_listing_that_failed(place, caplog):
    slurm = UnrulySlurm()
    failures = [RuntimeError("a bug"), OperationalError("SELECT", {}, Exception("locked"))]
    view = slurm.view

    async def fails_at_first(now):
        if failures:
            raise failures.pop()
        return await view(now)

    slurm.view = fails_at_first
    settings = settings_of(place, clusters=(ClusterSettings("big", observe_s=0.02),))
    with caplog.at_level(logging.CRITICAL, "apscheduler"):
        async with running(settings, {"big": slurm}) as bench, asyncio.timeout(60):
            while bench.observer.view is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert bench.observer.trouble is None


@pytest.mark.parametrize("last", ["sleep forever", "sleep $SECONDS", "sleep -5", "sleep inf", "sleep nan", "sleep 1d"])
async def test_no_script_stops_the_listing_of_a_simulated_cluster(bench, last):
    await bench.post(script=f"#!/bin/sh\n{last}\n")
    await bench.tick()
    await bench.tick(3)
    assert (bench.observer.trouble, len(bench.observer.view.jobs)) == (None, 1)

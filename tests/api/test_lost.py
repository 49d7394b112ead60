"""Slurm took a job and lost it: it goes out again, once, and only where nothing of it can have run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hpcjobs.model.job import Fate, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.settings import ClusterSettings
from hpcjobs.slurm.base import Launch, Op
from tests.api.bench import NEVER, SCRIPT, Bench, UnrulySlurm, problem_of, running, settings_of


async def job_now(bench: Bench, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await bench.get(f"/v1/jobs/{job['id']}", max_age_s=1e9)).json()
    return found


async def held(bench: Bench, name: str = "a", **body: Any) -> dict[str, Any]:
    """A job that Slurm took, in no listing yet."""
    answer = await bench.post(f"key-{name}", name=name, hold=True, **body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def attempts_of(bench: Bench, job: dict[str, Any]) -> list[tuple[str, str]]:
    detail = (await bench.get(f"/v1/jobs/{job['id']}/detail", max_age_s=1e9)).json()
    return [(attempt["state"], attempt["detail"]) for attempt in detail["attempts"]]


@pytest.mark.parametrize("listed", [True, False])
async def test_a_job_that_slurm_took_and_lost_goes_out_again_under_its_id_and_says_why(bench, listed):
    job = await held(bench)
    if listed:
        await bench.tick()
    bench.slurm.lose()
    await bench.tick()
    assert (await job_now(bench, job))["state"] == "UNKNOWN"
    await bench.ask_accounting(SETTLE_S - 5)
    assert (await job_now(bench, job))["state"] == "UNKNOWN", "not before it is missing for long enough"
    await bench.ask_accounting()
    waits = await job_now(bench, job)
    said = "Slurm lost this job before it began: it had taken it as 1 and knows nothing of it any more."
    assert (waits["state"], waits["slurm_job_id"], waits["attempt"]) == ("SUBMITTING", None, None)
    assert waits["detail"] == f"{said} It goes to Slurm again."
    assert await attempts_of(bench, job) == [("UNSENT", said), ("WAITING", "")]
    await bench.send()
    await bench.tick()
    again = await job_now(bench, job)
    assert (again["state"], again["slurm_job_id"], again["detail"]) == ("HELD", 1, "")
    assert await attempts_of(bench, job) == [("UNSENT", said), ("SENT", "")]
    detail = (await bench.get(f"/v1/jobs/{job['id']}/detail")).json()
    told = [event["data"] for event in detail["events"] if "state" in event["data"]]
    first_listing = [("HELD", 1)] if listed else []
    ways = [("PENDING", 1), *first_listing, ("UNKNOWN", 1), ("SUBMITTING", None), ("PENDING", 1), ("HELD", 1)]
    assert [(data["state"], data["slurm_job_id"]) for data in told] == ways
    assert (await bench.post("key-a", name="a", hold=True)).json()["id"] == job["id"]
    assert len(bench.slurm._jobs) == 1


async def test_jobs_that_were_lost_go_out_in_the_order_in_which_they_came(bench):
    jobs = [await held(bench, name) for name in "abc"]
    bench.slurm.lose(3)
    await bench.tick()
    await bench.ask_accounting()
    await bench.send()
    assert [(await job_now(bench, job))["slurm_job_id"] for job in jobs] == [1, 2, 3]
    assert [entry.record.name for entry in bench.slurm._jobs.values()] == ["a", "b", "c"]


@pytest.mark.thorough
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
async def test_of_two_jobs_that_got_one_number_the_lost_one_goes_out_again(place, listed, restarted):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        lost = await held(bench, "a")
        if listed:
            await bench.tick()
        slurm.lose()
        there = await held(bench, "b")
        assert lost["slurm_job_id"] == there["slurm_job_id"] == 1
        if not restarted:
            await judged(bench, lost, there)
    if restarted:
        async with running(settings_of(place), {"big": slurm}) as bench:
            await judged(bench, lost, there)


async def judged(bench: Bench, lost: dict[str, Any], there: dict[str, Any]) -> None:
    await bench.tick()
    assert ((await job_now(bench, lost))["state"], (await job_now(bench, there))["state"]) == ("UNKNOWN", "HELD")
    refused = await bench.call("DELETE", f"/v1/jobs/{lost['id']}")
    assert problem_of(refused)["code"] == "conflict", "its number is the other's now"
    await bench.ask_accounting()
    await bench.send()
    await bench.tick()
    assert [(await job_now(bench, job))["slurm_job_id"] for job in (lost, there)] == [2, 1]
    assert [entry.record.name for entry in bench.slurm._jobs.values()] == ["b", "a"]


async def test_a_job_submitted_by_hand_that_gets_the_number_of_a_lost_one_is_a_job_of_its_own(bench):
    lost = await held(bench)
    bench.slurm.lose()
    bench.slurm.now += 10
    await UnrulySlurm.submit(bench.slurm, "alice", Launch(JobSpec(SCRIPT, name="native"), ""))
    native_record = msgspec.structs.replace(bench.slurm._jobs[1].record, attempt=None, eligible_time=0)  # it may start
    bench.slurm._jobs[1].record = native_record
    await bench.tick()
    native, ours = (await bench.get("/v1/jobs")).json()["items"]
    assert (native["name"], native["slurm_job_id"], native["state"]) == ("native", 1, "RUNNING")
    assert (ours["id"], ours["state"]) == (lost["id"], "UNKNOWN")


async def test_a_job_that_a_listing_hides_is_not_sent_again_while_its_owner_sees_it(bench):
    job = await held(bench)
    bench.slurm.unlisted = {1}
    await bench.tick()
    await bench.ask_accounting()
    assert (await job_now(bench, job))["state"] == "UNKNOWN"
    bench.slurm.unlisted = set()
    await bench.tick()
    assert (await job_now(bench, job))["state"] == "HELD"


@pytest.mark.parametrize("trouble", ["accounting_down", "cannot_find"])
async def test_what_cannot_be_asked_now_is_asked_again_and_nothing_is_sent_before(bench, trouble):
    job = await held(bench)
    bench.slurm.lose()
    await bench.tick()
    setattr(bench.slurm, trouble, True)
    await bench.ask_accounting()
    assert (await job_now(bench, job))["state"] == "UNKNOWN"
    setattr(bench.slurm, trouble, False)
    await bench.ask_accounting(SETTLE_S + 5)
    assert (await job_now(bench, job))["state"] == "SUBMITTING"


async def test_without_accounting_a_lost_job_stays_unknown(bench, monkeypatch):
    job = await held(bench)
    bench.slurm.lose()
    await bench.tick()
    monkeypatch.setattr(bench.slurm, "lacks", lambda op, subject=None: "no slurmdbd" if op is Op.HISTORY else "")
    await bench.ask_accounting()
    assert (await job_now(bench, job))["state"] == "UNKNOWN"


async def test_a_cluster_whose_settings_say_so_sends_no_lost_job_again(place):
    clusters = (ClusterSettings("big", observe_s=NEVER, resend_lost=False),)
    async with running(settings_of(place, clusters=clusters), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        job = await held(bench)
        bench.slurm.lose()
        await bench.tick()
        await bench.ask_accounting()
        assert (await job_now(bench, job))["state"] == "UNKNOWN"


async def test_a_job_that_was_seen_to_run_is_not_sent_again(bench):
    job = await bench.submitted()
    assert job["state"] == "RUNNING"
    bench.slurm.lose()
    await bench.tick()
    await bench.ask_accounting()
    assert (await job_now(bench, job))["state"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"raw_state": "RUNNING", "state": "RUNNING", "node_list": "n1"}, "UNKNOWN"),
        ({"raw_state": "PENDING", "state": "PENDING", "restarts": 1}, "UNKNOWN"),
        ({"raw_state": "COMPLETED", "state": "FINISHED", "fate": "COMPLETED", "node_list": "n1"}, "FINISHED"),
        ({"raw_state": "CANCELLED", "state": "FINISHED", "fate": "CANCELLED"}, "FINISHED"),
        ({"raw_state": "PENDING", "state": "PENDING"}, "SUBMITTING"),
        ({"raw_state": "RUNNING", "state": "RUNNING", "node_list": "n1", "attempt": "f" * 32}, "SUBMITTING"),
        ({"raw_state": "COMPLETED", "state": "FINISHED", "fate": "COMPLETED", "attempt": "f" * 32}, "SUBMITTING"),
        ({"raw_state": "RUNNING", "state": "RUNNING", "attempt": None, "comment": "the site's"}, "UNKNOWN"),
        ({"raw_state": "PENDING", "state": "PENDING", "attempt": None, "comment": "the site's"}, "UNKNOWN"),
        (
            {"raw_state": "RUNNING", "state": "RUNNING", "attempt": None, "comment": "old", "submit_time": 9},
            "SUBMITTING",
        ),
        ({"state": "RUNNING", "attempt": None, "comment": "by hand", "submit_time": 2**33}, "SUBMITTING"),
        ({"raw_state": "RUNNING", "state": "RUNNING", "attempt": None}, "UNKNOWN"),
        ({"raw_state": "RUNNING", "state": "RUNNING", "attempt": None, "submit_time": 2**33}, "SUBMITTING"),
        ({"raw_state": "RUNNING", "state": "RUNNING", "user": "bob"}, "SUBMITTING"),
    ],
)
async def test_what_accounting_knows_decides_whether_a_lost_job_goes_out_again(bench, facts, state):
    job = await held(bench)
    (record,) = bench.slurm.lose()
    told = msgspec.to_builtins(record) | facts
    bench.slurm.accounted = [msgspec.convert(told, type(record))]
    await bench.tick()
    await bench.ask_accounting()
    assert (await job_now(bench, job))["state"] == state


def rewrite(bench: Bench, **facts: Any) -> None:
    for entry in bench.slurm._jobs.values():
        entry.record = msgspec.structs.replace(entry.record, **facts)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("body", [{}, {"array": "1-4"}])
async def test_a_job_whose_comment_the_site_writes_is_ours_all_the_same_and_is_sent_once(place, restarted, body):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        job = await held(bench, **body)
        rewrite(bench, attempt=None, comment="project=7")
        if not restarted:
            await seen_once(bench, job)
    if restarted:
        async with running(settings_of(place), {"big": slurm}) as bench:
            await seen_once(bench, job)


async def seen_once(bench: Bench, job: dict[str, Any]) -> None:
    await bench.tick()
    (seen,) = (await bench.get("/v1/jobs")).json()["items"]
    assert (seen["id"], seen["state"], seen["comment"]) == (job["id"], "HELD", "project=7")
    await bench.ask_accounting()
    await bench.send()
    assert bench.slurm.calls == 1


async def test_a_job_without_a_mark_that_was_lost_and_has_run_by_accounting_is_not_sent_again(bench):
    job = await held(bench)
    ended = {"state": State.FINISHED, "fate": Fate.COMPLETED, "raw_state": "COMPLETED"}
    rewrite(bench, attempt=None, comment="project=7", **ended)
    bench.slurm.accounted = bench.slurm.lose()
    await bench.tick()
    await bench.ask_accounting()
    seen = await job_now(bench, job)
    assert (seen["id"], seen["state"], seen["fate"]) == (job["id"], "FINISHED", "COMPLETED")


async def test_an_array_lost_before_its_first_task_began_goes_out_again_whole(bench):
    job = await held(bench, array="1-4")
    await bench.tick()
    bench.slurm.lose()
    await bench.tick()
    assert (await job_now(bench, job))["tasks"] == {"UNKNOWN": 4}
    await bench.ask_accounting()
    await bench.send()
    await bench.tick()
    again = await job_now(bench, job)
    assert (again["state"], again["tasks"], again["array_task"]) == ("HELD", {"HELD": 4}, "1-4")


async def test_an_array_of_which_a_task_has_begun_is_not_sent_again(bench):
    job = await bench.submitted(array="1-4%1")
    assert job["tasks"] == {"RUNNING": 1, "PENDING": 3}
    bench.slurm.lose(2)
    await bench.tick()
    await bench.ask_accounting()
    assert ((await job_now(bench, job))["state"], len(bench.slurm._jobs)) == ("UNKNOWN", 0)


async def test_a_job_that_comes_back_while_its_next_attempt_waits_is_not_sent_again(bench):
    job = await held(bench)
    (record,) = bench.slurm.lose()
    await bench.tick()
    await bench.ask_accounting()
    bench.slurm.bring_back(record)
    await bench.tick()
    await bench.send()
    back = await job_now(bench, job)
    assert (back["state"], back["slurm_job_id"], back["attempt"]) == ("HELD", 1, record.attempt)
    assert len(bench.slurm._jobs) == 1


async def test_a_job_that_comes_back_after_it_was_sent_again_is_seen_as_a_job_of_its_own(bench):
    job = await held(bench)
    (record,) = bench.slurm.lose()
    await bench.tick()
    await bench.ask_accounting()
    await bench.send()
    bench.slurm.bring_back(msgspec.structs.replace(record, slurm_job_id=9))
    await bench.tick()
    other, ours = sorted((await bench.get("/v1/jobs")).json()["items"], key=lambda one: one["id"] == job["id"])
    assert (ours["slurm_job_id"], other["slurm_job_id"]) == (1, 9)


async def test_an_answer_younger_than_the_listing_under_way_is_not_held_against_it(bench):
    view = bench.slurm.view

    async def submits_meanwhile(now):
        seen = await view(now)
        bench.job = await held(bench)
        return seen

    bench.slurm.view = submits_meanwhile
    await bench.tick()
    bench.slurm.view = view
    assert (await job_now(bench, bench.job))["state"] == "PENDING"
    await bench.tick()
    assert (await job_now(bench, bench.job))["state"] == "HELD"


async def test_an_attempt_that_only_accounting_can_settle_stays_open_without_it_and_the_listings_go_on(bench):
    bench.slurm.mishaps, bench.slurm.cannot_find = ["lost before"], True
    job = (await bench.post(name="a", hold=True)).json()
    bench.slurm.cannot_find = False
    bench.slurm.accounting_down = True
    await bench.tick(1000)
    await bench.ask_accounting(1000)
    assert bench.observer.trouble is None
    assert await attempts_of(bench, job) == [("UNKNOWN", (await job_now(bench, job))["detail"])]
    bench.slurm.accounting_down = False
    await bench.ask_accounting(1001)
    assert [state for state, _ in await attempts_of(bench, job)] == ["UNKNOWN"], "not every second"
    await bench.ask_accounting(1003)
    assert [state for state, _ in await attempts_of(bench, job)] == ["UNSENT", "WAITING"]


async def test_an_attempt_that_accounting_knows_and_slurm_has_lost_goes_out_again(bench):
    bench.slurm.mishaps, bench.slurm.cannot_find = ["lost after"], True
    job = (await bench.post(name="a", hold=True)).json()
    bench.slurm.cannot_find = False
    bench.slurm.accounted = bench.slurm.lose()
    await bench.tick(1000)
    await bench.ask_accounting(1000)
    await bench.tick(1001)
    known = await job_now(bench, job)
    assert (known["state"], known["slurm_job_id"]) == ("UNKNOWN", 1)
    await bench.ask_accounting(1100)
    assert (await job_now(bench, job))["state"] == "SUBMITTING"
    await bench.send()
    assert [entry.record.name for entry in bench.slurm._jobs.values()] == ["a"]

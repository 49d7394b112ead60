"""Whatever happens between us and Slurm, a key makes one job and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from hpcjobs.errors import NotAllowed, NotSupported, Refusal, Refused, SlurmUnavailable, WorkerLost
from hpcjobs.model.job import JobRecord
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.states import read_state
from hpcjobs.store.tables import ATTEMPTS
from tests.api.bench import UnrulySlurm, problem_of, running, settings_of


def attempts(bench) -> list[str]:
    with bench.service.store.engine.connect() as connection:
        return list(connection.execute(select(ATTEMPTS.c.state).order_by(ATTEMPTS.c.id)).scalars())


async def jobs(bench) -> list[dict]:
    return (await bench.get("/v1/jobs")).json()["items"]


async def test_a_submission_answers_with_slurms_number_and_where_the_job_is(bench):
    answer = await bench.post(name="train", partition="gpu", resources={"gpus_per_node": 2})
    assert answer.status_code == 201
    job = answer.json()
    assert (job["slurm_job_id"], job["state"], job["user"], job["name"]) == (1, "PENDING", "alice", "train")
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert "Idempotency-Replayed" not in answer.headers
    assert (await bench.get(answer.headers["Location"])).json() == job
    assert attempts(bench) == ["SENT"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("gpus", 10**25), ("tres_per_task", "gres/gpu=4G"), ("tres_per_task", "cpu=4M"), ("gres", "gpu:" + "9" * 5000),
     ("mem_bind", "v," * 100_000)],
    ids=["gpus", "GPUs of a task", "CPUs of a task", "gres", "mem_bind"],
)  # fmt: skip
async def test_what_slurm_cannot_hold_is_refused_by_its_name_and_nothing_is_kept(bench, name, value):
    answer = await bench.post(resources={"gpus_per_node": 1, name: value} if name == "gres" else {name: value})
    assert answer.status_code == 422
    assert {error["field"] for error in problem_of(answer)["errors"]} == {f"resources.{name}"}
    assert await jobs(bench) == []


async def test_needs_of_a_task_with_a_letter_are_sent(bench):
    answer = await bench.post(resources={"tres_per_task": "cpu=1K,gres/gpu=2K"})
    assert (answer.status_code, bench.slurm.calls) == (201, 1)


async def test_without_a_key_the_same_request_makes_a_job_each_time(bench):
    assert [(await bench.post()).json()["slurm_job_id"] for _ in range(3)] == [1, 2, 3]


async def test_the_same_key_and_request_make_one_job_and_say_so(bench):
    first = await bench.post("k")
    again = await bench.post("k")
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        201,
        first.json(),
        first.headers["Location"],
    )
    assert again.headers["Idempotency-Replayed"] == "true"
    assert bench.slurm.calls == 1


async def test_a_replay_shows_the_job_as_it_is_now(bench):
    await bench.post("k", script="#!/bin/sh\nsleep 5\n")
    await bench.tick()
    assert (await bench.post("k", script="#!/bin/sh\nsleep 5\n")).json()["state"] == "RUNNING"
    await bench.tick(6)
    job = (await bench.post("k", script="#!/bin/sh\nsleep 5\n")).json()
    assert (job["state"], job["fate"]) == ("FINISHED", "COMPLETED")


async def test_the_same_key_for_another_request_is_a_conflict_and_changes_nothing(bench):
    first = (await bench.post("k")).json()
    answer = await bench.post("k", name="other")
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (409, "conflict")
    assert first["id"] in problem["kept"]
    assert await jobs(bench) == [first]


async def test_the_key_of_another_user_is_another_key(bench):
    mine, theirs = await bench.post("k"), await bench.post("k", user="bob")
    assert mine.json()["id"] != theirs.json()["id"]
    assert theirs.json()["user"] == "bob"


async def test_what_slurm_refuses_is_kept_and_the_key_replays_the_same_refusal(bench):
    first = await bench.post("k", partition="nope")
    again = await bench.post("k", partition="nope")
    assert first.status_code == again.status_code == 422
    problem = problem_of(first)
    assert problem["errors"] == problem_of(again)["errors"]
    assert problem["errors"][0]["code"] == "ESLURM_INVALID_PARTITION_NAME"
    assert problem["errors"][0]["field"] == "partition"
    (job,) = await jobs(bench)
    assert job["id"] in problem["kept"]
    assert (job["state"], job["fate"], job["slurm_job_id"]) == ("FINISHED", "REFUSED", None)
    assert job["detail"] == problem["detail"]
    assert bench.slurm.calls == 1


async def test_what_admission_refuses_leaves_nothing_and_the_key_is_free(bench):
    answer = await bench.post("k", script="echo hello\n", workdir="here", resources={"nodes": 0})
    assert {fault["field"] for fault in problem_of(answer)["errors"]} == {"script", "workdir", "resources.nodes"}
    assert await jobs(bench) == []
    assert (await bench.post("k")).status_code == 201


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotAllowed("Not this user."), 403), (NotSupported("Not this backend."), 501), (error_of(2045, "bad"), 422)],
)
async def test_what_a_backend_will_not_do_is_over_and_its_replay_is_the_same(bench, error, status):
    bench.slurm.mishaps = [error]
    first = await bench.post("k")
    assert first.status_code == status
    assert "is kept as refused" in problem_of(first)["kept"]
    again = await bench.post("k")
    assert again.status_code == status
    assert problem_of(again)["detail"] == problem_of(first)["detail"]
    assert (attempts(bench), bench.slurm.calls) == (["REFUSED"], 1)


@pytest.mark.parametrize("user", ["root", "slurm", "daemon"])
async def test_no_job_runs_as_a_system_account_whatever_the_token_says(bench, user):
    answer = await bench.post("k", user=user)
    assert answer.status_code == 403
    assert "system account" in problem_of(answer)["detail"]
    assert (bench.slurm.calls, attempts(bench)) == (0, [])


@pytest.mark.parametrize("error", [SlurmUnavailable("away"), WorkerLost("died", sent=False)])
async def test_what_did_not_reach_slurm_is_accepted_waits_visibly_and_goes_out_by_itself(bench, error):
    bench.slurm.mishaps = [error]
    first = await bench.post("k")
    assert first.status_code == 202
    job = first.json()
    assert (job["state"], job["slurm_job_id"]) == ("SUBMITTING", None)
    assert error.detail in job["detail"]
    assert await jobs(bench) == [job]
    again = await bench.post("k")
    assert (again.status_code, again.json(), again.headers["Idempotency-Replayed"]) == (202, job, "true")
    await bench.send()
    assert (attempts(bench), len(bench.slurm.attempts)) == (["UNSENT", "SENT"], 1)
    again = await bench.post("k")
    assert (again.status_code, again.json()["id"], again.json()["slurm_job_id"]) == (201, job["id"], 1)
    assert [kept["id"] for kept in await jobs(bench)] == [job["id"]]


async def test_another_request_does_not_take_over_a_key_that_waits(bench):
    bench.slurm.mishaps = [SlurmUnavailable("away")]
    await bench.post("k")
    assert (await bench.post("k", name="other")).status_code == 409
    assert bench.slurm.attempts == []


async def test_while_the_controller_is_known_to_be_away_jobs_are_accepted_and_go_out_in_order(bench):
    bench.slurm.down = True
    await bench.tick()
    answers = [await bench.post(name=f"j{number}") for number in range(5)]
    assert {answer.status_code for answer in answers} == {202}
    assert "The controller is away." in answers[0].json()["detail"]
    await bench.send()
    assert bench.slurm.calls == 0
    bench.slurm.down = False
    await bench.tick()
    late = await bench.post(name="late")
    assert (late.status_code, "after 5" in late.json()["detail"]) == (202, True)
    await bench.send()
    names = [entry.record.name for entry in bench.slurm._jobs.values()]
    assert names == ["j0", "j1", "j2", "j3", "j4", "late"]
    assert (await bench.post(name="at once")).status_code == 201


async def test_a_controller_that_goes_again_keeps_the_rest_waiting_in_order(bench):
    bench.slurm.down = True
    await bench.tick()
    for number in range(4):
        await bench.post(name=f"j{number}")
    bench.slurm.down = False
    await bench.tick()
    bench.slurm.mishaps = [None, SlurmUnavailable("gone again")]
    await bench.send()
    assert len(bench.slurm.attempts) == 1
    await bench.send()
    assert [entry.record.name for entry in bench.slurm._jobs.values()] == ["j0", "j1", "j2", "j3"]


async def test_what_comes_while_the_rest_goes_out_does_not_stop_it(bench, monkeypatch):
    bench.slurm.down = True
    await bench.tick()
    for number in range(4):
        await bench.post(name=f"j{number}")
    bench.slurm.down = False
    await bench.tick()
    late = []

    async def submit_while_another_comes(user, launch):
        if len(late) < 3:
            late.append(await bench.post(name=f"late{len(late)}"))
        return await UnrulySlurm.submit(bench.slurm, user, launch)

    monkeypatch.setattr(bench.slurm, "submit", submit_while_another_comes)
    await bench.send()
    assert [answer.status_code for answer in late] == [202] * 3
    assert [entry.record.name for entry in bench.slurm._jobs.values()] == ["j0", "j1", "j2", "j3"]
    await bench.send()
    assert [entry.record.name for entry in bench.slurm._jobs.values()][4:] == ["late0", "late1", "late2"]


async def test_what_keeps_one_users_jobs_from_slurm_does_not_keep_anothers(bench, monkeypatch):
    async def nothing_starts_for_alice(user, launch):
        if user == "alice":
            raise SlurmUnavailable("Your shell starts nothing.")
        return await UnrulySlurm.submit(bench.slurm, user, launch)

    monkeypatch.setattr(bench.slurm, "submit", nothing_starts_for_alice)
    mine = [(await bench.post(name=f"j{number}")).json()["id"] for number in range(2)]
    assert (await bench.post(user="bob")).status_code == 201
    bench.slurm.down = True
    await bench.tick()
    theirs = (await bench.post(user="bob")).json()
    bench.slurm.down = False
    await bench.tick()
    await bench.send()
    assert (await bench.get(f"/v1/jobs/{theirs['id']}", user="bob")).json()["slurm_job_id"] == 2
    monkeypatch.undo()
    await bench.send()
    assert [(await bench.get(f"/v1/jobs/{job_id}")).json()["slurm_job_id"] for job_id in mine] == [3, 4]


async def test_what_is_refused_when_its_turn_comes_is_kept_as_refused_and_the_rest_goes_out(bench):
    bench.slurm.down = True
    await bench.tick()
    bad = (await bench.post("k", partition="nope")).json()
    good = (await bench.post()).json()
    bench.slurm.down = False
    await bench.tick()
    await bench.send()
    job = (await bench.get(f"/v1/jobs/{bad['id']}")).json()
    assert (job["state"], job["fate"]) == ("FINISHED", "REFUSED")
    assert "nope" in job["detail"]
    assert (await bench.post("k", partition="nope")).status_code == 422
    assert (await bench.get(f"/v1/jobs/{good['id']}")).json()["slurm_job_id"] == 1


async def test_a_job_that_waits_is_cancelled_without_slurm(bench):
    bench.slurm.down = True
    await bench.tick()
    job = (await bench.post()).json()
    held = await bench.call("POST", f"/v1/jobs/{job['id']}/hold")
    assert (held.status_code, problem_of(held)["code"]) == (409, "conflict")
    answer = await bench.call("DELETE", f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.json()["fate"]) == (202, "CANCELLED")
    bench.slurm.down = False
    await bench.tick()
    await bench.send()
    assert bench.slurm.attempts == []


async def test_a_service_that_is_stopped_leaves_what_waits_to_the_next(place):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        slurm.down = True
        await bench.tick()
        ids = [(await bench.post()).json()["id"] for _ in range(3)]
    slurm.down = False
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        assert (await bench.post()).status_code == 202
        await bench.send()
        numbers = [(await bench.get(f"/v1/jobs/{job_id}")).json()["slurm_job_id"] for job_id in ids]
    assert numbers == [1, 2, 3]


async def test_a_lost_answer_is_looked_up_and_nobody_notices(bench):
    bench.slurm.mishaps = ["lost after"]
    answer = await bench.post("k")
    assert (answer.status_code, answer.json()["slurm_job_id"]) == (201, 1)
    assert (attempts(bench), len(bench.slurm.attempts)) == (["SENT"], 1)


async def test_a_look_up_is_tried_more_than_once(bench, monkeypatch):
    bench.slurm.mishaps = ["late"]
    found = []

    async def find(user, attempt):
        found.append(attempt)
        if len(found) == 3:
            await bench.slurm.deliver()
        return await UnrulySlurm.find(bench.slurm, user, attempt)

    monkeypatch.setattr(bench.slurm, "find", find)
    assert (await bench.post("k")).status_code == 201
    assert found == bench.slurm.attempts * 3


async def unknown(bench, mishap="late", key="k"):
    """A submission whose answer is lost and whose job is not found: the job as it is answered."""
    bench.slurm.mishaps = [mishap]
    bench.slurm.cannot_find = mishap == "lost after"
    answer = await bench.post(key)
    assert answer.status_code == 202
    bench.slurm.cannot_find = False
    return answer.json()


@pytest.mark.parametrize("mishap", ["late", "lost after"])
async def test_a_job_that_shows_itself_later_settles_the_attempt_as_that_one_job(bench, mishap):
    job = await unknown(bench, mishap)
    assert await jobs(bench) == [job]
    assert (job["state"], job["slurm_job_id"]) == ("SUBMITTING", None)
    assert "The answer was lost. Whether it runs is settled" in job["detail"]
    again = await bench.post("k")
    await bench.send()
    assert (again.status_code, again.json(), bench.slurm.calls) == (202, job, 1)
    cancel = await bench.call("DELETE", f"/v1/jobs/{job['id']}")
    assert (cancel.status_code, problem_of(cancel)["code"]) == (503, "outcome-unknown")
    await bench.slurm.deliver()
    await bench.tick()
    settled = (await bench.get(f"/v1/jobs/{job['id']}")).json()
    assert (settled["slurm_job_id"], settled["state"], settled["detail"]) == (1, "RUNNING", "")
    replayed = await bench.post("k")
    assert (replayed.status_code, replayed.json()) == (201, settled)
    await bench.settle()
    assert (attempts(bench), len(bench.slurm.attempts), len(await jobs(bench))) == (["SENT"], 1, 1)


@pytest.mark.parametrize("mishap", ["lost before", "bug before"])
async def test_what_is_in_no_listing_for_long_enough_never_arrived_and_goes_out_again(bench, mishap):
    bench.slurm.mishaps = [mishap]
    assert (await bench.post("k")).status_code == (202 if mishap == "lost before" else 500)
    await bench.tick(SETTLE_S - 5)
    await bench.send()
    (job,) = await jobs(bench)
    assert (job["state"], bench.slurm.attempts) == ("SUBMITTING", [])
    await bench.settle()
    await bench.send()
    again = await bench.post("k")
    assert (again.status_code, again.json()["id"], again.json()["fate"]) == (201, job["id"], None)
    assert (attempts(bench), len(bench.slurm.attempts)) == (["UNSENT", "SENT"], 1)


async def test_a_fault_of_the_service_after_slurm_took_the_job_is_settled_as_that_job(bench):
    bench.slurm.mishaps = ["bug after"]
    answer = await bench.post("k")
    assert (answer.status_code, problem_of(answer)["detail"]) == (500, "Bug; the service's log holds the rest.")
    assert (await bench.post("k")).status_code == 202
    await bench.tick()
    assert (await bench.post("k")).json()["slurm_job_id"] == 1
    assert attempts(bench) == ["SENT"]


@pytest.mark.parametrize("number", [2017, 2021, 2024])
async def test_what_slurm_otherwise_says_of_a_job_is_a_refusal_while_there_is_none(bench, number):
    bench.slurm.mishaps = [error_of(number, "said by a plugin")]
    first = await bench.post("k")
    assert (first.status_code, first.json()["code"]) == (422, "refused")
    assert (await bench.post("k")).json()["detail"] == first.json()["detail"]
    assert (attempts(bench), bench.slurm.calls) == (["REFUSED"], 1)


async def test_while_the_controller_is_away_nothing_is_settled(bench):
    await unknown(bench, "lost after")
    bench.slurm.down = True
    await bench.settle()
    (job,) = (await bench.get("/v1/jobs", max_age_s=1e6)).json()["items"]
    assert job["state"] == "SUBMITTING"
    bench.slurm.down = False
    await bench.tick()
    assert (await bench.post("k")).json()["slurm_job_id"] == 1


async def test_a_database_that_fails_after_slurm_took_the_job_costs_no_second_job(bench, monkeypatch):
    def broken(*_):
        raise OperationalError("UPDATE", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr("hpcjobs.store.intake.settle_sent", broken)
        answer = await bench.post("k")
    assert (answer.status_code, answer.json()["slurm_job_id"]) == (201, 1)
    assert (await bench.post("k")).status_code == 202
    await bench.tick()
    assert (await bench.post("k")).json()["slurm_job_id"] == 1
    assert len(bench.slurm.attempts) == 1


async def test_a_database_that_fails_before_slurm_is_called_means_nothing_was_sent(bench, monkeypatch):
    def broken(*_):
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr("hpcjobs.store.intake.begin", broken)
        answer = await bench.post("k")
    assert (answer.status_code, problem_of(answer)["kept"]) == (503, "Nothing was changed.")
    assert (bench.slurm.calls, await jobs(bench)) == (0, [])


async def test_a_database_that_fails_after_slurm_took_an_order_does_not_call_it_undone(bench, monkeypatch, caplog):
    def broken(*_):
        raise OperationalError("INSERT", {}, Exception("disk I/O error"))

    await bench.submitted()
    await bench.submitted()
    monkeypatch.setattr("hpcjobs.store.events.write", broken)
    answer = await bench.call("POST", "/v1/jobs/1/signal", json={"signal": "USR1"})
    assert (answer.status_code, len(bench.slurm._jobs[1].signals)) == (202, 1)
    assert "signal of job" in caplog.text
    report = await bench.call("POST", "/v1/jobs/actions", json={"verb": "cancel", "jobs": ["1", "2"]})
    assert (report.json()["done"], report.json()["failed"]) == (2, 0)


class SlowSlurm(UnrulySlurm):
    """Takes a job when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = asyncio.Event(), asyncio.Event()

    async def submit(self, user, launch):
        self.entered.set()
        await self.go.wait()
        return await super().submit(user, launch)


@pytest.fixture
async def slow(place):
    async with running(settings_of(place), {"big": SlowSlurm()}) as bench:
        await bench.tick()
        yield bench


@pytest.mark.parametrize(("partition", "state"), [("gpu", "SENT"), ("nope", "REFUSED")])
async def test_a_caller_who_hangs_up_leaves_no_attempt_without_its_outcome(slow, partition, state):
    caller = asyncio.create_task(slow.post("k", partition=partition))
    await slow.slurm.entered.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert attempts(slow) == ["SENDING"]
    slow.slurm.go.set()
    async with asyncio.timeout(60):
        while attempts(slow) == ["SENDING"]:  # noqa: ASYNC110  the outcome has no event of its own
            await asyncio.sleep(0.01)
    assert attempts(slow) == [state]
    assert (await slow.post("k", partition=partition)).status_code == (201 if state == "SENT" else 422)
    assert slow.slurm.calls == 1


async def test_a_caller_who_comes_again_while_the_first_call_is_under_way_is_told_that_it_is(slow):
    first = asyncio.create_task(slow.post("k"))
    await slow.slurm.entered.wait()
    answer = await slow.post("k")
    assert (answer.status_code, answer.headers["Idempotency-Replayed"]) == (202, "true")
    slow.slurm.go.set()
    assert (await first).status_code == 201
    assert (await slow.post("k")).json() == (await first).json()
    assert slow.slurm.calls == 1


async def test_a_listing_that_overtakes_the_answer_is_the_same_job(slow):
    async def answer_after_listing(user, launch):
        number = await UnrulySlurm.submit(slow.slurm, user, launch)
        await slow.tick()
        return number

    slow.slurm.submit = answer_after_listing
    job = (await slow.post("k")).json()
    assert (job["slurm_job_id"], job["state"]) == (1, "RUNNING")
    assert len(await jobs(slow)) == 1


async def test_two_services_on_one_database_make_one_job_of_one_key(place):
    slurm = UnrulySlurm()
    async with (
        running(settings_of(place), {"big": slurm}) as one,
        running(settings_of(place), {"big": slurm}) as two,
    ):
        await one.tick()
        await two.tick()
        answers = await asyncio.gather(*(bench.post("k") for bench in (one, two) * 4))
        assert {answer.status_code for answer in answers} <= {201, 202}
        assert (await one.post("k")).json() == (await two.post("k")).json()
        assert len(slurm.attempts) == 1


async def test_many_submissions_at_once_are_each_their_own_job(bench):
    answers = await asyncio.gather(*(bench.post(f"k{n % 10}", name=f"j{n % 10}") for n in range(30)))
    taken = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert {job["name"] for job in taken} == {f"j{n}" for n in range(10)}
    assert len(bench.slurm.attempts) == 10


async def test_the_job_gets_home_and_login_environment_and_what_was_asked_over_it(bench):
    await bench.post(environment={"PATH": "/opt/bin", "A": "1"})
    launched = bench.slurm._jobs[1].spec
    assert launched.workdir == "/home/alice"
    assert launched.environment.items() >= {"PATH": "/opt/bin", "SLURM_GET_USER_ENV": "1", "A": "1"}.items()
    await bench.post(workdir="/scratch/a")
    assert bench.slurm._jobs[2].spec.workdir == "/scratch/a"


@pytest.mark.parametrize("raw_state", ["FAILED", "CANCELLED"])
async def test_what_slurm_refused_stays_refused_though_it_keeps_a_record_of_it(bench, raw_state):
    sent: list[str] = []

    async def refuse(user, launch):
        sent.append(launch.attempt)
        raise error_of(2015, "Requested partition configuration not available now")

    bench.slurm.submit = refuse
    assert (await bench.post("k")).status_code == 422
    state, fate = read_state(raw_state, "")
    record = JobRecord(slurm_job_id=77, attempt=sent[0], user="alice", state=state, fate=fate, raw_state=raw_state,
        het_job_id=77, submit_time=int(time.time()))  # fmt: skip
    bench.slurm.bring_back(record)
    await bench.tick()
    (job,) = await jobs(bench)
    assert (job["state"], job["fate"], job["slurm_job_id"]) == ("FINISHED", "REFUSED", None)
    assert (await bench.post("k")).status_code == 422


async def test_a_rule_that_came_after_the_first_request_does_not_hide_the_job_that_it_made(bench, monkeypatch):
    def refuse(asked):
        raise Refused([Refusal("name", "No such names any more.")])

    first = await bench.post("k", name="x")
    assert first.status_code == 201
    monkeypatch.setattr("hpcjobs.admitting.admit", refuse)
    again = await bench.post("k", name="x")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json()["id"] == first.json()["id"]
    assert (await bench.post("k", name="y")).status_code == 409
    assert (await bench.post("other", name="x")).status_code == 422

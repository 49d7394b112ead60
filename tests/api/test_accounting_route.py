"""``/v1/clusters/{cluster}/accounting``: narrowed to what the caller may see, asked sparingly, bounded."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hpcjobs import accounting
from hpcjobs.model.history import AccountedList
from hpcjobs.model.job import JobRecord
from hpcjobs.slurm.sparing import ASKED_AT_ONCE
from tests.api.test_identity import projects  # noqa: F401

PATH = "/v1/clusters/big/accounting"


async def told(bench, caller: str = "alice", **params: object) -> list[int]:
    answer = await bench.call("GET", PATH, caller, params=params)
    assert answer.status_code == 200, answer.text
    found = msgspec.json.decode(answer.content, type=AccountedList)
    return sorted(job.record.slurm_job_id for job in found.items)


async def test_one_sees_ones_own_jobs_and_those_of_accounts_that_one_coordinates(projects):  # noqa: F811
    assert await told(projects, "alice") == [1]
    assert await told(projects, "carol") == [2]
    assert await told(projects, "dave") == [2, 3]
    assert await told(projects, "ops") == [1, 2, 3, 4]
    assert await told(projects, "bob", number=1) == []
    assert await told(projects, "bob", user="alice") == []
    assert await told(projects, "dave", user="carol") == [2]
    assert await told(projects, "dave", account="vision") == []
    assert await told(projects, "dave", account=["climate", "vision"], user=["carol", "alice"]) == [2]
    assert await told(projects, "ops", user=["alice", "bob"], number=[1, 2, 3]) == [1]


async def test_slurmdbd_is_not_even_asked_for_what_nobody_may_see(projects, monkeypatch):  # noqa: F811
    asked = []
    history = projects.slurm.history

    async def noted(query):
        asked.append((query.users, query.accounts))
        return await history(query)

    monkeypatch.setattr(projects.slurm, "history", noted)
    await told(projects, "alice")
    await told(projects, "alice", user="bob")
    await told(projects, "dave")
    await told(projects, "ops")
    assert asked == [(("alice",), ()), (("dave",), ()), ((), ("climate",)), ((), ())]


async def test_what_a_backend_brings_too_much_is_left_out(bench):
    await bench.submitted()
    bench.slurm.accounted = [JobRecord(slurm_job_id=77, user="bob", account="vision"), JobRecord(slurm_job_id=78)]
    assert await told(bench) == [1]
    assert await told(bench, "ops") == [1, 77, 78]


async def test_jobs_are_found_by_the_names_that_they_have_in_every_list(bench):
    await bench.submitted(name="a")
    await bench.submitted(name="b")
    assert [await told(bench, name=name) for name in ("a", "b", ["a", "b"], "c")] == [[1], [2], [1, 2], []]


async def test_a_job_is_told_with_its_steps_where_they_are_asked_for_and_without_our_mark(bench):
    await bench.submitted(comment="mine")
    plain = (await bench.get(PATH)).json()
    assert [(job["record"]["comment"], job["steps"]) for job in plain["items"]] == [("mine", [])]
    assert plain["asked_at"] > 0
    assert "hpcjobs:" not in (await bench.get(PATH, steps=True)).text
    (job,) = (await bench.get(PATH, steps=True)).json()["items"]
    assert [step["id"] for step in job["steps"]] == ["batch"]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"user": "--all"}, "user"),
        ({"user": "a,b"}, "user"),
        ({"name": ""}, "name"),
        ({"account": "a\nb"}, "account"),
        ({"state": "RUNING"}, "state"),
        ({"nodes": "--x"}, "nodes"),
        ({"nodes": "c1 c2"}, "nodes"),
        ({"cpus": "1-2-3"}, "cpus"),
        ({"node_count": "x"}, "node_count"),
        ({"number": 0}, "number"),
        ({"number": 2**31}, "number"),
        ({"number": list(range(1, 1002))}, ""),
    ],
)
async def test_what_slurms_commands_could_take_for_something_else_is_refused(bench, params, field):
    answer = await bench.call("GET", PATH, params=params)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


async def test_other_bad_questions_have_the_usual_answers(bench):
    assert (await bench.get(PATH, since=-1)).status_code == 400
    assert (await bench.get(PATH, nodename="c1")).json()["code"] == "unknown-parameter"
    assert (await bench.get("/v1/clusters/none/accounting")).json()["code"] == "cluster-unknown"
    bench.slurm.accounting_down = True
    assert (await bench.get(PATH)).status_code == 503


async def test_a_way_that_cannot_ask_accounting_is_501(bench, monkeypatch):
    monkeypatch.setattr(bench.slurm, "lacks", lambda op, subject=None: "there is no accounting")
    assert (await bench.get(PATH)).status_code == 501


async def test_more_jobs_than_one_answer_holds_are_refused(bench, monkeypatch):
    monkeypatch.setattr(accounting, "MOST", 1)
    await bench.submitted()
    await bench.submitted()
    answer = await bench.get(PATH)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too-many")


class Slowly:
    """An accounting that answers when a test says so."""

    def __init__(self, bench) -> None:
        self.calls, self.now, self.most = 0, 0, 0
        self.begun, self.answer = asyncio.Event(), asyncio.Event()
        self._history = bench.slurm.history
        bench.slurm.history = self.history

    async def history(self, query):
        self.calls += 1
        self.begun.set()
        self.now += 1
        self.most = max(self.most, self.now)
        await self.answer.wait()
        self.now -= 1
        return await self._history(query)


async def test_equal_questions_at_the_same_time_are_one_and_who_hangs_up_spoils_nothing(bench):
    await bench.submitted()
    slurmdbd = Slowly(bench)
    asking = [asyncio.create_task(told(bench)) for _ in range(10)]
    await slurmdbd.begun.wait()
    asking.pop(0).cancel()
    slurmdbd.answer.set()
    assert await asyncio.gather(*asking) == [[1]] * 9
    assert slurmdbd.calls == 1


async def test_few_questions_are_asked_at_a_time_and_who_waits_too_long_is_told(bench, monkeypatch):
    monkeypatch.setattr(bench.service.accounting._sparing, "turn_s", 0.05)
    slurmdbd = Slowly(bench)
    asking = [asyncio.create_task(bench.get(PATH, number=number)) for number in range(1, 6)]
    late, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    slurmdbd.answer.set()
    answers = await asyncio.gather(*asking)
    assert {task.result().status_code for task in late} == {503}
    assert {answer.status_code for answer in answers} == {200, 503}
    assert slurmdbd.most == ASKED_AT_ONCE


@pytest.mark.parametrize("nodes", ["a[0-65535],b[0-65535]", "c[3-1]", "c[1", "-x"])
async def test_nodes_that_are_no_list_or_one_without_end_are_refused(bench, nodes):
    answer = await bench.get(PATH, nodes=nodes)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "nodes"

"""Alerts through the whole service: told once when something becomes true and once when it is over, to who may know."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import msgspec
import pytest

from hpcjobs.model.account import Account
from hpcjobs.model.alert import AlertShown
from hpcjobs.model.letter import SubscriptionKind
from hpcjobs.model.storage import Measured
from hpcjobs.settings import ClusterSettings, StorageSettings
from hpcjobs.store import letters, storage
from hpcjobs.usage.samples import Sample, write_samples
from tests.api.bench import NEVER, problem_of
from tests.api.test_command_line import run as run_command
from tests.api.test_command_line import served, slurm
from tests.api.test_report_schedules import ACCOUNTS, Killed, box, opened, quick, receiver, told

__all__ = ["box", "quick", "receiver", "run_command", "served", "slurm"]

IDLE = {"name": "waste", "kind": "idle", "to": ["head@example.org"], "scope": "all", "for_s": 1800}
BUDGET = {"quota": {"budgets": [{"period": "fixed", "until": 4_000_000_000, "hard_h": 100}]}}


@pytest.fixture
async def bench(place, box):
    async with opened(told(place, box)) as bench:
        await use(bench)
        yield bench


def now() -> int:
    """The end of the last whole five minutes."""
    return int(time.time()) // 300 * 300


async def use(bench, ended=False, busy=0.03, minutes=120, hours=0.0, unseen_s=0) -> None:
    """Alice runs job 7 in vision with 4 GPUs, sampled until now or before; hours: what vision has used before."""
    until = now()

    def write(connection):
        for table in ("clusters", "runs", "run_gpus", "samples"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("INSERT INTO clusters (cluster, read_until) VALUES ('big', ?)", [until])
        start = until - 60 * minutes
        runs = [(1, 7, start, until if ended else None, "COMPLETED" if ended else "RUNNING", 4.0)]
        if hours:
            runs.append((2, 8, start - 3600, start, "COMPLETED", hours))
        for run, job, begin, end, state, gpus in runs:
            connection.execute(
                "INSERT INTO runs SELECT ?, 'big', ?, ?, ?, ?, ?, 'alice', 'vision', 'gpu', 'normal', ?, 0, NULL, 1,"
                " 16, 0, 'n1', '', '', NULL, 0, 0, 0, '', NULL, NULL, NULL, NULL, NULL, '', ''",
                [run, job, begin, begin, begin, end, state],
            )
            connection.execute(
                "INSERT INTO run_gpus VALUES (?, 'a100', '', ?, ?, ?, 'named')", [run, round(gpus), gpus, gpus]
            )
        write_samples(connection, "big", [
            Sample(node="n1", device=str(device), kind="a100", bucket=bucket, slurm_job_id=7, samples=10,
                   covered_s=300.0, busy_s=300 * busy)
            for device in range(4) for bucket in range(start, until - unseen_s, 300)
        ])  # fmt: skip

    await bench.service.usage.write(write)
    bench.service.tenants.standing.changed("big")


async def make(bench, user="ops", **changes):
    answer = await bench.call("POST", "/v1/alerts", user, json={**IDLE, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def shown(bench, name="waste", user="ops") -> AlertShown:
    answer = await bench.get(f"/v1/alerts/{name}", user)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=AlertShown)


async def beat(bench, at: float | None = None) -> None:
    await bench.service.alerts.tick(at or time.time())
    await bench.service.courier.tick(time.time())


async def test_idle_gpus_are_told_once_and_once_when_they_are_busy_again(bench, box):
    await make(bench)
    for _ in range(3):
        await beat(bench)
    (mail,) = box.mails
    said = "Job 7 of alice on big: 4 GPUs allocated, 3.0 % busy, 2.0 h (since "
    assert mail["Subject"].startswith(f"waste: {said}")
    assert said in box.texts()[0]
    assert "100.0 % of that was sampled)." in box.texts()[0]
    (fact,) = (await shown(bench)).told
    assert fact.numbers["lasting_s"] == 7200
    await use(bench, busy=0.9)
    for _ in range(3):
        await beat(bench)
    assert len(box.mails) == 2
    assert box.mails[1]["Subject"].startswith(f"waste: Over: {said}")
    assert (await shown(bench)).told == []
    told_of = [(one["data"]["state"], one["data"]["alert"]) for one in await events(bench)]
    assert told_of == [("begun", "waste"), ("over", "waste")]


async def events(bench, user="ops"):
    answer = await bench.call("GET", "/v1/events", user, params={"after": 0, "kind": "alert.state"},
                              headers={"Accept": "application/json"})  # fmt: skip
    return answer.json()["items"]


async def test_the_end_of_an_idle_job_is_the_end_of_its_alert(bench, receiver):
    secret = (await make(bench, to=[receiver.url]))["secret"]
    await beat(bench)
    await use(bench, ended=True)
    await beat(bench)
    begun, over = await receiver.after(2)
    assert begun.is_signed_with(secret)
    assert over.is_signed_with(secret)
    first, last = json.loads(begun.body), json.loads(over.body)
    assert ([len(first["begun"]), len(first["over"])], [len(last["begun"]), len(last["over"])]) == ([1, 0], [0, 1])
    numbers = first["begun"][0]["numbers"]
    assert (numbers["gpus"], round(numbers["busy"], 3), numbers["coverage"]) == (4.0, 0.03, 1.0)
    assert first["begun"][0]["since"] == now() - 7200
    assert first["begun"][0] == last["over"][0]


@pytest.mark.parametrize(
    ("changes", "many"),
    [({"for_s": 8000}, 0), ({"for_s": 7000}, 1), ({"threshold": 0.02}, 0), ({"min_gpus": 5}, 0), ({"min_gpus": 4}, 1),
     ({"scope": "project", "project": "nlp"}, 0), ({"scope": "project", "project": "vision"}, 1), ({"scope": "own"}, 0),
     ({"cluster": "big"}, 1)],
)  # fmt: skip
async def test_only_what_is_asked_for_is_told(bench, box, changes, many):
    await make(bench, **changes)
    await beat(bench)
    assert len(box.mails) == many


async def test_what_was_not_sampled_enough_is_neither_idle_nor_over(bench, box):
    await make(bench)
    await beat(bench)

    def forget(connection):
        connection.execute("DELETE FROM samples WHERE device <> '0'")

    await bench.service.usage.write(forget)
    await make(bench, name="second")
    await beat(bench)
    assert [mail["Subject"].partition(":")[0] for mail in box.mails] == ["waste"]
    await make(bench, name="lenient", coverage=0.25)
    await beat(bench)
    assert "25.0 % of that was sampled" in box.texts()[-1]


async def test_of_what_was_not_sampled_of_late_nothing_is_known(bench, box):
    await make(bench)
    await use(bench, unseen_s=2400)
    await beat(bench)
    assert box.mails == []
    await use(bench, unseen_s=300)
    await beat(bench)
    await use(bench, unseen_s=2400)
    await beat(bench)
    assert len(box.mails) == 1  # it is not over either


async def test_users_are_told_of_their_own_jobs_and_managers_of_their_projects(bench, box):
    for user in ("alice", "carol", "bob"):
        await make(bench, user, to=[f"{user}@example.org"])
    await beat(bench)
    assert sorted(mail["To"] for mail in box.mails) == ["alice@example.org", "carol@example.org"]
    assert await events(bench, "bob") == []
    # Carol is no manager any more: she is not told that it is over either.
    bench.slurm.known_accounts = (Account("big", "vision", members=frozenset({"alice", "carol"})), ACCOUNTS[1])
    await bench.service.learn_accounts("big", time.time())
    assert (await shown(bench, user="carol")).told == []
    await beat(bench)
    assert len(box.mails) == 2
    letter, _ = (await shown(bench, user="carol")).letters
    assert (letter.state.value, letter.detail) == ("GIVEN_UP", "carol may know of it no more.")


async def declare(bench, quota=BUDGET):
    assert (await bench.call("PUT", "/v1/projects/vision", "boss", json=quota)).status_code == 200


async def test_a_budget_that_is_used_is_told_to_who_may_see_it_and_over_when_there_is_more(bench, box):
    await declare(bench)
    await use(bench, hours=85)
    for user in ("alice", "bob", "ops"):
        await make(bench, user, kind="quota", threshold=0.9, for_s=0, to=[f"{user}@example.org"])
    await beat(bench)
    assert len(box.mails) == 2
    assert {mail["To"] for mail in box.mails} == {"alice@example.org", "ops@example.org"}
    assert "Project vision on big: 93.0 % of 100.0 GPU-hours of all GPUs (fixed) are used" in box.texts()[0]
    await beat(bench)
    assert len(box.mails) == 2
    await declare(bench, {"quota": {"budgets": [{**BUDGET["quota"]["budgets"][0], "hard_h": 1000}]}})
    await beat(bench)
    assert [mail["Subject"].startswith("waste: Over: Project vision") for mail in box.mails[2:]] == [True, True]


async def test_a_budget_that_will_not_last_is_told_as_many_days_ahead_as_one_likes(bench, box):
    await declare(bench)
    await use(bench, hours=50)  # 58 of 100 within the last days: 58 / 14 a day, and 42 left
    await make(bench, kind="forecast", for_s=0, to=["any@example.org"])
    await make(bench, name="near", kind="forecast", for_s=0, threshold=3, to=["near@example.org"])
    await beat(bench)
    assert [mail["To"] for mail in box.mails] == ["any@example.org"]
    assert "at the rate of late nothing is left on" in box.texts()[0]


async def test_files_that_fill_their_quota_are_told_as_far_as_they_were_measured(place, box):
    how = StorageSettings(folder=f"{place}/{{project}}")
    clusters = (ClusterSettings("big", observe_s=NEVER, storage=how),)
    async with opened(msgspec.structs.replace(told(place, box), clusters=clusters)) as bench:
        await declare(bench, {"quota": {"storage_bytes": 100 * 2**30}})
        await make(bench, kind="quota", for_s=0)
        for gib, many in ((80, 0), (95, 1), (None, 1), (96, 1), (20, 2)):
            one = Measured(time.time(), None if gib is None else gib * 2**30, "no such folder" if gib is None else "")
            await bench.service.store.write(storage.keep, "big", {"vision": one})
            bench.service.tenants.standing.changed("big")
            await beat(bench)
            assert len(box.mails) == many, gib
    assert "Project vision on big: files use 95.0 % of 100.0 GiB." in box.texts()[0]
    assert "Over: Project vision on big: files use" in box.texts()[1]


async def test_a_budget_that_has_no_bound_any_more_is_over(bench, box):
    await declare(bench)
    await use(bench, hours=95)
    await make(bench, kind="quota", for_s=0)
    await beat(bench)
    await declare(bench, {"quota": {"budgets": [{"period": "fixed", "until": 4_000_000_000}]}})
    await beat(bench)
    assert [mail["Subject"].startswith("waste: Over:") for mail in box.mails] == [False, True]


async def test_it_must_be_so_for_as_long_as_is_asked(bench, box):
    await declare(bench)
    await use(bench, hours=95)
    await make(bench, kind="quota", for_s=600)
    start = time.time()
    for after, many in ((0, 0), (300, 0), (601, 1), (900, 1)):
        await beat(bench, start + after)
        assert len(box.mails) == many


async def test_the_time_begins_anew_when_it_is_not_so_in_between(bench, box):
    await declare(bench)
    await make(bench, kind="quota", for_s=600)
    start = time.time()
    for after, hours, many in ((0, 95, 0), (300, 10, 0), (400, 95, 0), (800, 95, 0), (1001, 95, 1)):
        await use(bench, hours=hours)
        await beat(bench, start + after)
        assert len(box.mails) == many, after


async def test_an_operator_is_told_of_their_own_projects_unless_they_want_all(bench, box):
    await declare(bench)
    await use(bench, hours=95)
    await make(bench, name="own", kind="quota", scope="own", for_s=0)
    await make(bench, name="another", kind="quota", scope="project", project="nlp", for_s=0)
    await make(bench, name="one", kind="quota", scope="project", project="vision", for_s=0)
    await beat(bench)
    assert [mail["Subject"].partition(":")[0] for mail in box.mails] == ["one"]


async def test_of_a_budget_nothing_is_known_before_accounting_was_read(bench, box):
    await declare(bench, {"quota": {"budgets": [{**BUDGET["quota"]["budgets"][0], "hard_h": 0}]}})
    await bench.service.usage.write(lambda connection: connection.execute("DELETE FROM clusters"))
    bench.service.tenants.standing.changed("big")
    await make(bench, kind="forecast", for_s=0)
    await beat(bench)
    assert box.mails == []
    await use(bench)
    await beat(bench)
    assert len(box.mails) == 1


@pytest.mark.parametrize("step", range(1, 7))
async def test_killed_at_any_step_it_is_told_once(place, box, step):
    async with opened(told(place, box)) as bench:
        await use(bench)
        await make(bench)
        write, steps = bench.service.store.write, iter(range(1, 100))

        async def dying(*what, **more):
            if (at := next(steps)) == step:
                raise Killed
            done = await write(*what, **more)
            if at + 3 == step:
                raise Killed
            return done

        bench.service.store.write = dying
        with contextlib.suppress(Killed, BaseExceptionGroup):
            await beat(bench)
        bench.service.store.write = write
    async with opened(told(place, box)) as bench:
        for _ in range(3):
            await beat(bench)
        (letter,) = (await shown(bench)).letters
        assert letter.state.value == "SENT"
        assert [event["data"]["state"] for event in await events(bench)] == ["begun"]
    assert len({mail["Message-ID"] for mail in box.mails}) == 1
    assert len(box.mails) == (2 if step == 3 else 1)  # between the server's answer and our row


async def test_two_that_look_at_once_tell_it_once(bench, box):
    await make(bench)
    found = bench.service.alerts
    (kept,) = await bench.service.store.read(letters.active, SubscriptionKind.ALERT)
    await asyncio.gather(*(found._look(kept, time.time() + later) for later in (0, 1)))
    await bench.service.courier.tick(time.time())
    assert len(box.mails) == 1


async def test_two_that_have_seen_it_begin_tell_it_once(bench, box):
    await declare(bench)
    await use(bench, hours=95)
    await make(bench, kind="quota", for_s=600)
    (kept,) = await bench.service.store.read(letters.active, SubscriptionKind.ALERT)
    start, look = time.time(), bench.service.alerts._look
    await look(kept, start)
    await asyncio.gather(*(look(kept, start + 700 + later) for later in (0, 1)))
    await bench.service.courier.tick(time.time())
    assert len(box.mails) == 1


async def test_who_belongs_to_nothing_any_more_is_told_nothing(bench, box):
    await make(bench, "alice", scope="own")
    bench.slurm.known_accounts = ACCOUNTS[1:]
    await bench.service.learn_accounts("big", time.time())
    await beat(bench)
    one = await shown(bench, user="alice")
    assert (one.alert.state.value, one.alert.detail) == ("STOPPED", "alice belongs to no project any more.")
    assert box.mails == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"scope": "project"}, "project"), ({"project": "vision"}, "project"), ({"cluster": "small"}, "cluster"),
     ({"threshold": 5}, "threshold"), ({"to": ["nobody"]}, "to[0]")],
)  # fmt: skip
async def test_what_cannot_be_is_refused_by_its_field(bench, changes, field):
    answer = await bench.call("POST", "/v1/alerts", json={**IDLE, **changes})
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in problem_of(answer)["errors"]] == [field]


async def test_one_sees_and_ends_ones_own_and_operators_everybodys(bench):
    await make(bench, "alice")
    assert (await bench.get("/v1/alerts", "bob")).json() == []
    assert [one["user"] for one in (await bench.get("/v1/alerts", "ops")).json()] == ["alice"]
    for method in ("GET", "DELETE"):
        assert (await bench.call(method, "/v1/alerts/waste", "bob", params={"user": "alice"})).status_code == 404
    assert (await bench.call("DELETE", "/v1/alerts/waste", "ops", params={"user": "alice"})).status_code == 204
    assert (await bench.get("/v1/alerts", "alice")).json() == []


async def test_what_is_removed_while_it_is_told_leaves_nothing(bench, box):
    await make(bench)
    await bench.service.alerts.tick(time.time())
    assert (await bench.call("DELETE", "/v1/alerts/waste", "ops")).status_code == 204
    await beat(bench)
    assert box.mails == []


def test_the_command_makes_lists_shows_and_ends_them(run_command):
    made = run_command("alert", "add", "waste", "idle", "--project", "vision", "--gpus", "8", "--for", "7200",
                       "-t", "https://example.org/hook", user="alice")  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "whsec_" in made.stderr
    (one,) = json.loads(run_command("alert", "list", "--json", user="alice").stdout)
    assert one["asked"]["min_gpus"] == 8
    assert "waste\talice\tidle\tvision\thttps://example.org/hook" in run_command("alert", "list", user="alice").stdout
    assert "DUE\tTO\tSTATE" in run_command("alert", "show", "waste", user="alice").stdout
    assert run_command("alert", "remove", "waste", user="alice").exit_code == 0
    both = run_command("alert", "add", "x", "idle", "--project", "v", "--all", "-t", "https://example.org/")
    assert both.exit_code == 2

"""Webhooks of a real service, delivered to a real HTTP server on the loopback."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from hpcjobs.model.account import Account
from hpcjobs.model.event import Event, EventKind
from hpcjobs.push import posting
from hpcjobs.service import Service
from hpcjobs.store import events
from tests.api.bench import Bench, UnrulySlurm, on_bench, problem_of, settings_of
from tests.api.receiver import Receiver, receiving

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    monkeypatch.setattr(posting, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(posting, "LONGEST_RETRY_S", 0.02)


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


def reaching_loopback(place, **more):
    return settings_of(
        place, webhook_networks=("127.0.0.0/8",), webhook_http_hosts=("127.0.0.1",), **{"webhooks_per_user": 2, **more}
    )


@pytest.fixture
async def bench(place):
    async with on_bench(reaching_loopback(place), {"big": UnrulySlurm()}) as bench:
        yield bench


def told(number: int = 0, **fields) -> Event:
    given = {"seq": 0, "at": 1.0, "kind": EventKind.JOB_STATE, "cluster": "big", "user": "alice", "data": {"n": number}}
    return Event(**(given | fields))


async def append(bench: Bench, *what: Event) -> None:
    await bench.service.store.write(events.write, list(what))


async def made(bench: Bench, receiver: Receiver, user: str = "alice", **filters) -> tuple[str, str]:
    answer = await bench.call("POST", "/v1/webhooks", user, json={"url": receiver.url, "filters": filters})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert answer.headers["Location"] == f"/v1/webhooks/{told['webhook']['id']}"
    return told["webhook"]["id"], told["secret"]


async def shown(bench: Bench, webhook_id: str, **expected) -> dict:
    """The webhook, as soon as it is so."""
    for _ in range(3000):
        answer = await bench.get(f"/v1/webhooks/{webhook_id}")
        if answer.status_code == 200 and all(answer.json()[name] == value for name, value in expected.items()):
            return answer.json()
        await asyncio.sleep(0.02)
    pytest.fail(f"{answer.text} never became {expected}")


async def test_each_event_is_posted_in_order_and_signed(bench, receiver):
    _, secret = await made(bench, receiver)
    await append(bench, told(1), told(2))
    await append(bench, told(3))
    requests = await receiver.after(3)
    assert [request.event["data"]["n"] for request in requests] == [1, 2, 3]
    assert all(request.is_signed_with(secret) for request in requests)
    assert len({request.id for request in requests}) == 3
    assert {request.line for request in requests} == {"POST /hook HTTP/1.1"}
    assert {request.headers["content-type"] for request in requests} == {"application/json"}
    assert abs(int(requests[0].headers["webhook-timestamp"]) - time.time()) < 60
    seen = (await bench.call("GET", "/v1/events", params={"after": 0, "kind": "job.state"},
                             headers={"Accept": "application/json"})).json()["items"]  # fmt: skip
    assert [request.event for request in requests] == seen


@pytest.mark.thorough
async def test_what_does_not_come_through_is_tried_again_with_the_same_id_until_it_does(bench, receiver, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_S", 5.0)  # long enough for the answers that come
    redirect = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    receiver.answers = [500, "close", "hang", redirect, b"no http\r\n\r\n", 404]
    webhook_id, _ = await made(bench, receiver)
    await append(bench, told(1), told(2))
    requests = await receiver.after(8)
    assert [request.event["data"]["n"] for request in requests] == [1] * 7 + [2]
    assert len({request.id for request in requests}) == 2
    webhook = await shown(bench, webhook_id, cursor=requests[-1].event["seq"])
    assert (webhook["state"], webhook["attempts"], webhook["failing_since"], webhook["detail"]) == (
        "ACTIVE",
        0,
        None,
        "",
    )
    tries = (await bench.get(f"/v1/webhooks/{webhook_id}/deliveries")).json()
    assert [(one["attempt"], one["delivered"], one["status"]) for one in reversed(tries)] == [
        (1, False, 500), (2, False, None), (3, False, None), (4, False, 307), (5, False, None), (6, False, 404),
        (7, True, 200), (1, True, 200),
    ]  # fmt: skip
    assert tries[-1]["detail"] == "500 So: why?"
    assert "No answer within" in tries[-3]["detail"] or "Timeout" in tries[-3]["detail"]


async def test_no_more_of_an_answer_is_read_than_a_kilobyte(bench, receiver):
    endless = b"HTTP/1.1 500 Oh\r\nContent-Length: 900000000\r\n\r\n" + b"x" * 5000
    receiver.answers = [endless]
    webhook_id, _ = await made(bench, receiver)
    await append(bench, told(1))
    await receiver.after(2)
    tries = (await bench.get(f"/v1/webhooks/{webhook_id}/deliveries")).json()
    assert tries[-1]["detail"] == "500 Oh: " + "x" * 1024


async def test_after_a_day_of_failures_it_is_paused_and_its_owner_told_and_it_can_go_on(bench, receiver, monkeypatch):
    monkeypatch.setattr(posting, "GIVE_UP_S", 0.05)
    receiver.answers = [503] * 1000
    webhook_id, _ = await made(bench, receiver)
    await append(bench, told(1), told(2))
    webhook = await shown(bench, webhook_id, state="PAUSED")
    assert "503 So" in webhook["detail"]
    page = await bench.call("GET", "/v1/events", params={"after": 0, "kind": "webhook.state"},
                            headers={"Accept": "application/json"})  # fmt: skip
    (event,) = page.json()["items"]
    assert (event["user"], event["data"]["webhook"], event["data"]["webhook_state"]) == ("alice", webhook_id, "PAUSED")
    receiver.answers.clear()
    came = len(receiver.requests)
    answer = await bench.call("PATCH", f"/v1/webhooks/{webhook_id}", json={"state": "ACTIVE"})
    assert (answer.status_code, answer.json()["state"], answer.json()["detail"]) == (200, "ACTIVE", "")
    rest = (await receiver.after(came + 2))[came:]
    assert [request.event["data"].get("n") for request in rest[:2]] == [1, 2]
    assert rest[0].id == receiver.requests[0].id


async def test_a_receiver_that_says_gone_is_told_no_more(bench, receiver):
    receiver.answers = [410]
    webhook_id, _ = await made(bench, receiver)
    await append(bench, told(1), told(2))
    await receiver.after(1)
    for _ in range(500):
        if (await bench.get(f"/v1/webhooks/{webhook_id}")).status_code == 404:
            break
        await asyncio.sleep(0.02)
    assert (await bench.get("/v1/webhooks")).json() == {"items": [], "next_cursor": None}
    assert len(receiver.requests) == 1


async def test_a_paused_webhook_is_told_nothing_and_afterwards_everything(bench, receiver):
    webhook_id, _ = await made(bench, receiver, kinds=["job.state"])
    await append(bench, told(1))
    await receiver.after(1)
    await shown(bench, webhook_id, cursor=(receiver.requests[0].event["seq"]))
    answer = await bench.call("PATCH", f"/v1/webhooks/{webhook_id}", json={"state": "PAUSED"})
    assert (answer.json()["state"], answer.json()["detail"]) == ("PAUSED", "paused by alice")
    await append(bench, told(2), told(3))
    await asyncio.sleep(0.1)
    assert len(receiver.requests) == 1
    await bench.call("PATCH", f"/v1/webhooks/{webhook_id}", json={"state": "ACTIVE"})
    assert [request.event["data"]["n"] for request in await receiver.after(3)] == [1, 2, 3]
    assert (await bench.call("DELETE", f"/v1/webhooks/{webhook_id}")).status_code == 204
    await append(bench, told(4))
    await asyncio.sleep(0.1)
    assert len(receiver.requests) == 3


async def test_a_test_is_sent_at_once_and_changes_nothing(bench, receiver):
    receiver.answers = [200, 500]
    webhook_id, secret = await made(bench, receiver)
    before = await shown(bench, webhook_id)
    good = (await bench.call("POST", f"/v1/webhooks/{webhook_id}/test")).json()
    bad = (await bench.call("POST", f"/v1/webhooks/{webhook_id}/test")).json()
    assert [(one["delivered"], one["status"], one["seq"]) for one in (good, bad)] == [(True, 200, 0), (False, 500, 0)]
    first, second = receiver.requests
    assert (first.event["kind"], first.is_signed_with(secret), first.id) == ("webhook.test", True, good["message_id"])
    assert first.id != second.id
    assert await shown(bench, webhook_id) == before


async def test_it_is_told_what_its_user_may_see_at_the_time_and_what_it_asked_for(bench, receiver):
    await made(bench, receiver, "lead", kinds=["job.state"])
    await append(bench, told(1), told(2, user="lead"))
    await receiver.after(1)
    bench.service.directory.learn("big", [Account("big", "vision", coordinators=frozenset({"lead"}))], 1.0)
    await append(bench, told(3, account="vision"), told(4, user="lead", kind=EventKind.JOB_ORDER), told(5, user="lead"))
    assert [request.event["data"]["n"] for request in await receiver.after(3)] == [2, 3, 5]


async def test_operators_are_told_of_everybodys_jobs_and_see_everybodys_webhooks(bench, receiver):
    webhook_id, _ = await made(bench, receiver, "ops", kinds=["job.state"], fates=["FAILED"])
    mine, _ = await made(bench, receiver, kinds=["node.state"])
    await append(bench, told(1), told(2, user="bob", data={"state": "FINISHED", "fate": "FAILED", "n": 2}))
    assert [request.event["data"]["n"] for request in await receiver.after(1)] == [2]
    assert [one["id"] for one in (await bench.get("/v1/webhooks", "ops")).json()["items"]] == [webhook_id, mine]
    first = (await bench.get("/v1/webhooks", "ops", limit=1)).json()
    assert (first["items"][0]["id"], first["next_cursor"]) == (webhook_id, webhook_id)
    assert [one["id"] for one in (await bench.get("/v1/webhooks", "ops", cursor=webhook_id)).json()["items"]] == [mine]
    assert [one["id"] for one in (await bench.get("/v1/webhooks")).json()["items"]] == [mine]
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")]:
        more = {"json": {"state": "PAUSED"}} if method == "PATCH" else {}
        answer = await bench.call(method, f"/v1/webhooks/{webhook_id}{path}", **more)
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "webhook-unknown")
    assert (await bench.call("DELETE", f"/v1/webhooks/{mine}", "ops")).status_code == 204


async def test_the_secret_is_shown_once_and_stored_so_that_the_database_alone_is_no_use(bench, receiver):
    webhook_id, secret = await made(bench, receiver)
    assert secret.startswith("whsec_")
    assert "secret" not in (await bench.get(f"/v1/webhooks/{webhook_id}")).text
    kept = await bench.service.webhooks.find(webhook_id, None)
    assert secret not in kept.secret
    assert secret[6:20] not in kept.secret


async def test_what_cannot_be_a_webhook_is_refused(bench, receiver):
    for body, status, field in [
        ({"url": "http://example.org/"}, 422, "url"),
        ({"url": "https://10.0.0.1/"}, 422, "url"),
        ({"url": receiver.url, "filters": {"kinds": ["job.eaten"]}}, 400, None),
        ({"url": receiver.url, "filters": {"job_id": "99"}}, 404, None),
        ({"url": receiver.url, "filters": {"cluster": "no"}}, 404, None),
        ({"url": receiver.url, "colour": "red"}, 400, None),
    ]:
        answer = await bench.call("POST", "/v1/webhooks", json=body)
        problem = problem_of(answer)
        assert answer.status_code == status, body
        assert field is None or problem["errors"][0]["field"] == field
    await made(bench, receiver)
    await made(bench, receiver)
    answer = await bench.call("POST", "/v1/webhooks", json={"url": receiver.url})
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "conflict")


async def test_a_host_inside_is_not_reached_and_the_owner_learns_why(place, receiver):
    settings = settings_of(place, webhook_http_hosts=("localhost",))
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        url = f"http://localhost:{receiver.port}/"
        answer = await bench.call("POST", "/v1/webhooks", json={"url": url})
        assert answer.status_code == 201, answer.text
        tried = (await bench.call("POST", f"/v1/webhooks/{answer.json()['webhook']['id']}/test")).json()
    assert (tried["delivered"], tried["status"]) == (False, None)
    assert "localhost may not be reached" in tried["detail"]
    assert receiver.requests == []


async def test_events_that_a_webhook_waits_for_are_kept_twice_as_long_and_no_longer(bench, receiver):
    webhook_id, _ = await made(bench, receiver, kinds=["job.state"])
    await bench.call("PATCH", f"/v1/webhooks/{webhook_id}", json={"state": "PAUSED"})
    now = time.time()
    await append(bench, *(told(number, at=now) for number in range(3)), told(9, at=now + 65 * DAY_S))
    await bench.service.forget_events(now + 59 * DAY_S)
    kept = (await bench.service.store.read(events.stretch, events.EventFilter(user="alice"), 0, 100)).events
    assert [event.data.get("n") for event in kept] == [None, 0, 1, 2, 9]
    await bench.service.forget_events(now + 61 * DAY_S)
    await bench.call("PATCH", f"/v1/webhooks/{webhook_id}", json={"state": "ACTIVE"})
    assert [request.event["data"]["n"] for request in await receiver.after(1)] == [9]
    page = await bench.call("GET", "/v1/events", params={"after": 0, "kind": "webhook.state"},
                            headers={"Accept": "application/json"})  # fmt: skip
    assert "missed_after" in page.json()["items"][-1]["data"]


async def test_the_cursor_moves_over_what_is_not_wanted_so_that_it_can_be_forgotten(bench, receiver):
    webhook_id, _ = await made(bench, receiver, kinds=["job.order"])
    await append(bench, told(1, kind=EventKind.JOB_ORDER), *(told(number, user="bob") for number in range(5)))
    await receiver.after(1)
    last = await bench.service.store.read(events.last_seq)
    for _ in range(500):
        await bench.service.webhooks.save(time.time())
        if (await bench.get(f"/v1/webhooks/{webhook_id}")).json()["cursor"] == last:
            return
        await append(bench, told(0, user="bob"), told(7, kind=EventKind.JOB_ORDER))
        last += 2
        await asyncio.sleep(0.02)
    pytest.fail("the cursor stands still")


async def test_another_key_of_the_service_pauses_what_it_cannot_sign(place, receiver):
    async with on_bench(reaching_loopback(place), {"big": UnrulySlurm()}) as bench:
        webhook_id, _ = await made(bench, receiver)
    (place / "token.key").unlink()
    async with on_bench(reaching_loopback(place), {"big": UnrulySlurm()}) as bench:
        webhook = await shown(bench, webhook_id, state="PAUSED")
        assert "sealed with another key" in webhook["detail"]
        answer = await bench.call("POST", f"/v1/webhooks/{webhook_id}/test")
        assert (answer.status_code, problem_of(answer)["code"]) == (409, "conflict")


def killed(service: Service) -> None:
    """As a process that is no more: nothing is written down at the end."""
    for task in service.webhooks._tasks.values():
        task.cancel()
    service.webhooks._tasks.clear()
    service.webhooks._places.clear()


@pytest.mark.thorough
async def test_killed_at_any_point_and_started_again_nothing_is_left_out(place, receiver, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.1)
    dice = random.Random(7)
    total, number = 40, 0
    for life in range(12):
        async with on_bench(reaching_loopback(place), {"big": UnrulySlurm()}) as bench:
            if life == 0:
                await made(bench, receiver, kinds=["job.state"])
            receiver.answers = [dice.choice([200, 200, 500, "close", "hang"]) for _ in range(4)]
            while number < total * (life + 1) // 12:
                await append(bench, told(number))
                number += 1
            for _ in range(dice.randrange(60)):
                await asyncio.sleep(0.001)
            killed(bench.service)
    receiver.answers = []
    async with on_bench(reaching_loopback(place), {"big": UnrulySlurm()}) as bench:
        for _ in range(3000):
            if receiver.requests and receiver.requests[-1].event["data"]["n"] == total - 1:
                break
            await asyncio.sleep(0.02)
    came = [request.event["data"]["n"] for request in receiver.requests]
    assert list(dict.fromkeys(came)) == list(range(total)), "in order, each at least once"
    assert came == sorted(came), "what came twice came right behind"
    assert len({request.id for request in receiver.requests}) == total


def test_the_wait_grows_to_an_hour_and_differs_by_chance(monkeypatch):
    monkeypatch.undo()
    assert [posting.retry_in_s(attempt, 0.0) for attempt in (1, 2, 3, 4)] == [5, 10, 20, 40]
    assert posting.retry_in_s(10_000, 0.0) == 3600
    assert posting.retry_in_s(3, 1.0) == 10

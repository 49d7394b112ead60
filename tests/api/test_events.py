"""``/v1/events`` through a real server on the loopback, and its pages."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from hpcjobs.identity import make_token
from hpcjobs.model.account import Account
from hpcjobs.model.event import Event, EventKind
from hpcjobs.store import events
from tests.api.bench import UnrulySlurm, problem_of, settings_of
from tests.api.served import served

DAY_S = 86_400.0
PAGE = {"Accept": "application/json"}


@pytest.fixture
async def live(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    async with served(settings_of(place, streams_per_user=3), {"big": UnrulySlurm()}) as bench:
        yield bench


async def page(bench, user: str = "alice", **params):
    return await bench.call("GET", "/v1/events", user, params=params, headers=PAGE)


def told(**fields) -> Event:
    return Event(**({"seq": 0, "at": 1.0, "kind": EventKind.JOB_STATE, "cluster": "big", "user": "alice"} | fields))


async def append(bench, *what: Event) -> None:
    await bench.service.store.write(events.write, list(what))


async def test_what_happens_to_a_job_is_told_as_it_happens(live):
    async with live.stream() as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        assert stream.answer.headers["Cache-Control"] == "no-cache"
        start = await stream.next()
        assert (start.event, start.data) == ("", "")
        assert b"retry: 2000\n" in stream.raw
        job = await live.submitted()
        first, second = await stream.next(), await stream.next()
    assert [first.event, second.event] == ["job.submitted", "job.state"]
    event = json.loads(first.data)
    assert (event["job_id"], event["user"], event["cluster"], str(event["seq"])) == (
        job["id"],
        "alice",
        "big",
        first.id,
    )
    assert int(second.id) > int(first.id) > int(start.id)


async def test_a_stream_goes_on_after_the_last_id_without_gap_or_double(live):
    await append(live, *(told(data={"n": number}) for number in range(5)))
    seen = []
    place = str((await page(live)).json()["next_after"] - 5)
    for more in range(5, 9):
        async with live.stream(headers={"Last-Event-ID": place}, after=1) as stream:
            for _ in range(2):
                message = await stream.next()
                seen.append(json.loads(message.data)["data"]["n"])
                place = message.id
        await append(live, told(data={"n": more}))
    assert seen == list(range(8))


async def test_filters_of_kind_job_state_fate_account_and_user_narrow_it(live):
    job = await live.submitted()
    start = (await page(live)).json()["next_after"]
    await append(
        live,
        told(kind=EventKind.JOB_ORDER, job_id=job["id"], data={"verb": "hold"}),
        told(job_id=job["id"], account="vision", data={"state": "RUNNING", "fate": None}),
        told(job_id="f" * 32, data={"state": "FINISHED", "fate": "FAILED"}),
        told(user="bob", data={"state": "RUNNING"}),
        told(user="", kind=EventKind.NODE_STATE, data={"node": "n1"}),
    )

    async def numbers(user: str = "ops", **params) -> list[int]:
        return [item["seq"] - start for item in (await page(live, user, after=start, **params)).json()["items"]]

    assert await numbers() == [1, 2, 3, 4, 5]
    assert await numbers(kind=["job.order", "node.state"]) == [1, 5]
    assert await numbers(job_id=job["id"]) == await numbers(job_id="1") == [1, 2]
    assert await numbers(state="RUNNING") == [2, 4]
    assert await numbers(fate="FAILED") == [3]
    assert await numbers(account="vision") == [2]
    assert await numbers(cluster="big", limit=2) == [1, 2]
    answer = await live.call("GET", "/v1/events", "ops", params={"after": start, "user": "bob"}, headers=PAGE)
    assert [item["seq"] - start for item in answer.json()["items"]] == [4]
    for params, status, code in [
        ({"cluster": "no"}, 404, "cluster-unknown"),
        ({"job_id": "99"}, 404, "job-unknown"),
        ({"kind": "job.eaten"}, 400, "bad-request"),
        ({"after": -1}, 400, "bad-request"),
        ({"wait_s": 61}, 400, "bad-request"),
    ]:
        answer = await page(live, **params)
        assert (answer.status_code, problem_of(answer)["code"]) == (status, code), params
    answer = await live.call("GET", "/v1/events", headers=PAGE | {"Last-Event-ID": "x"})
    assert (answer.status_code, problem_of(answer)["errors"][0]["field"]) == (422, "Last-Event-ID")


async def test_one_sees_ones_own_the_projects_that_one_manages_and_what_is_nobodys(live):
    start = (await page(live)).json()["next_after"]
    await append(
        live, told(), told(user="bob", account="vision"), told(user="", kind=EventKind.CLUSTER_STATE),
        told(user="bob", kind=EventKind.WEBHOOK_STATE, cluster=""), told(user="", job_id="0" * 32),
    )  # fmt: skip
    live.service.directory.learn("big", [Account("big", "vision", coordinators=frozenset({"lead"}))], 1.0)
    for user, numbers in [("alice", [1, 3]), ("bob", [2, 3, 4]), ("lead", [2, 3]), ("ops", [1, 2, 3, 4, 5])]:
        items = (await page(live, user, after=start)).json()["items"]
        assert [item["seq"] - start for item in items] == numbers, user
        async with live.stream(user, after=start) as stream:
            assert [int((await stream.next()).id) - start for _ in numbers] == numbers
    answer = await page(live, "alice", job_id=(await live.submitted("bob"))["id"])
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "job-unknown")


async def test_a_stream_that_begins_before_the_oldest_event_says_first_what_is_gone(live):
    now = time.time()
    await append(live, told(), told(at=now + 40 * DAY_S))
    oldest = (await page(live, after=0)).json()["items"][-1]["seq"]
    await live.service.forget_events(now + 60 * DAY_S)
    async with live.stream(after=1) as stream:
        gap, event = await stream.next(), await stream.next()
    assert (gap.event, json.loads(gap.data), gap.id) == ("gap", {"after": 1, "oldest": oldest}, str(oldest - 1))
    assert event.id == str(oldest)
    told_so = (await page(live, after=1)).json()
    assert (told_so["gap"], told_so["items"][0]["seq"]) == ({"after": 1, "oldest": oldest}, oldest)


async def test_events_are_kept_as_long_as_the_settings_say(live):
    now = time.time()
    await append(live, *(told(at=now + days * DAY_S) for days in (1, 4, 6, 20)))
    await live.service.forget_events(now + 35 * DAY_S)
    left = (await page(live, after=0)).json()["items"]
    assert [round((item["at"] - now) / DAY_S) for item in left] == [6, 20]


async def test_pages_follow_each_other_to_the_end_and_a_page_waits_for_the_next_event(live):
    start = (await page(live)).json()["next_after"]
    await append(live, *(told() for _ in range(5)))
    seen, place, more = [], start, True
    while more:
        found = (await page(live, after=place, limit=2)).json()
        seen += [item["seq"] for item in found["items"]]
        place, more = found["next_after"], found["more"]
    assert seen == [start + number for number in range(1, 6)]
    waiting = asyncio.create_task(page(live, after=place, wait_s=20))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await append(live, told(user="bob"), told())
    found = (await waiting).json()
    assert ([item["seq"] for item in found["items"]], found["next_after"]) == ([place + 2], place + 2)
    assert (await page(live, after=place + 2, wait_s=0.05)).json()["items"] == []


async def test_a_silent_stream_beats_and_says_where_to_go_on(live, monkeypatch):
    monkeypatch.setattr("hpcjobs.api.events.HEARTBEAT_S", 0.02)
    async with live.stream() as stream:
        start = await stream.next()
        await append(live, told(user="bob"))
        moved = await stream.next()
        assert (moved.event, moved.data, int(moved.id)) == ("", "", int(start.id) + 1)
        async with asyncio.timeout(60):
            while b"\n: \n" not in stream.raw:
                await stream.more()


@pytest.mark.thorough
async def test_a_stream_ends_with_its_token(live):
    token = make_token(live.service.token_key, "alice", time.time(), 8)  # it must not end before the stream begins
    async with live.stream(headers={"Authorization": f"Bearer {token}"}) as stream:
        await stream.next()
        message = await stream.next()
        assert (message.event, json.loads(message.data)) == ("bye", {"reason": "the token has expired"})
        with pytest.raises(StopAsyncIteration):
            await stream.next()


async def test_a_user_has_so_many_streams_and_a_closed_one_does_not_count(live):
    async with live.stream(), live.stream():
        async with live.stream():
            for headers, params in [({}, {}), (PAGE, {"wait_s": 1})]:
                answer = await live.call("GET", "/v1/events", headers=headers, params=params)
                assert (answer.status_code, problem_of(answer)["code"]) == (429, "rate-limited")
            assert (await page(live)).status_code == 200
            async with live.stream("bob") as stream:
                assert stream.answer.status_code == 200
        for _ in range(1000):
            async with live.stream() as stream:
                if stream.answer.status_code == 200:
                    break
            await asyncio.sleep(0.05)
        assert stream.answer.status_code == 200


async def test_a_stream_needs_a_token_that_is_for_events(live):
    answer = await live.http.get("/v1/events")
    assert (answer.status_code, problem_of(answer)["code"]) == (401, "not-authenticated")
    answer = await live.call("GET", "/v1/events", scopes=["jobs:read"])
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "scope-missing")


async def test_a_service_that_stops_says_goodbye(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    async with served(settings_of(place), {"big": UnrulySlurm()}) as live, live.stream() as stream:
        await stream.next()
        live.server.should_exit = True
        message = await stream.next()
        assert (message.event, json.loads(message.data)) == ("bye", {"reason": "the service stops"})


@pytest.mark.thorough
async def test_a_listener_who_does_not_read_is_told_and_misses_nothing(live, monkeypatch):
    """More than sockets hold: the service must stop sending, fall behind, and go on from the table."""
    monkeypatch.setattr("hpcjobs.push.hub.QUEUE", 50)
    padding = "x" * 20_000
    async with live.stream() as stream:
        start = int((await stream.next()).id)
        for _ in range(40):
            await append(live, *(told(data={"padding": padding}) for _ in range(20)))
        seen, lost = [], 0
        while len(seen) < 800:
            message = await stream.next()
            if message.event == "lost":
                lost += 1
                assert json.loads(message.data) == {"after": seen[-1]}
            else:
                seen.append(int(message.id))
    assert seen == list(range(start + 1, start + 801))
    assert lost >= 1

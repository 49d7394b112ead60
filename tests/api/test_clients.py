"""Both clients against the real service on a loopback port, and what stands between breaking it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from hpcjobs import client as clients
from hpcjobs.client import ApiProblem
from hpcjobs.identity import Scope
from hpcjobs.model.action import JobSet
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Fate, State
from hpcjobs.model.order import Verb
from hpcjobs.model.webhook import WebhookFilter, WebhookState
from tests.api.bench import SCRIPT, UnrulySlurm, settings_of
from tests.api.served import served
from tests.unit.clients import KINDS, client_of, listed

NOBODY = 65534
BLOCK = 1024 * 1024


class Relay:
    """Stands between a client and the service, and breaks connections.

    Attributes:
        port: Of the service.
        lose: How many of the next requests get to the service, but their answers to nobody.
        cut_after: Bytes of an answer after which the connection is cut; each is used once, first first.
        came: Requests that got to the service.
        answered: Bytes of answers that got to a client.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.lose = 0
        self.cut_after: list[int] = []
        self.came = 0
        self.answered = 0
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._at_work.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            self._at_work.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self.port)
        up = asyncio.create_task(self._up(reader, requests))
        passed = 0
        try:
            while data := await answers.read(65536):
                if self.lose:
                    self.lose -= 1
                    return
                if self.cut_after and passed + len(data) > self.cut_after[0]:
                    writer.write(data[: self.cut_after.pop(0) - passed])
                    await writer.drain()
                    writer.close()
                    return
                passed += len(data)
                self.answered += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            up.cancel()
            await asyncio.wait([up])
            requests.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, requests: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.came += data.startswith((b"GET ", b"POST ", b"PATCH ", b"PUT ", b"DELETE "))
                requests.write(data)
                await requests.drain()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What is tried again is tried again at once."""
    monkeypatch.setattr("hpcjobs.client.problems.AWAY_RETRY_S", 0.05)
    monkeypatch.setattr("hpcjobs.client.problems.BROKEN_RETRY_S", 0.05)
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)


def address(bench) -> int:
    return int(bench.url.rsplit(":", 1)[1])


@pytest.fixture
async def live(place):
    async with served(settings_of(place, webhook_networks=("127.0.0.1/32",)), {"big": UnrulySlurm()}) as bench:
        yield bench


@pytest.fixture
async def relay(live) -> AsyncIterator[Relay]:
    async with Relay(address(live)) as relay:
        yield relay


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@contextlib.asynccontextmanager
async def calling(bench, kind: str, url: str = "", user: str = "alice", scopes=None, **more):
    token = bench.headers(user, scopes)["Authorization"].removeprefix("Bearer ")
    client = client_of(kind, url or bench.url, token, **more)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def alice(live, relay, kind):
    async with calling(live, kind, relay.url) as client:
        yield client


async def come(relay: Relay, requests: int) -> None:
    """Wait until so many requests have come."""
    async with asyncio.timeout(60):
        while relay.came < requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_answers_that_are_lost_make_no_second_job(live, relay, alice):
    for lost in (1, 2, 3):
        relay.lose = lost
        await alice.submit(script=SCRIPT, name=f"n{lost}")
        assert relay.lose == 0
    assert relay.came == 2 + 3 + 4
    assert len(live.slurm.attempts) == 3
    assert [job.name for job in await listed(alice.jobs())] == ["n3", "n2", "n1"]


async def test_a_service_that_is_killed_between_two_tries_makes_no_second_job(place, kind):
    slurm = UnrulySlurm()
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(served(settings_of(place), {"big": slurm}))
        relay = await stack.enter_async_context(Relay(address(first)))
        client = await stack.enter_async_context(calling(first, kind, relay.url))
        relay.lose = 1_000_000
        call = asyncio.create_task(client.submit(script=SCRIPT, key="mine"))
        await come(relay, 2)
        first.server.should_exit = True
        second = await stack.enter_async_context(served(settings_of(place), {"big": slurm}))
        relay.port, relay.lose = address(second), 0
        job = await call
        assert len(slurm.attempts) == slurm.calls == 1
        assert job.slurm_job_id in slurm._jobs
        assert (await client.submit(script=SCRIPT, key="mine")).id == job.id
        with pytest.raises(clients.Conflict, match="used for another request"):
            await client.submit(script=SCRIPT, key="mine", name="other")


async def test_a_submission_while_slurm_is_away_is_kept_and_waits_for_its_number(live, alice):
    live.slurm.down = True
    kept = await alice.submit(script=SCRIPT)
    assert (kept.state, kept.slurm_job_id) == (State.SUBMITTING, None)
    waiting = asyncio.create_task(alice.wait(kept, until=lambda job: job.slurm_job_id is not None, timeout_s=60))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    live.slurm.down = False
    await live.tick()
    await live.send()
    assert (await waiting).slurm_job_id in live.slurm._jobs


async def test_a_service_that_stays_away_is_told_with_the_key_still_good(live, relay, alice):
    relay.lose = 1_000_000
    async with calling(live, "async", relay.url, retry_for_s=0.2) as impatient:
        with pytest.raises(clients.Unreachable):
            await impatient.submit(script=SCRIPT, key="k")
    relay.lose = 0
    job = await alice.submit(script=SCRIPT, key="k")
    assert live.slurm.attempts == [job.attempt]


async def test_what_a_dry_run_says_is_typed(live, alice):
    verdict = await alice.validate(script="not a script", resources={"nodes": 0})
    assert not verdict.valid
    assert len(verdict.errors) >= 2
    verdict = await alice.validate(script=SCRIPT)
    assert verdict.valid
    assert live.slurm.attempts == []


async def test_every_verb_does_what_it_says(live, alice):
    job = await alice.submit(script=SCRIPT, hold=True)
    await live.tick()
    number = job.slurm_job_id

    async def state() -> State:
        await live.tick()
        return (await alice.job(number)).state

    assert await state() is State.HELD
    await alice.release(job)
    assert await state() is not State.HELD
    await alice.update(number, name="renamed", comment="changed", nice=7)
    await live.tick(1)
    shown = await alice.job(job)
    assert (shown.name, shown.comment, shown.state) == ("renamed", "changed", State.RUNNING)
    await alice.signal(number, "USR1")
    await alice.suspend(number)
    assert await state() is State.SUSPENDED
    await alice.resume(number)
    assert await state() is State.RUNNING
    await alice.requeue(number, hold=True)
    assert await state() is State.HELD
    detail = await alice.detail(number)
    assert [event.data["verb"] for event in detail.events if event.kind is EventKind.JOB_ORDER] == [
        "release", "update", "signal", "suspend", "resume", "requeue"]  # fmt: skip
    await alice.cancel(number)
    await live.tick()
    shown = await alice.job(number)
    assert (shown.final, shown.fate) == (True, Fate.CANCELLED)
    with pytest.raises(clients.Conflict, match="already ended"):
        await alice.hold(number)
    with pytest.raises(clients.NotFound):
        await alice.job(999_999)


async def test_many_jobs_have_a_result_each(live, alice):
    jobs = [await alice.submit(script=SCRIPT, name=name) for name in ("a", "a", "b")]
    report = await alice.act(Verb.HOLD, [jobs[0], 999_999, jobs[2].slurm_job_id])
    assert [(result.job, result.done) for result in report.results] == [
        (jobs[0].id, True), ("999999", False), (str(jobs[2].slurm_job_id), True)]  # fmt: skip
    assert (report.done, report.failed, report.results[1].problem.code) == (2, 1, "job-unknown")
    report = await alice.act(Verb.CANCEL, JobSet(name="a"))
    assert {result.job for result in report.results} == {jobs[0].id, jobs[1].id}
    with pytest.raises(clients.Refused, match="empty filter"):
        await alice.act(Verb.CANCEL, JobSet())


async def test_pages_and_the_whole_list_are_the_same_jobs_whatever_breaks(live, relay, alice, monkeypatch):
    for kind in ("_sync", "_async"):
        monkeypatch.setattr(f"hpcjobs.client.{kind}.jobs.PAGE", 3)
    noise = random.Random(7)  # the stream comes compressed: what repeats would be too short to be cut
    made = [
        (await alice.submit(script=SCRIPT, name=f"j{number}", comment=noise.randbytes(450).hex())).id
        for number in range(8)
    ]
    relay.cut_after = [2000, 3000]
    assert [job.id for job in await listed(alice.jobs())] == made[::-1]
    assert relay.cut_after == []
    assert [job.id for job in await listed(alice.jobs(7))] == made[:0:-1]
    page = await alice.jobs_page(limit=5)
    assert [job.id for job in page.items] == made[:2:-1]
    assert page.next_cursor == made[3]
    assert [job.name for job in await listed(alice.jobs(name="j4", state=list(State)))] == ["j4"]
    assert await listed(alice.jobs(fate=[Fate.FAILED])) == []


async def test_waiting_ends_with_the_job_and_asks_only_when_something_happened(live, relay, alice):
    job = await alice.submit(script=SCRIPT)
    await live.tick()
    waiting = asyncio.create_task(alice.wait(job, timeout_s=60))
    await asyncio.sleep(0.5)
    asked = relay.came
    live.slurm.end(job.slurm_job_id, "FAILED", exit_code=3)
    await live.tick()
    done = await waiting
    assert (done.fate, done.exit_code) == (Fate.FAILED, 3)
    assert asked <= 5  # submission, place, look, question; one more where an event of the start came late
    assert (await alice.wait(job)).final


async def test_waiting_gives_up_in_time_and_says_where_the_job_is(alice):
    job = await alice.submit(script=SCRIPT)
    with pytest.raises(TimeoutError, match=f"job {job.slurm_job_id} is .* after 0.3 s"):
        await alice.wait(job.slurm_job_id, timeout_s=0.3)


async def test_waiting_outlives_broken_connections(live, relay, alice):
    job = await alice.submit(script=SCRIPT)
    await live.tick()
    waiting = asyncio.create_task(alice.wait(job, timeout_s=60))
    await asyncio.sleep(0.3)
    relay.lose = 3
    live.slurm.end(job.slurm_job_id, "COMPLETED")
    await live.tick()
    assert (await waiting).fate is Fate.COMPLETED


async def test_a_task_that_is_not_split_off_can_be_waited_for(live, alice):
    job = await alice.submit(script=SCRIPT, array="0-3", hold=True)
    await live.tick()
    waiting = asyncio.create_task(alice.wait(f"{job.slurm_job_id}_2", timeout_s=60))
    await asyncio.sleep(0.3)
    await alice.cancel(job)
    await live.tick()
    assert (await waiting).fate is Fate.CANCELLED


async def test_events_come_once_each_whatever_breaks(live, relay, alice):
    following = asyncio.create_task(listed(alice.events(kind=[EventKind.JOB_SUBMITTED]), 6))
    async with asyncio.timeout(60):  # an answer that has begun tells of what happens from now on
        while not relay.answered:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    made = []
    for number in range(6):
        if number % 2:
            relay.cut_after = [100]  # of whichever answer comes next
        made.append((await alice.submit(script=SCRIPT)).id)
        await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        assert [event.job_id for event in await following] == made
    past = await listed(alice.past_events(kind=[EventKind.JOB_SUBMITTED]))
    assert [event.job_id for event in past] == made


async def test_who_one_is_and_what_there_is_to_run_on(live, alice, kind):
    me = await alice.me()
    assert (me.user, me.role) == ("alice", "user")
    assert [cluster.name for cluster in await alice.clusters()] == ["big"]
    assert [node.name for node in (await alice.nodes("big")).items] == ["n1", "n2"]
    assert {line.op for line in await alice.capabilities("big")} >= {"submit", "view"}
    assert (await alice.projects()).items == []
    assert (await alice.health())["status"] == "ok"
    assert (await alice.ready())["database"] == "ok"
    live.slurm.down = True
    await live.tick()
    assert "away" in (await alice.ready())["cluster big"]
    with pytest.raises(clients.NotAllowed):
        await listed(alice.audit(5))
    async with calling(live, kind, user="boss", scopes=[Scope.ADMIN]) as boss:
        live.slurm.down = False
        with contextlib.suppress(ApiProblem):
            await alice.cancel(7)
        trail = await listed(boss.audit(user="alice"))
        assert ("DELETE /v1/jobs/{job_id}", 404) in {(entry.action, entry.status) for entry in trail}


async def test_a_webhook_lives_from_being_made_to_being_removed(alice):
    made = await alice.webhooks.make("https://127.0.0.1:1/x", WebhookFilter(kinds=(EventKind.JOB_STATE,)))
    assert made.secret.startswith("whsec_")
    (listed_one,) = await listed(alice.webhooks.every())
    assert listed_one.id == made.webhook.id == (await alice.webhooks.show(made.webhook.id)).id
    assert (await alice.webhooks.pause(made.webhook.id)).state is WebhookState.PAUSED
    assert (await alice.webhooks.resume(made.webhook.id)).state is WebhookState.ACTIVE
    assert await alice.webhooks.deliveries(made.webhook.id) == []
    assert not (await alice.webhooks.test(made.webhook.id)).delivered
    await alice.webhooks.remove(made.webhook.id)
    with pytest.raises(clients.NotFound):
        await alice.webhooks.show(made.webhook.id)
    with pytest.raises(clients.Refused):
        await alice.webhooks.make("https://10.0.0.1/")

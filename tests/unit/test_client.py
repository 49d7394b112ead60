"""Both clients against a real server on the loopback that says what each test tells it to."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hpcjobs import client as clients
from hpcjobs.client import ApiProblem
from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterSummary, NodeList
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.order import Changes, Verb
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sse import Message, frame

from .builders import job, node
from .clients import KINDS, client_of, listed

AWAY = (503, {"code": "slurm-unavailable", "detail": "Slurm is away.", "retry_after_s": 0.02})
ONE = msgspec.to_builtins(job(id="1" * 32))
LOST = (0, None)


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers each request with the next of ``answers``: status and body; notes what was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[tuple[int, object]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                where = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.asked.append(Asked(self.command, where.path, parse_qs(where.query), headers, body))
                status, told = server.answers.pop(0)
                if status == 0:
                    return  # hang up without an answer
                data = told if isinstance(told, bytes) else msgspec.json.encode(told)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data) + (5 if status == 206 else 0)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """What is tried again is tried again at once."""
    monkeypatch.setattr("hpcjobs.client.problems.AWAY_RETRY_S", 0.01)
    monkeypatch.setattr("hpcjobs.client.problems.BROKEN_RETRY_S", 0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
    assert server.answers == []


@pytest.fixture(params=KINDS)
async def make(request, server) -> AsyncIterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(token: Any = "secret", **more: Any) -> Any:
        made.append(client_of(request.param, server.url, token, **more))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


async def test_a_submission_is_sent_again_with_the_same_key_until_there_is_an_answer(server, make):
    server.answers = [AWAY, LOST, (502, b"<html>Bad gateway</html>"), (201, ONE)]
    waits: list[ApiProblem] = []
    made = await make(waiting=waits.append).submit(script="#!/bin/sh\n", key="key-1")
    assert made.id == "1" * 32
    assert [asked.headers["idempotency-key"] for asked in server.asked] == ["key-1"] * 4
    assert {(asked.method, asked.path, asked.headers["authorization"]) for asked in server.asked} == {
        ("POST", "/v1/jobs", "Bearer secret")
    }
    assert len({asked.body for asked in server.asked}) == 1
    assert [problem.code for problem in waits] == ["slurm-unavailable", "service-unreachable", "unreadable"]
    assert all(problem.transient for problem in waits)


async def test_a_key_that_is_not_given_is_made_once_a_call(server, make):
    server.answers = [LOST, (201, ONE), (201, ONE)]
    client = make()
    await client.submit(script="#!/bin/sh\n")
    await client.submit(script="#!/bin/sh\n")
    first, again, other = [asked.headers["idempotency-key"] for asked in server.asked]
    assert first == again != other


async def test_a_job_can_be_told_as_a_spec_as_a_mapping_and_by_name(server, make):
    client = make()
    said, het = [], [{"resources": {"nodes": 1}}]
    for spec, more in (
        (JobSpec("x", resources=Resources(nodes=2), het=(Component(Resources(nodes=1)),)), {"cluster": "big"}),
        ({"script": "x", "resources": {"nodes": 2}, "het": het}, {"cluster": "big"}),
        (None, {"script": "x", "resources": Resources(nodes=2), "het": het, "cluster": "big"}),
        (JobSpec("y", resources=Resources(nodes=2)), {"script": "x", "het": het, "cluster": "big"}),
    ):  # fmt: skip
        server.answers = [(201, ONE)]
        await (client.submit(spec, **more) if spec else client.submit(**more))
        said.append(msgspec.json.decode(server.asked[-1].body))
    whole = {"script": "x", "resources": {"nodes": 2}, "het": [{"resources": {"nodes": 1}}], "cluster": "big"}
    assert said == [whole] * 4


async def test_a_token_can_be_made_anew_for_each_call(server, make):
    server.answers = [(200, ONE), (200, ONE)]
    tokens = iter(["one", "two"])
    client = make(lambda: next(tokens))
    await client.job(7)
    await client.job(7)
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer one", "Bearer two"]


async def test_a_refusal_is_not_tried_again_and_every_fault_is_in_it(server, make):
    faults = [{"field": "script", "detail": "It is empty.", "code": "script-empty"}, {"field": "a", "detail": "No."}]
    server.answers = [(422, {"code": "refused", "detail": "Two faults.", "kept": "Nothing runs.", "errors": faults})]
    with pytest.raises(clients.Refused) as told:
        await make().submit({})
    problem = told.value
    assert (problem.status, problem.code, problem.kept) == (422, "refused", "Nothing runs.")
    assert problem.errors == (Refusal("script", "It is empty.", "script-empty"), Refusal("a", "No."))
    assert not problem.transient
    assert str(problem) == "Two faults. Nothing runs."
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "bad-request", clients.Refused),
        (401, "not-authenticated", clients.NotAuthenticated),
        (403, "scope-missing", clients.NotAllowed),
        (404, "job-unknown", clients.NotFound),
        (409, "conflict", clients.Conflict),
        (409, "upload-offset", clients.UploadOffset),
        (412, "precondition-failed", clients.PreconditionFailed),
        (415, "unsupported-media-type", clients.Refused),
        (422, "checksum-mismatch", clients.ChecksumMismatch),
        (429, "rate-limited", clients.RateLimited),
        (500, "internal", clients.ServiceFault),
        (501, "not-supported", clients.NotSupported),
        (503, "view-stale", clients.Unavailable),
        (507, "no-space", clients.NoSpace),
        (418, "teapot", clients.ServiceFault),
    ],
)
async def test_each_family_of_problems_has_its_class(server, make, status, code, kind):
    server.answers = [(status, {"code": code, "detail": "So."})]
    with pytest.raises(ApiProblem) as told:
        await make().job("7")
    assert (type(told.value), told.value.status, told.value.code) == (kind, status, code)


async def test_retries_end_when_the_next_would_be_too_late(server, make):
    server.answers = [(503, {"code": "view-stale", "detail": "Too old.", "retry_after_s": 1})]
    with pytest.raises(clients.Unavailable, match=r"Too old\."):
        await make(retry_for_s=0.05).job("7")


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b"\xff"])
async def test_an_answer_that_is_no_problem_document_is_told_by_its_status(server, make, body):
    server.answers = [(502, body), (418, body)]
    client = make(retry_for_s=0.0)
    with pytest.raises(clients.Unreachable, match="502 Bad Gateway"):
        await client.job("7")
    with pytest.raises(clients.ServiceFault, match="418"):
        await client.job("7")


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"{}", b"\xff"])
async def test_an_answer_of_something_else_than_the_service_is_told(server, make, body):
    server.answers = [(200, body)]
    with pytest.raises(clients.ServiceFault, match="not answered as expected"):
        await make().job("7")


@pytest.mark.parametrize(
    "lost", [LOST, (502, b""), (503, {"code": "worker-lost", "detail": "Hm.", "retry_after_s": 1})]
)
async def test_what_would_be_done_twice_is_not_said_twice_where_its_answer_is_lost(server, make, lost):
    client = make()
    for call in (
        lambda: client.requeue(7),
        lambda: client.signal(7, "USR1"),
        lambda: client.act(Verb.SIGNAL, [7], signal="USR1"),
        lambda: client.webhooks.make("https://example.org"),
        lambda: client.files("big").remove("/a"),
    ):
        server.answers = [AWAY, lost]
        with pytest.raises(clients.AnswerLost, match="Whether it was done is not known") as told:
            await call()
        assert not told.value.transient
    assert len(server.asked) == 10


async def test_what_is_done_once_however_often_it_is_said_is_said_again(server, make):
    client = make()
    for call in (client.cancel, client.hold, client.release, client.suspend, client.resume):
        server.answers = [LOST, (202, ONE)]
        assert (await call("7")).slurm_job_id == 7
    said = [(asked.method, asked.path) for asked in server.asked[::2]]
    assert said == [("DELETE", "/v1/jobs/7"), *(("POST", f"/v1/jobs/7/{verb}") for verb in
                                               ("hold", "release", "suspend", "resume"))]  # fmt: skip


async def test_changes_can_be_told_as_a_struct_as_a_mapping_and_by_name(server, make):
    server.answers = [(202, ONE)] * 3
    client = make()
    await client.update("7", Changes(nice=5, dependency=""))
    await client.update("7", {"nice": 5, "dependency": ""})
    await client.update("7", nice=5, dependency="")
    assert [msgspec.json.decode(asked.body) for asked in server.asked] == [{"nice": 5, "dependency": ""}] * 3


async def test_names_of_more_jobs_than_one_call_takes_are_told_in_several(server, make):
    names = [str(number) for number in range(1, 1502)]
    results = [{"job": name, "done": name != "7"} for name in names]
    server.answers = [
        (200, {"results": results[:1000], "done": 999, "failed": 1}),
        (200, {"results": results[1000:], "done": 501, "failed": 0}),
    ]
    report = await make().act(Verb.CANCEL, names)
    assert ([result.job for result in report.results], report.done, report.failed) == (names, 1500, 1)
    assert [len(msgspec.json.decode(asked.body)["jobs"]) for asked in server.asked] == [1000, 501]


async def test_jobs_come_page_by_page_up_to_the_limit(server, make):
    pages = [{"items": [ONE] * 1000, "next_cursor": "c1"}, {"items": [ONE] * 2, "next_cursor": "c2"}]
    server.answers = [(200, page | {"observed_at": {}}) for page in pages]
    assert len(await listed(make().jobs(1002, state=["PENDING", "RUNNING"]))) == 1002
    assert [asked.query for asked in server.asked] == [
        {"limit": ["1000"], "state": ["PENDING", "RUNNING"]},
        {"limit": ["2"], "state": ["PENDING", "RUNNING"], "cursor": ["c1"]},
    ]


async def test_the_last_page_ends_the_walk(server, make):
    server.answers = [(200, {"items": [ONE], "next_cursor": None, "observed_at": {}})]
    assert [found.id for found in await listed(make().jobs(50))] == ["1" * 32]


async def test_the_whole_list_comes_as_one_stream_that_goes_on_where_it_broke(server, make):
    lines = [msgspec.json.encode(job(id=letter * 32, name="a\u2028b")) + b"\n" for letter in "987"]
    server.answers = [(206, lines[0] + lines[1][:50]), AWAY, (200, lines[1] + lines[2])]
    found = await listed(make().jobs(user="alice"))
    assert [(one.id[0], one.name) for one in found] == [(letter, "a\u2028b") for letter in "987"]
    assert [asked.query.get("cursor") for asked in server.asked] == [None, ["9" * 32], ["9" * 32]]
    assert {asked.headers["accept"] for asked in server.asked} == {"application/x-ndjson"}


async def test_nodes_and_clusters_are_read(server, make):
    one = ClusterSummary("big", "simulated", True, 1.0, "")
    server.answers = [(200, NodeList([node()], 1.0)), (200, [one])]
    client = make()
    assert (await client.nodes("big", max_age_s=3)).items == [node()]
    assert await client.clusters() == [one]
    assert [asked.path for asked in server.asked] == ["/v1/clusters/big/nodes", "/v1/clusters"]


async def test_names_are_one_segment_of_a_path_whatever_is_in_them(server, make):
    server.answers = [(200, ONE)] * 3
    client = make()
    for name in ("1/../../x?y#z", "123_[1-5%2]", ""):
        await client.job(name)
    assert [asked.path for asked in server.asked] == [
        "/v1/jobs/1%2F..%2F..%2Fx%3Fy%23z", "/v1/jobs/123_%5B1-5%252%5D", "/v1/jobs/-"]  # fmt: skip


async def test_a_broken_stream_goes_on_where_it_broke(server, make):
    server.answers = [(206, b"one "), AWAY, (200, b"two")]
    assert b"".join(await listed(make().follow("7", offset=3))) == b"one two"
    assert [asked.query["offset"] for asked in server.asked] == [["3"], ["7"], ["7"]]


async def test_a_stream_that_may_not_be_read_ends_at_once(server, make):
    server.answers = [(403, {"code": "not-allowed", "detail": "It belongs to another user."})]
    with pytest.raises(clients.NotAllowed, match="belongs to another user"):
        await listed(make().follow("7"))


def told(seq: int) -> bytes:
    event = Event(seq, 1.0, EventKind.JOB_STATE, "big", "0" * 32, "alice", data={"name": "a\u2028b"})
    return frame(Message("job.state", msgspec.json.encode(event).decode(), str(seq)))


async def test_events_go_on_after_the_last_that_came_whatever_breaks(server, make):
    start = frame(Message(id="4"), retry_ms=2000)
    bye = frame(Message("bye", '{"reason":"the token has expired"}'))
    server.answers = [
        (206, start),  # broken before anything happened
        (206, told(5) + told(6)[:20]),
        AWAY,
        (200, told(6) + frame(Message("lost", '{"after":6}')) + told(7) + frame(Message(id="9"), comment="") + bye),
        (401, {"code": "not-authenticated", "detail": "The token has expired."}),
    ]
    following = make().events(kind=["job.state"])
    seen = [await anext(following) for _ in range(3)]
    with pytest.raises(clients.NotAuthenticated, match="has expired"):
        await anext(following)
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "4", "5", "5", "9"]
    assert {asked.headers["accept"] for asked in server.asked} == {"text/event-stream"}
    assert all(asked.query == {"kind": ["job.state"]} for asked in server.asked)
    assert [event.seq for event in seen] == [5, 6, 7]
    assert seen[0].data == {"name": "a\u2028b"}


async def test_events_that_are_gone_are_an_error_that_says_where_to_go_on(server, make):
    gap = frame(Message("gap", '{"after":3,"oldest":9}', "8"))
    page = {"items": [], "next_after": 9, "more": False, "gap": {"after": 3, "oldest": 9}}
    server.answers = [(200, gap + told(9)), (200, page), (200, page)]
    client = make()
    for items in (client.events(3), client.past_events(3)):
        with pytest.raises(clients.EventsGone, match="Events after 3 are not kept any more") as problem:
            await anext(items)
        assert (problem.value.code, problem.value.oldest) == ("events-gone", 9)
        assert problem.value.kept == "Go on with after=8."
    assert await listed(client.past_events()) == []


async def test_past_events_come_page_by_page(server, make):
    one = msgspec.to_builtins(Event(5, 1.0, EventKind.NODE_STATE, "big"))
    pages = [{"items": [one], "next_after": 5, "more": True}, {"items": [one], "next_after": 8, "more": False}]
    server.answers = [(200, page) for page in pages]
    assert [event.seq for event in await listed(make().past_events(2, job_id="7"))] == [5, 5]
    assert [asked.query["after"] for asked in server.asked] == [["2"], ["5"]]
    assert {asked.headers["accept"] for asked in server.asked} == {"application/json"}


async def test_a_stream_that_only_beat_for_long_is_taken_up_again(server, make, monkeypatch):
    hours = SimpleNamespace(monotonic=lambda: 3600.0 * len(server.asked), sleep=lambda _seconds: None)
    monkeypatch.setattr("hpcjobs.client.patience.time", hours)
    server.answers = [(206, frame(Message(), comment="")), (200, told(5))]
    assert (await listed(make().events(), 1))[0].seq == 5


async def test_waiting_goes_on_by_looking_where_events_cannot_be_had(server, make, monkeypatch):
    for kind in ("_sync", "_async"):
        monkeypatch.setattr(f"hpcjobs.client.{kind}.events.POLL_S", 0.01)
    over = msgspec.to_builtins(job(id="1" * 32, state="FINISHED", fate="COMPLETED"))
    page = {"items": [], "next_after": 4, "more": False}
    missing = (403, {"code": "scope-missing", "detail": "Not for events."})
    crowded = (429, {"code": "rate-limited", "detail": "Too many streams.", "retry_after_s": 1})
    server.answers = [missing, (200, ONE), (200, ONE), (200, over)]
    assert (await make().wait("7")).fate == "COMPLETED"
    server.answers = [(200, page), (200, ONE), crowded, (200, ONE), LOST, (200, over)]
    assert (await make().wait("7")).fate == "COMPLETED"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("url", ["", "jobs.example.org", "ftp://a", "http://", "http://[::1"])
def test_an_address_or_a_token_that_is_none_is_told_at_once(kind, url):
    with pytest.raises(ValueError, match="is not the address of a service"):
        client_of(kind, url, "secret")
    with pytest.raises(ValueError, match="no token"):
        client_of(kind, "http://127.0.0.1", " ")


async def test_following_a_quiet_job_is_patient_anew_with_each_answer(server, make, monkeypatch):
    hours = SimpleNamespace(monotonic=lambda: 3600.0 * len(server.asked), sleep=lambda _seconds: None)
    monkeypatch.setattr("hpcjobs.client.patience.time", hours)
    monkeypatch.setattr("hpcjobs.client.problems.BROKEN_RETRY_S", 0.01)
    server.answers = [(206, b"")] * 4 + [(200, b"at last")]
    assert b"".join(await listed(make(retry_for_s=60.0).follow("7"))) == b"at last"

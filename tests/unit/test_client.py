"""The client against a real server on the loopback that says what each test tells it to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from hpcjobs.client import ApiProblem, Client
from hpcjobs.errors import Refusal
from hpcjobs.model.event import Event, EventKind
from hpcjobs.sse import Message, frame

from .builders import job, node

AWAY = (503, {"code": "slurm-unavailable", "detail": "Slurm is away.", "retry_after_s": 0.02})
ONE = msgspec.to_builtins(job(id="1" * 32))


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

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()
    assert server.answers == []


@pytest.fixture
def client_of(server) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(**more) -> Client:
        clients.append(Client(server.url, "secret", **more))
        return clients[-1]

    yield make
    for client in clients:
        client._http.close()


def test_a_submission_is_sent_again_with_the_same_key_until_there_is_an_answer(server, client_of):
    server.answers = [AWAY, AWAY, (201, ONE)]
    waits: list[ApiProblem] = []
    made = client_of(waiting=waits.append).submit({"script": "#!/bin/sh\n"}, "key-1")
    assert made.id == "1" * 32
    assert [asked.headers["idempotency-key"] for asked in server.asked] == ["key-1"] * 3
    assert {(asked.method, asked.path, asked.headers["authorization"]) for asked in server.asked} == {
        ("POST", "/v1/jobs", "Bearer secret")
    }
    assert len({asked.body for asked in server.asked}) == 1
    assert [problem.code for problem in waits] == ["slurm-unavailable"] * 2


def test_a_refusal_is_not_tried_again_and_every_fault_is_in_it(server, client_of):
    faults = [{"field": "script", "detail": "It is empty.", "code": "script-empty"}, {"field": "a", "detail": "No."}]
    server.answers = [(422, {"code": "refused", "detail": "Two faults.", "kept": "Nothing runs.", "errors": faults})]
    with pytest.raises(ApiProblem) as told:
        client_of().submit({}, "key")
    problem = told.value
    assert (problem.status, problem.code, problem.kept) == (422, "refused", "Nothing runs.")
    assert problem.errors == (Refusal("script", "It is empty.", "script-empty"), Refusal("a", "No."))
    assert len(server.asked) == 1


def test_retries_end_when_the_next_would_be_too_late(server, client_of, monkeypatch):
    monkeypatch.setattr("hpcjobs.client.RETRY_FOR_S", 0.05)
    server.answers = [(503, {"code": "view-stale", "detail": "Too old.", "retry_after_s": 1})]
    with pytest.raises(ApiProblem, match=r"Too old\."):
        client_of().job("7")


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]"])
def test_an_answer_that_is_no_problem_document_is_told_by_its_status(server, client_of, body):
    server.answers = [(502, body)]
    with pytest.raises(ApiProblem, match="502 Bad Gateway"):
        client_of().job("7")


def test_jobs_come_page_by_page_up_to_the_limit(server, client_of):
    pages = [{"items": [ONE] * 1000, "next_cursor": "c1"}, {"items": [ONE] * 2, "next_cursor": "c2"}]
    server.answers = [(200, page) for page in pages]
    assert len(list(client_of().jobs(1002, state=["PENDING", "RUNNING"]))) == 1002
    assert [asked.query for asked in server.asked] == [
        {"limit": ["1000"], "state": ["PENDING", "RUNNING"]},
        {"limit": ["2"], "state": ["PENDING", "RUNNING"], "cursor": ["c1"]},
    ]


def test_the_last_page_ends_the_walk(server, client_of):
    server.answers = [(200, {"items": [ONE], "next_cursor": None})]
    assert [found.id for found in client_of().jobs(50)] == ["1" * 32]


def test_nodes_clusters_and_a_cancelled_job_are_read(server, client_of):
    server.answers = [(200, {"items": [node()]}), (200, [{"name": "big"}]), (202, ONE)]
    client = client_of()
    assert client.nodes("big", max_age_s=3) == [node()]
    assert client.clusters() == [{"name": "big"}]
    assert client.cancel("7").slurm_job_id == 7
    assert [asked.path for asked in server.asked] == ["/v1/clusters/big/nodes", "/v1/clusters", "/v1/jobs/7"]


def test_a_broken_stream_goes_on_where_it_broke(server, client_of):
    server.answers = [(206, b"one "), AWAY, (200, b"two")]
    assert b"".join(client_of().follow("7", offset=3)) == b"one two"
    assert [asked.query["offset"] for asked in server.asked] == [["3"], ["7"], ["7"]]


def test_a_stream_that_may_not_be_read_ends_at_once(server, client_of):
    server.answers = [(403, {"code": "not-allowed", "detail": "It belongs to another user."})]
    with pytest.raises(ApiProblem, match="belongs to another user"):
        list(client_of().follow("7"))


def told(seq: int) -> bytes:
    event = Event(seq, 1.0, EventKind.JOB_STATE, "big", "0" * 32, "alice", data={"name": "a\u2028b"})
    return frame(Message("job.state", msgspec.json.encode(event).decode(), str(seq)))


def test_events_go_on_after_the_last_that_came_whatever_breaks(server, client_of, monkeypatch):
    monkeypatch.setattr("hpcjobs.client.time.sleep", lambda _seconds: None)
    start = frame(Message(id="4"), retry_ms=2000)
    bye = frame(Message("bye", '{"reason":"the token has expired"}'))
    server.answers = [
        (206, start),  # broken before anything happened
        (206, told(5) + told(6)[:20]),
        AWAY,
        (200, told(6) + frame(Message("lost", '{"after":6}')) + told(7) + frame(Message(id="9"), comment="") + bye),
        (401, {"code": "not-authenticated", "detail": "The token has expired."}),
    ]
    following = client_of().events(kind=["job.state"])
    seen = list(itertools.islice(following, 3))
    with pytest.raises(ApiProblem, match="has expired"):
        next(following)
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "4", "5", "5", "9"]
    assert {asked.headers["accept"] for asked in server.asked} == {"text/event-stream"}
    assert all(asked.query == {"kind": ["job.state"]} for asked in server.asked)
    assert [event.seq for event in seen] == [5, 6, 7]
    assert seen[0].data == {"name": "a\u2028b"}


def test_events_that_are_gone_are_an_error_that_says_where_to_go_on(server, client_of):
    gap = frame(Message("gap", '{"after":3,"oldest":9}', "8"))
    page = {"items": [], "next_after": 9, "more": False, "gap": {"after": 3, "oldest": 9}}
    server.answers = [(200, gap + told(9)), (200, page), (200, page)]
    for iterator in (client_of().events(3), client_of().past_events(3)):
        with pytest.raises(ApiProblem, match="Events after 3 are not kept any more") as problem:
            next(iterator)
        assert (problem.value.code, problem.value.kept) == ("events-gone", "Go on with after=8.")
    assert list(client_of().past_events()) == []


def test_past_events_come_page_by_page(server, client_of):
    one = msgspec.to_builtins(Event(5, 1.0, EventKind.NODE_STATE, "big"))
    pages = [{"items": [one], "next_after": 5, "more": True}, {"items": [one], "next_after": 8, "more": False}]
    server.answers = [(200, page) for page in pages]
    assert [event.seq for event in client_of().past_events(2, job_id="7")] == [5, 5]
    assert [asked.query["after"] for asked in server.asked] == [["2"], ["5"]]
    assert {asked.headers["accept"] for asked in server.asked} == {"application/json"}


def test_a_stream_that_only_beat_for_long_is_taken_up_again(server, client_of, monkeypatch):
    hours = SimpleNamespace(monotonic=lambda: 3600.0 * len(server.asked), sleep=lambda _seconds: None)
    monkeypatch.setattr("hpcjobs.client.time", hours)
    server.answers = [(206, frame(Message(), comment="")), (200, told(5))]
    assert next(client_of().events()).seq == 5

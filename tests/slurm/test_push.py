"""What is pushed, of real jobs: events as a stream, a webhook that a login node receives; what readers cost Slurm."""

from __future__ import annotations

import base64
import json
import re
import shlex
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hpcjobs.client import Client
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import State
from hpcjobs.model.webhook import WebhookFilter
from tests.api.receiver import Request
from tests.slurm.conftest import Stack

HELLO = "#!/bin/bash\necho hello\n"
RECEIVER = """
import http.server, json, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps([dict((n.lower(), v) for n, v in self.headers.items()), body]) + "\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("", int(sys.argv[1])), Hook).serve_forever()
"""
PORT = 8099


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url, stack.token("alice")) as client:
        yield client


def test_a_jobs_life_comes_over_the_stream_in_order_and_goes_on_where_it_broke(stack: Stack, client: Client) -> None:
    here = client.events_page().next_after
    job = stack.submit(HELLO)
    seen: list[Any] = []
    for event in client.events(after=here, job_id=job["id"]):
        seen.append(event)
        if event.data.get("state") == "FINISHED":
            break
    states = [event.data["state"] for event in seen if event.kind is EventKind.JOB_STATE]
    assert states[0] in ("PENDING", "RUNNING")
    assert states[-1] == "FINISHED"
    assert seen[-1].data["fate"] == "COMPLETED"
    assert [event.seq for event in seen] == sorted({event.seq for event in seen})
    # Taken up in the middle: what follows, and nothing twice.
    middle = seen[len(seen) // 2].seq
    again = [event.seq for event in client.past_events(after=middle, job_id=job["id"])]
    assert again == [event.seq for event in seen if event.seq > middle]


@pytest.fixture
def hook(stack: Stack, name: str) -> Iterator[str]:
    """A receiver on the login node; the path of what it was told."""
    path = f"/tmp/{name}.hook"
    command = f"python3 -c {shlex.quote(RECEIVER)} {PORT} {path}"
    stack.run("login", f"nohup {command} >/dev/null 2>&1 & echo $! >{path}.pid; touch {path}")
    yield path
    stack.run("login", f"kill $(cat {path}.pid); rm -f {path} {path}.pid", check=False)


def test_a_webhook_is_told_of_a_jobs_end_signed(stack: Stack, client: Client, hook: str) -> None:
    made = client.webhooks.make(f"http://{stack.prefix}login:{PORT}/hook", WebhookFilter(states=(State.FINISHED,)))
    try:
        job = stack.submit(HELLO)
        give_up = time.monotonic() + 180
        told: list[Request] = []
        while not told and time.monotonic() < give_up:
            *lines, _unfinished = stack.run("login", f"cat {hook}").split("\n")
            requests = [Request("", headers, body.encode()) for headers, body in map(json.loads, lines)]
            told = [request for request in requests if request.event["job_id"] == job["id"]]
            time.sleep(0.5)
        assert told, "nothing came within three minutes"
        assert told[0].event["data"]["fate"] == "COMPLETED"
        assert told[0].is_signed_with(made.secret)
        assert not told[0].is_signed_with("whsec_" + base64.b64encode(b"x" * 32).decode())
    finally:
        client.webhooks.remove(made.webhook.id)


def listings(stack: Stack) -> int:
    """How often slurmctld has been asked to list its jobs."""
    said = stack.said("slurmctld", "sdiag")
    return sum(int(count) for count in re.findall(r"REQUEST_JOB_INFO\w*\s+\(\s*\d+\)\s+count:(\d+)", said))


def test_many_readers_cost_slurm_no_more_than_none(stack: Stack) -> None:
    job = stack.submit(HELLO, hold=True)
    over = time.monotonic() + 8
    answers: list[int] = []

    def read() -> None:
        with stack.api() as api:
            while time.monotonic() < over:
                for path in ("/v1/jobs", f"/v1/jobs/{job['id']}", f"/v1/clusters/{stack.cluster}/nodes"):
                    answers.append(api.get(path).status_code)
                time.sleep(0.5)

    before, began = listings(stack), time.monotonic()
    readers = [threading.Thread(target=read) for _ in range(10)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    asked, took_s = listings(stack) - before, time.monotonic() - began
    with stack.api() as api:
        api.delete(f"/v1/jobs/{job['id']}")
    assert set(answers) == {200}
    # One a second, also while the last readers came to their end; the readers asked many times as often.
    assert 1 <= asked <= took_s + 6
    assert asked < len(answers) / 4

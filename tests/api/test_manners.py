"""How requests may look and how answers leave: HEAD, ETag, gzip, 405, 415, deprecated routes."""

from __future__ import annotations

import asyncio
import time
import zlib
from datetime import UTC, datetime

import httpx
import pytest
from litestar import Litestar, get

from hpcjobs.api import manners, routes
from hpcjobs.api.deprecation import deprecated
from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, UnrulySlurm, caller, on_bench, problem_of, settings_of

SAME_AS_GET = [
    "/v1/jobs",
    "/v1/jobs/1",
    "/v1/jobs/1/detail",
    "/v1/clusters/big/nodes",
    "/v1/clusters/big/partitions",
    "/v1/clusters",
    "/healthz",
]


@pytest.mark.parametrize("path", SAME_AS_GET)
async def test_head_answers_as_get_does_without_a_body(bench, path):
    await bench.submitted()
    whole, head = await bench.get(path), await bench.call("HEAD", path)
    assert (whole.status_code, head.status_code, head.content) == (200, 200, b"")
    varying = {"x-request-id", "ratelimit-remaining", "ratelimit-reset"}
    assert {name: value for name, value in head.headers.items() if name not in varying} == {
        name: value for name, value in whole.headers.items() if name not in varying
    }
    assert int(head.headers["Content-Length"]) == int(whole.headers["Content-Length"]) > 0


async def test_head_of_a_stream_has_its_headers_and_ends(bench):
    await bench.submitted()
    async with asyncio.timeout(60):
        events = await bench.call("HEAD", "/v1/events")
        lines = await bench.call("HEAD", "/v1/jobs", headers={"Accept": manners.NDJSON.decode()})
    assert events.headers["Content-Type"].startswith("text/event-stream")
    assert lines.headers["Content-Type"].startswith("application/x-ndjson")
    assert (events.status_code, events.content, lines.status_code, lines.content) == (200, b"", 200, b"")
    assert not bench.service.hub.listeners


async def test_head_of_what_is_not_there_is_404(bench):
    assert (await bench.call("HEAD", "/v1/jobs/99")).status_code == 404


@pytest.mark.parametrize("path", SAME_AS_GET)
async def test_what_the_caller_has_is_not_sent_again(bench, path):
    await bench.submitted()
    first = await bench.get(path)
    assert first.headers["ETag"].startswith('W/"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Authorization, Accept, Accept-Encoding"
    again = await bench.call("GET", path, headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert {again.headers[name] for name in ("ETag", "Cache-Control", "Vary")} <= set(first.headers.values())
    assert "Content-Type" not in again.headers
    other = await bench.call("GET", path, headers={"If-None-Match": 'W/"other"'})
    assert (other.status_code, other.content != b"") == (200, True)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/clusters/big/nodes", "/v1/clusters/big/partitions", "/v1/clusters"])
async def test_a_new_listing_that_changes_nothing_leaves_the_tag_as_it_was(bench, path):
    await bench.submitted()
    await bench.tick(1)
    before = await bench.get(path)
    await bench.tick(2)
    after = await bench.get(path)
    assert before.text != after.text, "observed_at has moved"
    assert before.headers["ETag"] == after.headers["ETag"]


async def test_a_job_that_changed_has_another_tag(bench):
    await bench.submitted()
    before = (await bench.get("/v1/jobs")).headers["ETag"], (await bench.get("/v1/jobs/1")).headers["ETag"]
    assert (await bench.call("POST", "/v1/jobs/1/signal", json={"signal": "USR1"})).status_code == 202
    assert (await bench.call("DELETE", "/v1/jobs/1")).status_code == 202
    await bench.tick()
    after = (await bench.get("/v1/jobs")).headers["ETag"], (await bench.get("/v1/jobs/1")).headers["ETag"]
    assert before[0] != after[0]
    assert before[1] != after[1]


async def test_answers_that_are_no_page_of_knowledge_have_no_tag(bench):
    made = await bench.post()
    missing = await bench.get("/v1/jobs/99")
    assert not {"ETag", "Cache-Control"} & (set(made.headers) | set(missing.headers))


async def raw(bench, path: str, accept_encoding: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it came over the wire."""
    told = bench.headers("alice") | {"Accept-Encoding": accept_encoding, **headers}
    async with bench.http.stream("GET", path, headers=told) as answer:
        return answer, b"".join([part async for part in answer.aiter_raw()])


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_lists_are_compressed_for_those_who_take_gzip(bench, accept):
    for number in range(12):
        await bench.submitted(name=f"job-{number}")
    plain, body = await raw(bench, "/v1/jobs", "identity", Accept=accept)
    squeezed, small = await raw(bench, "/v1/jobs", "br, gzip;q=0.5", Accept=accept)
    assert "Content-Encoding" not in plain.headers
    assert squeezed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in squeezed.headers["Vary"]
    assert zlib.decompress(small, 31) == body
    assert len(small) < len(body) / 4
    assert squeezed.headers.get("ETag") == plain.headers.get("ETag")
    assert squeezed.headers.get("Content-Length") in (None, str(len(small)))


@pytest.mark.parametrize("header", ["", "identity", "gzip;q=0", "gzip; q=0.0", "br"])
async def test_nobody_gets_gzip_who_does_not_take_it(bench, header):
    for _ in range(4):
        await bench.submitted()
    answer, body = await raw(bench, "/v1/jobs", header)
    assert "Content-Encoding" not in answer.headers
    assert body.startswith(b"{")


async def test_small_answers_and_streams_of_events_are_never_compressed(bench):
    await bench.submitted()
    small, _ = await raw(bench, "/v1/jobs/1", "gzip")
    assert "Content-Encoding" not in small.headers
    assert "Content-Encoding" not in (await bench.call("HEAD", "/v1/events")).headers


async def test_a_long_stream_comes_whole_through_gzip():
    pieces = [bytes([65 + at % 26]) * at * 1000 for at in range(80)]

    async def app(_scope, _receive, send):
        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    sent = []

    async def send(message):
        sent.append(message)

    handler = get("/x", sync_to_thread=False)(lambda: None)
    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")], "route_handler": handler}
    await manners.Manners(app)(scope, None, send)
    assert zlib.decompress(b"".join(message["body"] for message in sent[1:]), 31) == b"".join(pieces)
    assert zlib.decompressobj(31).decompress(sent[1]["body"] + sent[2]["body"]) == pieces[1], "each piece can be read"


async def test_another_method_is_405_and_says_which_there_are(bench):
    answer = await bench.call("PUT", "/v1/jobs")
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


async def test_options_say_which_methods_there_are(bench):
    answer = await bench.http.options("/v1/jobs/1")
    assert answer.status_code == 204
    assert set(answer.headers["Allow"].split(", ")) == {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_body_that_is_announced_as_no_json_is_415(bench, kind):
    answer = await bench.call("POST", "/v1/jobs", content=b'{"script": "#!/bin/sh"}', headers={"Content-Type": kind})
    assert (answer.status_code, problem_of(answer)["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/merge-patch+json", ""])
async def test_any_json_is_json(bench, kind):
    content = b'{"script": "#!/bin/sh\\n"}'
    assert (await bench.call("POST", "/v1/jobs", content=content, headers={"Content-Type": kind})).status_code == 201


async def test_a_deprecated_route_says_so_in_its_answers_and_in_the_document():
    since, sunset = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC)

    @get("/old", opt=deprecated(since, sunset, "/docs/old"), sync_to_thread=False)
    def old() -> dict[str, int]:
        return {"a": 1}

    @get("/new", sync_to_thread=False)
    def new() -> dict[str, int]:
        return {"a": 1}

    app = Litestar([old, new], middleware=[manners.Manners], plugins=[routes.Routes()], logging_config=None)
    async with caller(app) as http:
        answer, other = await http.get("/old"), await http.get("/new")
    assert answer.headers["Deprecation"] == "@1798761600"
    assert answer.headers["Sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
    assert answer.headers["Link"] == '</docs/old>; rel="deprecation"'
    assert not {"Deprecation", "Sunset", "Link"} & set(other.headers)
    paths = app.openapi_schema.to_schema()["paths"]
    assert (paths["/old"]["get"]["deprecated"], paths["/new"]["get"].get("deprecated", False)) == (True, False)


async def test_a_filter_with_an_empty_list_is_refused_and_nothing_is_done(bench):
    await bench.submitted()
    for name in ("state", "fate"):
        answer = await bench.call("POST", "/v1/jobs/actions", json={"verb": "cancel", "filter": {name: []}})
        assert (answer.status_code, problem_of(answer)["errors"][0]["field"]) == (422, f"filter.{name}")
    assert (await bench.get("/v1/jobs/1")).json()["state"] == "RUNNING"


async def test_the_cluster_beside_a_filter_narrows_it(place):
    clusters = tuple(ClusterSettings(name, observe_s=NEVER) for name in ("big", "small"))
    slurms = {name: UnrulySlurm(name) for name in ("big", "small")}
    async with on_bench(settings_of(place, clusters=clusters), slurms) as bench:
        for name in slurms:
            await bench.service.target(name).observer.tick(time.time())
            assert (await bench.post(cluster=name)).status_code == 201
        told = {"verb": "cancel", "cluster": "small", "filter": {"user": "alice"}}
        report = (await bench.call("POST", "/v1/jobs/actions", json=told)).json()
        assert report["done"] == 1
        assert [slurm._jobs[1].ended for slurm in slurms.values()] == [False, True]
        torn = told | {"filter": {"cluster": "big"}}
        answer = await bench.call("POST", "/v1/jobs/actions", json=torn)
        assert (answer.status_code, problem_of(answer)["errors"][0]["field"]) == (422, "filter.cluster")
        unknown = await bench.call("POST", "/v1/jobs/actions", json=told | {"cluster": "none"})
        assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [("user=alice&user=bob", "user"), ("limit=1&limit=2", "limit"), ("since=nan", "since"),
     ("until=-Infinity", "until"),
     ("max_age_s=inf", "max_age_s")],
)  # fmt: skip
async def test_a_parameter_with_two_values_and_a_number_that_is_none_are_400(bench, query, name):
    answer = await bench.get(f"/v1/jobs?{query}")
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "bad-request")
    assert [fault["field"] for fault in problem_of(answer)["errors"]] == [name]


async def test_a_parameter_that_is_a_list_may_be_given_several_times(bench):
    assert (await bench.get("/v1/jobs?state=RUNNING&state=PENDING&since=1.5")).status_code == 200
    page = {"Accept": "application/json"}
    kinds = await bench.call("GET", "/v1/events?kind=job.state&kind=job.order&after=0", headers=page)
    assert kinds.status_code == 200


async def test_a_list_of_several_clusters_names_those_of_which_it_shows_what_was(place):
    clusters = tuple(ClusterSettings(name, observe_s=NEVER) for name in ("big", "small"))
    slurms = {name: UnrulySlurm(name) for name in ("big", "small")}
    lines = {"Accept": "application/x-ndjson"}
    async with on_bench(settings_of(place, clusters=clusters), slurms) as bench:
        for name, ago in (("big", 0), ("small", 2 * NEVER)):
            await bench.service.target(name).observer.tick(time.time() - ago)
            assert (await bench.post(cluster=name)).status_code in (201, 202)
        page = (await bench.get("/v1/jobs")).json()
        whole = await bench.call("GET", "/v1/jobs", headers=lines)
        patient = await bench.call("GET", "/v1/jobs", params={"max_age_s": 3 * NEVER}, headers=lines)
    assert list(page["stale"]) == ["small"]
    assert whole.headers["Hpcjobs-Stale"] == "small"
    assert len(whole.text.splitlines()) == 2
    assert "Hpcjobs-Stale" not in patient.headers

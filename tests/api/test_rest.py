"""Every route, its errors and its headers."""

from __future__ import annotations

import re
import time

import msgspec
import pytest

from hpcjobs.api.app import MAX_BODY_BYTES
from hpcjobs.api.problems import STATUS, status_of
from hpcjobs.errors import HpcjobsError, Refused
from hpcjobs.identity import Scope, make_token
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.settings import SettingsError
from hpcjobs.slurm.base import Op
from tests.api.bench import SCRIPT, problem_of

PATHS = [
    ("GET", "/v1/jobs"),
    ("POST", "/v1/jobs"),
    ("POST", "/v1/jobs/validate"),
    ("POST", "/v1/jobs/actions"),
    ("GET", "/v1/jobs/{job_id}"),
    ("PATCH", "/v1/jobs/{job_id}"),
    ("DELETE", "/v1/jobs/{job_id}"),
    ("GET", "/v1/jobs/{job_id}/detail"),
    ("GET", "/v1/jobs/{job_id}/runs"),
    ("GET", "/v1/jobs/{job_id}/usage"),
    ("PUT", "/v1/clusters/{cluster}/nodes/{node}/samples"),
    ("GET", "/v1/reports"),
    ("GET", "/v1/reports/{name}"),
    *((method, "/v1/report-schedules") for method in ("GET", "POST")),
    *((method, "/v1/report-schedules/{name}") for method in ("GET", "DELETE")),
    ("POST", "/v1/report-schedules/{name}/run"),
    *((method, "/v1/alerts") for method in ("GET", "POST")),
    *((method, "/v1/alerts/{name}") for method in ("GET", "DELETE")),
    ("GET", "/v1/credentials"),
    *((method, "/v1/credentials/{name}") for method in ("PUT", "DELETE")),
    *(
        ("POST", f"/v1/jobs/{{job_id}}/{verb}")
        for verb in ("hold", "release", "suspend", "resume", "requeue", "signal")
    ),
    ("GET", "/v1/jobs/{job_id}/output"),
    ("GET", "/v1/clusters"),
    ("GET", "/v1/clusters/{cluster}/accounting"),
    ("GET", "/v1/clusters/{cluster}/capabilities"),
    ("GET", "/v1/clusters/{cluster}/scheduling"),
    ("GET", "/v1/clusters/{cluster}/nodes"),
    ("GET", "/v1/clusters/{cluster}/partitions"),
    ("GET", "/v1/clusters/{cluster}/gpus"),
    ("GET", "/metrics"),
    ("GET", "/v1/me"),
    ("GET", "/v1/projects"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/events"),
    *((method, "/v1/webhooks") for method in ("GET", "POST")),
    *((method, "/v1/webhooks/{webhook_id}") for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"),
    *((method, "/v1/plugins") for method in ("GET", "PUT")),
    ("GET", "/v1/clusters/{cluster}/configuration"),
    ("GET", "/v1/clusters/{cluster}/policies"),
    ("GET", "/v1/clusters/{cluster}/lemons"),
    ("POST", "/v1/clusters/{cluster}/lemons/{node}/pardon"),
    ("GET", "/v1/recovery/advice"),
    *((method, "/v1/projects/{project}") for method in ("GET", "PUT", "DELETE")),
    *((method, "/v1/projects/{project}/requests") for method in ("GET", "POST")),
    ("POST", "/v1/projects/{project}/requests/{request_id}/decision"),
    *(("GET", path) for path in ("/v1/quotas", "/v1/quotas/plan")),
    ("POST", "/v1/quotas/apply"),
    *((method, "/v1/prices") for method in ("GET", "POST")),
    ("POST", "/v1/prices/{price_id}/end"),
    *((method, "/v1/invoices") for method in ("GET", "POST")),
    *(("POST", f"/v1/invoices/{path}") for path in ("draft", "{number}/correct")),
    ("GET", "/v1/invoices/{number}"),
    ("POST", "/v1/sbatch"),
    ("POST", "/v1/gangs"),
    ("POST", "/v1/webhooks/{webhook_id}/test"),
    *((method, "/v1/clusters/{cluster}/files") for method in ("GET", "DELETE")),
    *((method, "/v1/clusters/{cluster}/files/content") for method in ("GET", "HEAD", "PUT")),
    ("GET", "/v1/clusters/{cluster}/files/checksum"),
    ("POST", "/v1/clusters/{cluster}/files/mkdir"),
    ("POST", "/v1/clusters/{cluster}/files/rename"),
    ("POST", "/v1/clusters/{cluster}/files/uploads"),
    *((method, "/v1/clusters/{cluster}/files/uploads/{upload_id}") for method in ("GET", "HEAD", "PATCH", "DELETE")),
]
OPEN = {"/", "/healthz", "/readyz"}


def routes(bench) -> list[tuple[str, str]]:
    """Method and path of everything that the application answers."""
    app = bench.http._transport.app
    found = []
    for route in app.routes:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        found += [(method, path) for method in getattr(route, "methods", ["GET"])]
    return found


async def test_every_path_but_the_open_ones_needs_a_token(bench):
    walked = [(method, path) for method, path in routes(bench) if method != "OPTIONS"]
    closed = [
        (method, path) for method, path in walked if path not in OPEN and not path.startswith(("/docs", "/assets/"))
    ]
    expected = {*PATHS, *(("HEAD", path) for method, path in PATHS if method == "GET")}
    assert sorted(closed) == sorted(expected), "a new route: is it meant to be open?"
    for method, path in closed:
        names = {"name": "usage", "cluster": "big", "node": "n1", "project": "vision"}
        ids = {"job_id": 1, "price_id": 1, "number": "2026-0001"} | dict.fromkeys(
            ("request_id", "upload_id", "webhook_id"), "0" * 32
        )
        answer = await bench.http.request(method, path.format(**names, **ids))
        assert answer.status_code == 401, (method, path)
        assert method == "HEAD" or problem_of(answer)["code"] == "not-authenticated"
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="hpcjobs"'


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/docs", "/docs/openapi.json"])
async def test_what_a_load_balancer_or_a_newcomer_asks_needs_no_token(bench, path):
    assert (await bench.http.get(path, follow_redirects=True)).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/assets/swagger/../../v1/jobs", "/assets/swagger/%2e%2e/%2e%2e/v1/jobs", "/docs/../v1/jobs", "//v1/jobs",
     "/V1/jobs", "/v1/jobs/", "/v1/jobs/../jobs", "/assets/swagger/%2e%2e/__init__.py",
     "/assets/swagger/..%2f__init__.py", "/assets/swagger//etc/passwd"],
)  # fmt: skip
async def test_no_spelling_of_a_path_gets_round_the_token(bench, path):
    await bench.submitted()
    answer = await bench.http.get(bench.http.base_url.copy_with(raw_path=path.encode()))
    assert answer.status_code in (401, 404, 405)
    assert answer.json()["code"] in ("not-authenticated", "not-found")


def tokens(key: bytes) -> dict[str, str | None]:
    now = time.time()
    good = make_token(key, "alice", now, 60)
    return {
        "none": None,
        "empty": "",
        "no scheme": good,
        "another scheme": f"Basic {good}",
        "no token": "Bearer ",
        "garbage": "Bearer x.y.z",
        "expired": f"Bearer {make_token(key, 'alice', now - 200, 60)}",
        "another key": f"Bearer {make_token(bytes(64), 'alice', now, 60)}",
        "cut": f"Bearer {good[:-3]}",
        "no latin": "Bearer \xe9",
    }


async def test_a_token_that_does_not_hold_is_401(bench):
    for kind, value in tokens(bench.service.token_key).items():
        headers = [] if value is None else [(b"authorization", value.encode("latin-1"))]
        answer = await bench.http.get("/v1/jobs", headers=headers)
        assert answer.status_code == 401, kind
        problem_of(answer)


def every_error(kind: type[HpcjobsError] = HpcjobsError) -> list[type[HpcjobsError]]:
    return [kind] + [below for child in kind.__subclasses__() for below in every_error(child)]


def test_every_error_of_the_tree_has_its_own_code_and_a_status():
    kinds = every_error()
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        status = status_of(kind.__new__(kind))
        assert status in ((503, 429) if kind.transient else set(STATUS.values()) - {503, 429})
        assert (status == 500) == (kind in (HpcjobsError, SettingsError)), "every error that a caller meets has a line"


def made(kind: type[HpcjobsError]) -> HpcjobsError:
    if issubclass(kind, Refused):
        return kind([])
    return kind("What was wrong.", **({"sent": True} if kind.code == "worker-lost" else {}))


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.code)
async def test_every_error_reaches_the_caller_as_its_problem_document(bench, monkeypatch, kind):
    error = made(kind)
    error.detail, error.kept = "What was wrong.", "What was kept."

    def fails(*_):
        raise error

    monkeypatch.setattr("hpcjobs.store.repository.job_by_id", fails)
    answer = await bench.get(f"/v1/jobs/{'0' * 32}")
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"], problem["title"]) == (status_of(error), kind.code, kind.title)
    assert (problem["detail"], problem["kept"]) == ("What was wrong.", "What was kept.")
    assert problem.get("transient", False) == kind.transient
    assert ("Retry-After" in answer.headers) == kind.transient
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)


async def test_a_bug_is_a_problem_document_that_tells_nothing_inside_and_is_logged(bench, monkeypatch, caplog):
    def fails(*_):
        raise KeyError("secret")

    monkeypatch.setattr("hpcjobs.store.repository.job_by_id", fails)
    answer = await bench.get(f"/v1/jobs/{'0' * 32}")
    assert (answer.status_code, problem_of(answer)["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


async def test_health_does_not_ask_slurm_or_the_database(bench, monkeypatch):
    def broken(*_):
        raise AssertionError

    bench.slurm.down = True
    monkeypatch.setattr(bench.service.store, "read", broken)
    answer = await bench.http.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_a_database_that_does_not_answer_is_not_ready(bench, tmp_path):
    bench.service.store.engine.dispose()
    (tmp_path / "jobs.db").rename(tmp_path / "away.db")
    (tmp_path / "jobs.db").mkdir()
    answer = await bench.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"].startswith("The database does not answer")
    assert answer.json()["cluster big"] == "ok"
    jobs = await bench.get("/v1/jobs")
    assert (jobs.status_code, problem_of(jobs)["code"]) == (503, "unavailable")


async def test_the_table_of_what_a_cluster_can_names_a_way_for_everything_that_a_simulated_one_does(bench):
    answer = await bench.get("/v1/clusters/big/capabilities")
    assert answer.status_code == 200
    assert {(line["op"], line["way"]) for line in answer.json()} == {(op.value, "simulated") for op in Op}
    assert (await bench.get("/v1/clusters/none/capabilities")).status_code == 404


async def test_how_a_cluster_schedules_is_asked_of_it(bench):
    bench.slurm.known_scheduling = Scheduling(parameters={"bf_window": "60"}, select_parameters=("CR_LLN",))
    answer = await bench.get("/v1/clusters/big/scheduling")
    assert msgspec.json.decode(answer.content, type=Scheduling) == bench.slurm.known_scheduling
    assert answer.json()["scheduler"] == "sched/backfill"
    assert (await bench.get("/v1/clusters/none/scheduling")).status_code == 404


async def test_the_clusters_and_their_nodes_are_listed(bench):
    (cluster,) = (await bench.get("/v1/clusters")).json()
    assert (cluster["name"], cluster["backend"], cluster["up"]) == ("big", "simulated", True)
    await bench.submitted(resources={"gpus_per_node": 3})
    nodes = (await bench.get("/v1/clusters/big/nodes")).json()
    assert [(node["name"], node["gpus"], node["gpus_alloc"]) for node in nodes["items"]] == [
        ("n1", {"a100": 8}, {"a100": 3}),
        ("n2", {"a100": 8}, {}),
    ]
    assert nodes["observed_at"] == bench.observer.view.asked_at


async def test_the_gpus_of_a_cluster_are_counted_by_type(bench):
    found = (await bench.get("/v1/clusters/big/gpus")).json()
    nodes = bench.observer.view.nodes.values()
    assert found["observed_at"] == bench.observer.view.asked_at
    assert {one["kind"] for one in found["items"]} == {kind for node in nodes for kind in node.gpus}
    assert sum(one["total"] for one in found["items"]) == sum(sum(node.gpus.values()) for node in nodes) > 0


async def test_the_partitions_of_a_cluster_are_listed_in_slurms_order(bench):
    answer = await bench.get("/v1/clusters/big/partitions")
    assert [(one["name"], one["default"], one["nodes"], one["total_nodes"]) for one in answer.json()["items"]] == [
        (name, not at, partition.nodes, partition.total_nodes)
        for at, (name, partition) in enumerate(bench.observer.view.partitions.items())
    ]
    assert answer.json()["items"][0]["nodes"] == "n[1-2]"
    assert answer.json()["observed_at"] == bench.observer.view.asked_at


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("GET", "/v1/clusters/small/nodes", {}),
        ("GET", "/v1/clusters/small/partitions", {}),
        ("GET", "/v1/jobs", {"cluster": "small"}),
        ("GET", "/v1/jobs/1", {"cluster": "small"}),
        ("DELETE", "/v1/jobs/1", {"cluster": "small"}),
        ("GET", "/v1/jobs/1/output", {"cluster": "small"}),
    ],
)
async def test_a_cluster_that_is_not_there_is_404_and_says_which_are(bench, method, path, params):
    answer = await bench.call(method, path, params=params)
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "cluster-unknown")
    assert problem_of(answer)["detail"] == "There is no cluster 'small'; there are big."


async def test_a_submission_to_a_cluster_that_is_not_there_leaves_nothing(bench):
    answer = await bench.post("k", cluster="small")
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "cluster-unknown")
    assert (await bench.post("k", cluster="big")).status_code == 201


NO_JOBS = [
    "7",
    "0",
    "-1",
    "01",
    "99999999999",
    "x",
    "f" * 32,
    "F" * 32,
    "f" * 31,
    "1%0a",
    "%00",
    "1_[1-3]",
    "%e2%85%a6",
]


@pytest.mark.parametrize("path", ["", "/output"])
async def test_a_job_that_is_not_there_is_404(bench, path):
    for job_id in NO_JOBS:
        answer = await bench.get(f"/v1/jobs/{job_id}{path}")
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "job-unknown"), job_id


async def test_a_job_is_found_by_our_id_and_by_slurms_number(bench):
    job = await bench.submitted()
    assert job["changed_at"] == bench.observer.view.asked_at
    for path in (f"/v1/jobs/{job['id']}", "/v1/jobs/1", "/v1/jobs/1?cluster=big"):
        assert (await bench.get(path)).json() == job


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/output")])
async def test_another_users_job_is_not_there_by_whatever_name(bench, method, path):
    job = await bench.submitted()
    for name in (job["id"], "1"):
        answer = await bench.call(method, f"/v1/jobs/{name}{path}", "bob")
        assert (answer.status_code, problem_of(answer)["code"]) == (404, "job-unknown")
        assert answer.json()["detail"] == f"There is no job {name!r}."
    assert bench.slurm._jobs[1].record.raw_state == "RUNNING"


async def test_users_see_their_own_jobs_and_operators_and_admins_all(bench):
    for user in ("alice", "bob", "alice", "boss"):
        await bench.submitted(user)

    async def owners(caller: str, **params: str) -> list[str]:
        return [job["user"] for job in (await bench.call("GET", "/v1/jobs", caller, params=params)).json()["items"]]

    assert await owners("alice") == ["alice"] * 2
    assert await owners("alice", user="alice") == ["alice"] * 2
    assert await owners("boss") == ["boss", "alice", "bob", "alice"]
    assert await owners("ops") == ["boss", "alice", "bob", "alice"]
    assert await owners("boss", user="bob") == ["bob"]
    assert await owners("nobody-yet") == []
    assert await owners("alice", user="bob") == []


async def test_pages_follow_each_other_without_gap_or_double_though_jobs_arrive_meanwhile(bench):
    ids = [(await bench.post()).json()["id"] for _ in range(7)]
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = (await bench.get("/v1/jobs", limit=3, **({"cursor": cursor} if cursor else {}))).json()
        seen += [job["id"] for job in page["items"]]
        cursor, pages = page["next_cursor"], pages + 1
        await bench.post()
    assert (seen, pages) == (ids[::-1], 3)


async def test_a_page_that_is_exactly_full_is_the_last(bench):
    for _ in range(3):
        await bench.post()
    assert (await bench.get("/v1/jobs", limit=3)).json()["next_cursor"] is None


async def test_jobs_are_filtered_by_what_they_are(bench):
    await bench.post(name="a", partition="gpu", account="x")
    await bench.post(name="b", account="y", script="#!/bin/sh\nsleep 1\n")
    await bench.post(name="c", hold=True)
    await bench.tick()
    await bench.tick(2)

    async def names(**params) -> str:
        return "".join(job["name"] for job in (await bench.get("/v1/jobs", **params)).json()["items"])

    assert await names() == "cba"
    assert await names(state="RUNNING") == "a"
    assert await names(state=["RUNNING", "HELD"]) == "ca"
    assert await names(fate="COMPLETED") == "b"
    assert await names(fate=["COMPLETED", "FAILED"], state="FINISHED") == "b"
    assert await names(name="c") == "c"
    assert await names(partition="gpu") == "a"
    assert await names(account="y") == "b"
    assert await names(account="y", state="RUNNING") == ""
    assert await names(cluster="big") == "cba"


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "state=DONE", "state=RUNNING&state=x", "fate=GOOD",
     "max_age_s=-1", "max_age_s=soon", "max_age_s=nan"],
)  # fmt: skip
async def test_a_query_that_does_not_fit_is_400_and_names_the_parameter(bench, query):
    answer = await bench.get(f"/v1/jobs?{query}")
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (400, "bad-request")
    assert [fault["field"] for fault in problem["errors"]] == [query.split("=")[0]]


@pytest.mark.parametrize("cursor", ["x", "0" * 31, "0" * 33, "", "' OR 1=1", "0" * 31 + "G"])
async def test_a_cursor_of_ones_own_making_is_refused(bench, cursor):
    answer = await bench.get("/v1/jobs", cursor=cursor)
    assert answer.status_code == 422
    assert problem_of(answer)["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("query", ["offset=x", "offset=9999999999999999999", "stream=both", "follow=perhaps"])
async def test_a_query_for_output_that_does_not_fit_is_400(bench, query):
    await bench.submitted()
    answer = await bench.get(f"/v1/jobs/1/output?{query}")
    assert answer.status_code == 400
    assert problem_of(answer)["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/1", "/v1/clusters", "/v1/clusters/big/nodes", "/readyz"])
async def test_a_query_parameter_that_nobody_knows_is_named_beside_those_there_are(bench, path):
    await bench.submitted()
    answer = await bench.get(f"{path}?max_age_s=9&colour=red&page[]=1&%00=%00")
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (400, "unknown-parameter")
    known = re.findall(r"there are ([a-z_, ]+)\.", problem["detail"])
    unknown = {"\0", "colour", "page[]"} | (set() if known and "max_age_s" in known[0] else {"max_age_s"})
    assert {fault["field"] for fault in problem["errors"]} == unknown


BODIES = {
    "nothing": b"",
    "no json": b"{",
    "a list": b"[]",
    "null": b"null",
    "no script": b"{}",
    "an unknown field": b'{"script": "#!/bin/sh", "colour": "red"}',
    "an unknown field below": b'{"script": "#!/bin/sh", "resources": {"colour": 1}}',
    "a number for a text": b'{"script": 3}',
    "a fraction": b'{"script": "#!/bin/sh", "resources": {"nodes": 1.5}}',
    "half a character": b'{"script": "#!/bin/sh \\ud800"}',
    "no utf-8": b'{"script": "\xff"}',
    "deep": b'{"script": ' + b"[" * 100_000,
    "deep environment": b'{"script": "#!/bin/sh", "environment": {"A": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_that_does_not_fit_is_400_and_no_job(bench, kind):
    headers = {"Content-Type": "application/json"}
    answer = await bench.call("POST", "/v1/jobs", content=BODIES[kind], headers=headers)
    assert (answer.status_code, problem_of(answer)["code"]) == (400, "bad-request")
    assert bench.slurm.calls == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
async def test_a_body_of_another_kind_is_an_error_of_the_caller_or_read_as_json(bench, kind):
    answer = await bench.call("POST", "/v1/jobs", content=b"script=1", headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500
    problem_of(answer)


async def test_a_body_over_the_limit_is_413_whether_or_not_its_length_is_told(bench):
    body = b'{"script": "' + b"x" * MAX_BODY_BYTES + b'"}'

    async def in_pieces():
        for start in range(0, len(body), 1 << 20):
            yield body[start : start + (1 << 20)]

    for content in (body, in_pieces()):
        answer = await bench.call("POST", "/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, problem_of(answer)["code"]) == (413, "too-large")


async def test_a_script_under_the_bodys_limit_and_over_slurms_is_refused_by_name(bench):
    answer = await bench.post(script=SCRIPT + "#" * (4 * 1024 * 1024))
    assert answer.status_code == 422
    assert problem_of(answer)["errors"][0]["code"] == "script-too-large"


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_of_no_or_too_great_length_is_400(bench, key):
    answer = await bench.post(key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in problem_of(answer)["detail"]
    assert bench.slurm.calls == 0


async def test_a_key_of_the_greatest_length_holds(bench):
    assert (await bench.post("k" * 255)).json() == (await bench.post("k" * 255)).json()


@pytest.mark.parametrize("path", ["/v1", "/v1/job", "/v1/jobs/1/2/3", "/v2/jobs", "/favicon.ico",
    "/assets/swagger/nothing.js", "/%00"])  # fmt: skip
async def test_a_path_that_is_not_there_is_404_as_a_problem_document(bench, path):
    answer = await bench.get(path)
    assert (answer.status_code, problem_of(answer)["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", "/v1/jobs", {"GET", "POST"}), ("POST", "/v1/jobs/1", {"GET", "DELETE"}),
     ("PATCH", "/v1/jobs/1/output", {"GET"}),
     ("DELETE", "/v1/clusters", {"GET"}), ("POST", "/healthz", {"GET"})],
)  # fmt: skip
async def test_a_wrong_method_is_405_and_says_which_are_right(bench, method, path, allowed):
    answer = await bench.call(method, path)
    assert (answer.status_code, problem_of(answer)["code"]) == (405, "method-not-allowed")
    assert allowed <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/v1/jobs", "/v1/jobs/1", "/v1/jobs/1/output", "/v1/clusters", "/docs"]
)
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_no_method_crashes(bench, method, path):
    assert (await bench.call(method, path)).status_code < 500


async def test_a_job_is_cancelled_by_its_owner_and_its_end_is_seen(bench):
    job = await bench.submitted()
    answer = await bench.call("DELETE", f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.json()["id"]) == (202, job["id"])
    await bench.tick()
    assert (await bench.get("/v1/jobs/1")).json()["fate"] == "CANCELLED"
    again = await bench.call("DELETE", "/v1/jobs/1")
    assert (again.status_code, problem_of(again)["code"]) == (409, "conflict")


async def test_who_sees_all_cancels_in_the_services_name_and_the_owner_in_their_own(bench, monkeypatch):
    names = []

    async def act(user, order):
        names.append((user, order))

    monkeypatch.setattr(bench.slurm, "act", act)
    await bench.submitted()
    await bench.submitted("boss")
    for user, number in (("boss", 1), ("ops", 1), ("alice", 1), ("boss", 2)):
        assert (await bench.call("DELETE", f"/v1/jobs/{number}", user)).status_code == 202
    cancels = [Order(Verb.CANCEL, str(number)) for number in (1, 2)]
    assert names == [("hpcjobs", cancels[0]), ("hpcjobs", cancels[0]), ("alice", cancels[0]), ("boss", cancels[1])]


async def test_a_job_that_ended_since_the_last_listing_is_a_conflict_in_slurms_words(bench):
    await bench.submitted()
    bench.slurm.end(1)
    answer = await bench.call("DELETE", "/v1/jobs/1")
    assert (answer.status_code, problem_of(answer)["detail"]) == (409, "The job has already ended.")


async def test_a_job_whose_submission_is_open_cannot_be_cancelled_yet(bench):
    bench.slurm.mishaps = ["late"]
    await bench.post("k")
    (job,) = (await bench.get("/v1/jobs")).json()["items"]
    answer = await bench.call("DELETE", f"/v1/jobs/{job['id']}")
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "outcome-unknown")


async def test_while_the_controller_is_away_a_job_is_not_cancelled_and_the_caller_hears_it(bench):
    await bench.submitted()
    bench.slurm.down = True
    answer = await bench.call("DELETE", "/v1/jobs/1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.fixture
async def document(bench) -> dict:
    answer = await bench.http.get("/docs/openapi.json")
    assert answer.headers["Content-Type"].startswith(("application/json", "application/vnd.oai.openapi+json"))
    return answer.json()


async def test_the_openapi_document_names_every_route_and_how_to_be_known(bench, document):
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert told == {*PATHS, ("GET", "/healthz"), ("GET", "/readyz")}
    scheme = document["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert all(f"`{scope}`" in scheme["description"] for scope in Scope)
    assert document["security"] == [{"token": []}]
    assert document["info"]["title"] == "hpcjobs"


def references(part: object) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


async def test_every_reference_of_the_openapi_document_leads_somewhere(document):
    found = references(document)
    assert found
    for reference in found:
        part = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step.replace("~1", "/").replace("~0", "~")]
        assert part


async def test_operations_have_ids_of_their_own_declared_path_parameters_and_answers(document):
    operations = [(path, told) for path, item in document["paths"].items() for told in item.values()]
    ids = [told["operationId"] for _, told in operations]
    assert len(set(ids)) == len(ids)
    for path, told in operations:
        declared = {parameter["name"] for parameter in told.get("parameters", []) if parameter["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path)), path
        assert any(status.startswith("2") for status in told["responses"]), path
        if path.startswith("/v1/"):
            assert "application/problem+json" in told["responses"]["401"]["content"], path


async def test_the_submission_is_described_with_its_key_and_its_refusals(document):
    told = document["paths"]["/v1/jobs"]["post"]
    assert {"201", "202", "400", "401", "403", "404", "409", "422", "503"} <= set(told["responses"])
    assert ("Idempotency-Key", "header") in {(p["name"], p["in"]) for p in told["parameters"]}
    assert "SubmitRequest" in str(told["requestBody"])
    query = {p["name"] for p in document["paths"]["/v1/jobs"]["get"]["parameters"]}
    assert query == {
        "user", "cluster", "state", "fate", "account", "partition", "name", "parent", "tasks", "listed", "since",
        "until", "cursor", "limit", "fields", "max_age_s",
    }  # fmt: skip


async def test_the_page_needs_nothing_but_the_service_itself(bench):
    page = await bench.http.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert (
        re.findall(r"https?:|=[\"']//|cdn", re.sub(r'\\?"openapi\\?".*', "", page.text.split("SwaggerUIBundle")[0]))
        == []
    )
    assets = set(re.findall(r"[\"'](/assets/[^\"']+)[\"']", page.text))
    assert len(assets) >= 3
    for path in assets:
        answer = await bench.http.get(path)
        assert answer.status_code == 200, path
        assert answer.content, path


async def test_the_root_leads_to_the_page(bench):
    answer = await bench.http.get("/")
    assert (answer.status_code // 100, answer.headers["Location"]) == (3, "/docs")

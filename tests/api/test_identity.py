"""Identity and access through the whole application: tokens of ours and of an issuer, scopes, roles, limits, audit."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from hpcjobs.api.access import OPEN_PATHS
from hpcjobs.errors import SlurmUnavailable, Unavailable
from hpcjobs.identity import Scope
from hpcjobs.identity.policy import EVERY_SCOPE
from hpcjobs.model.account import Account
from hpcjobs.settings import Allowance, IssuerSettings, RateLimits
from tests.api.bench import SCRIPT, UnrulySlurm, on_bench, problem_of, settings_of, shared_app
from tests.unit.builders import until
from tests.unit.oidc import AUDIENCE, ISSUER, JwksServer, jwk, token

CLIMATE = Account("big", "climate", "the weather", "earth", frozenset({"carol", "dave"}), frozenset({"dave"}))
VISION = Account("big", "vision", members=frozenset({"alice", "bob"}))


@pytest.fixture
async def projects(bench):
    """Carol of climate, which dave manages, and alice of vision."""
    bench.slurm.known_accounts = (CLIMATE, VISION)
    await bench.service.learn_accounts("big", time.time())
    for user, account in (("alice", "vision"), ("carol", "climate"), ("dave", "climate"), ("bob", "vision")):
        await bench.submitted(user, account=account)
    return bench


async def listed(bench, caller: str, **params: object) -> list[int]:
    answer = await bench.call("GET", "/v1/jobs", caller, params=params)
    return sorted(job["slurm_job_id"] for job in answer.json()["items"])


async def test_a_project_manager_sees_the_jobs_of_their_accounts_and_nobody_elses(projects):
    assert await listed(projects, "dave") == [2, 3]
    assert await listed(projects, "dave", user="carol") == [2]
    assert await listed(projects, "dave", account="vision") == []
    assert await listed(projects, "dave", user="alice") == []
    assert await listed(projects, "carol") == [2]
    assert await listed(projects, "ops") == [1, 2, 3, 4]
    assert (await projects.get("/v1/jobs/2", "dave")).status_code == 200
    for path in ("/v1/jobs/1", "/v1/jobs/4"):
        assert (await projects.get(path, "dave")).status_code == 404


async def test_a_project_manager_cancels_in_their_own_name_and_not_beyond(projects, monkeypatch):
    names = []

    async def act(user, order):
        names.append((user, order.target))

    monkeypatch.setattr(projects.slurm, "act", act)
    assert (await projects.call("DELETE", "/v1/jobs/2", "dave")).status_code == 202
    assert (await projects.call("DELETE", "/v1/jobs/1", "dave")).status_code == 404
    assert (await projects.call("DELETE", "/v1/jobs/3", "carol")).status_code == 404
    assert (await projects.call("DELETE", "/v1/jobs/1", "ops")).status_code == 202
    assert names == [("dave", "2"), ("hpcjobs", "1")]


async def test_nothing_is_done_in_the_name_of_a_system_account(projects, monkeypatch):
    roots = Account("big", "climate", coordinators=frozenset({"root"}))
    projects.service.directory.learn("big", [roots], 1.0)
    answer = await projects.call("DELETE", "/v1/jobs/2", "root")
    assert (answer.status_code, problem_of(answer)["detail"]) == (403, "No job runs as 'root': it is a system account.")
    assert projects.slurm._jobs[2].record.raw_state == "RUNNING"


async def test_a_manager_of_an_account_on_one_cluster_is_nobody_on_another(projects):
    elsewhere = Account("small", "vision", coordinators=frozenset({"dave"}))
    projects.service.directory.learn("small", [elsewhere], 1.0)
    assert await listed(projects, "dave") == [2, 3]


async def test_who_is_no_longer_a_coordinator_sees_no_more_from_the_next_answer_on(projects):
    projects.slurm.known_accounts = (VISION,)
    assert await listed(projects, "dave") == [2, 3]
    await projects.service.learn_accounts("big", time.time())
    assert await listed(projects, "dave") == [3]


async def test_while_the_accounting_is_away_its_last_answer_stays_true_and_that_is_told_once(
    projects, monkeypatch, caplog
):
    async def away():
        raise SlurmUnavailable("slurmdbd is away.")

    monkeypatch.setattr(projects.slurm, "accounts", away)
    for _ in range(3):
        await projects.service.learn_accounts("big", time.time())
    assert await listed(projects, "dave") == [2, 3]
    assert sum("slurmdbd is away" in said for said in caplog.messages) == 1
    assert (await projects.http.get("/readyz")).status_code == 200


async def test_projects_are_ones_own_and_for_operators_all(projects):
    async def told(user: str) -> list[tuple]:
        answer = (await projects.get("/v1/projects", user)).json()
        assert set(answer["observed_at"]) == {"big"}
        return [(one["name"], one["role"], one["managers"], one["members"]) for one in answer["items"]]

    assert await told("dave") == [("climate", "manager", ["dave"], ["carol", "dave"])]
    assert await told("carol") == [("climate", "member", ["dave"], None)]
    assert await told("stranger") == []
    assert await told("ops") == [
        ("climate", None, ["dave"], ["carol", "dave"]),
        ("vision", None, [], ["alice", "bob"]),
    ]


async def test_one_is_told_who_one_is(projects):
    me = (await projects.get("/v1/me", "dave")).json()
    assert (me["user"], me["role"], me["issuer"]) == ("dave", "user", "hpcjobs")
    assert me["projects"] == [{"cluster": "big", "project": "climate", "role": "manager"}]
    assert set(me["scopes"]) == EVERY_SCOPE - {Scope.ADMIN, Scope.SAMPLES_WRITE}
    assert me["limits"]["submissions"] == {"per_s": 50.0, "burst": 500}
    boss = (await projects.get("/v1/me", "boss")).json()
    assert (boss["role"], set(boss["scopes"])) == ("admin", EVERY_SCOPE)
    assert boss["limits"] == {"requests": None, "submissions": None}
    assert (await projects.call("GET", "/v1/me", scopes=[])).json()["scopes"] == []


NEEDED = {
    ("GET", "/v1/jobs"): "jobs:read",
    ("POST", "/v1/jobs"): "jobs:write",
    ("POST", "/v1/sbatch"): "jobs:write",
    ("POST", "/v1/gangs"): "jobs:write",
    ("GET", "/v1/reports"): "jobs:read",
    ("GET", "/v1/reports/{name}"): "jobs:read",
    ("GET", "/v1/report-schedules"): "events:read",
    ("POST", "/v1/report-schedules"): "events:write",
    ("GET", "/v1/report-schedules/{name}"): "events:read",
    ("DELETE", "/v1/report-schedules/{name}"): "events:write",
    ("POST", "/v1/report-schedules/{name}/run"): "events:write",
    ("GET", "/v1/alerts"): "events:read",
    ("POST", "/v1/alerts"): "events:write",
    ("GET", "/v1/alerts/{name}"): "events:read",
    ("DELETE", "/v1/alerts/{name}"): "events:write",
    ("GET", "/v1/credentials"): "jobs:read",
    ("PUT", "/v1/credentials/{name}"): "jobs:write",
    ("DELETE", "/v1/credentials/{name}"): "jobs:write",
    ("GET", "/v1/plugins"): "clusters:read",
    ("PUT", "/v1/plugins"): "admin",
    ("GET", "/v1/clusters/{cluster}/configuration"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/policies"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/lemons"): "clusters:read",
    ("POST", "/v1/clusters/{cluster}/lemons/{node}/pardon"): "admin",
    ("GET", "/v1/recovery/advice"): "jobs:read",
    ("GET", "/v1/jobs/{job_id}"): "jobs:read",
    ("GET", "/v1/jobs/{job_id}/runs"): "jobs:read",
    ("GET", "/v1/jobs/{job_id}/usage"): "jobs:read",
    ("DELETE", "/v1/jobs/{job_id}"): "jobs:write",
    ("GET", "/v1/jobs/{job_id}/output"): "jobs:read",
    ("GET", "/v1/jobs/{job_id}/detail"): "jobs:read",
    ("PATCH", "/v1/jobs/{job_id}"): "jobs:write",
    ("POST", "/v1/jobs/validate"): "jobs:write",
    ("POST", "/v1/jobs/actions"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/hold"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/release"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/requeue"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/resume"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/signal"): "jobs:write",
    ("POST", "/v1/jobs/{job_id}/suspend"): "jobs:write",
    ("GET", "/v1/clusters"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/nodes"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/partitions"): "clusters:read",
    ("PUT", "/v1/clusters/{cluster}/nodes/{node}/samples"): "samples:write",
    ("GET", "/v1/clusters/{cluster}/gpus"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/accounting"): "jobs:read",
    ("GET", "/v1/clusters/{cluster}/scheduling"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/capabilities"): "clusters:read",
    ("GET", "/v1/clusters/{cluster}/files"): "files:read",
    ("GET", "/v1/clusters/{cluster}/files/checksum"): "files:read",
    ("GET", "/v1/clusters/{cluster}/files/content"): "files:read",
    ("HEAD", "/v1/clusters/{cluster}/files/content"): "files:read",
    ("PUT", "/v1/clusters/{cluster}/files/content"): "files:write",
    ("DELETE", "/v1/clusters/{cluster}/files"): "files:write",
    ("POST", "/v1/clusters/{cluster}/files/mkdir"): "files:write",
    ("POST", "/v1/clusters/{cluster}/files/rename"): "files:write",
    ("POST", "/v1/clusters/{cluster}/files/uploads"): "files:write",
    ("GET", "/v1/clusters/{cluster}/files/uploads/{upload_id}"): "files:write",
    ("HEAD", "/v1/clusters/{cluster}/files/uploads/{upload_id}"): "files:write",
    ("PATCH", "/v1/clusters/{cluster}/files/uploads/{upload_id}"): "files:write",
    ("DELETE", "/v1/clusters/{cluster}/files/uploads/{upload_id}"): "files:write",
    ("GET", "/v1/projects"): "clusters:read",
    ("GET", "/v1/projects/{project}"): "clusters:read",
    ("PUT", "/v1/projects/{project}"): "admin",
    ("DELETE", "/v1/projects/{project}"): "admin",
    ("GET", "/v1/projects/{project}/requests"): "clusters:read",
    ("POST", "/v1/projects/{project}/requests"): "jobs:write",
    ("POST", "/v1/projects/{project}/requests/{request_id}/decision"): "jobs:write",
    ("GET", "/v1/quotas"): "clusters:read",
    ("GET", "/v1/quotas/plan"): "clusters:read",
    ("POST", "/v1/quotas/apply"): "admin",
    ("GET", "/v1/prices"): "clusters:read",
    ("POST", "/v1/prices"): "admin",
    ("POST", "/v1/prices/{price_id}/end"): "admin",
    ("GET", "/v1/invoices"): "jobs:read",
    ("GET", "/v1/invoices/{number}"): "jobs:read",
    ("POST", "/v1/invoices/draft"): "jobs:read",
    ("POST", "/v1/invoices"): "admin",
    ("POST", "/v1/invoices/{number}/correct"): "admin",
    ("GET", "/metrics"): "clusters:read",
    ("GET", "/v1/audit"): "admin",
    ("GET", "/v1/events"): "events:read",
    ("GET", "/v1/webhooks"): "events:read",
    ("POST", "/v1/webhooks"): "events:write",
    ("GET", "/v1/webhooks/{webhook_id}"): "events:read",
    ("PATCH", "/v1/webhooks/{webhook_id}"): "events:write",
    ("DELETE", "/v1/webhooks/{webhook_id}"): "events:write",
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): "events:read",
    ("POST", "/v1/webhooks/{webhook_id}/test"): "events:write",
    ("GET", "/v1/me"): None,
}


async def test_every_route_names_its_scope_in_the_openapi_document_and_holds_callers_to_it(bench):
    document = (await bench.http.get("/docs/openapi.json")).json()
    told = {
        (method.upper(), path): operation.get("security")
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if not OPEN_PATHS.match(path)
    }
    assert told == {route: [{"token": [scope] if scope else []}] for route, scope in NEEDED.items()}
    for (method, path), scope in NEEDED.items():
        others = [one for one in Scope if one != scope]
        ids = {"price_id": 1, "number": "2026-0001"}
        ids |= dict.fromkeys(("upload_id", "webhook_id", "request_id"), "0" * 32)
        where = path.format(name="usage", job_id="1", cluster="big", node="n1", project="vision", **ids)
        told = {"Accept": "application/json"}  # an answer that ends
        answer = await bench.call(method, where, "boss", scopes=others, headers=told)
        if scope is None:
            assert answer.status_code == 200
            continue
        assert answer.status_code == 403, (method, path)
        allowed = await bench.call(method, where, "boss", scopes=[scope], headers=told)
        assert not (allowed.status_code == 403 and "scope-missing" in allowed.text), (method, path)
        if method != "HEAD":  # it has no body to say why
            assert problem_of(answer)["code"] == "scope-missing"
            assert f"the scope {scope};" in answer.json()["detail"]
    assert bench.slurm.calls == 0


def test_every_route_that_needs_a_token_says_for_what():
    """A route without a declaration would be open to any token."""
    for route in shared_app().routes:
        for handler in getattr(route, "route_handlers", []):
            path, methods = route.path, handler.http_methods - {"OPTIONS"}
            if methods and not OPEN_PATHS.match(path):
                assert handler.security is not None, path


async def test_a_role_without_the_scope_is_not_asked_for_another_token(bench):
    for user in ("alice", "ops"):
        answer = await bench.get("/v1/audit", user)
        assert (answer.status_code, problem_of(answer)["code"]) == (403, "not-allowed")


@pytest.fixture
async def strict(place, monkeypatch):
    """A bench that lets two submissions and three other requests through at once, and one an hour after that."""
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    limits = RateLimits(requests=Allowance(1 / 3600, 3), submissions=Allowance(1 / 3600, 2))
    async with on_bench(settings_of(place, rate_limits=limits), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def test_who_asks_too_often_is_told_when_to_come_back(strict):
    answers = [await strict.get("/v1/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    problem = problem_of(answers[-1])
    assert (problem["code"], problem["transient"]) == ("rate-limited", True)
    assert 3500 < problem["retry_after_s"] <= 3600
    assert (answers[-1].headers["RateLimit-Limit"], answers[0].headers["RateLimit-Reset"]) == ("3", "3600")
    assert (await strict.get("/v1/me", "bob")).status_code == 200


async def test_submissions_have_a_limit_of_their_own_and_a_refused_one_did_nothing(strict):
    assert [(await strict.post(str(number))).status_code for number in range(3)] == [201, 201, 429]
    assert strict.slurm.calls == 2
    assert (await strict.get("/v1/me")).status_code == 200


async def test_operators_and_admins_are_not_limited_unless_the_settings_say_so(place, strict):
    for user in ("ops", "boss"):
        answers = [await strict.get("/v1/me", user) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit-Limit" not in answers[0].headers
    limits = RateLimits(requests=Allowance(1 / 3600, 1), exempt_operators=False)
    async with on_bench(settings_of(place, rate_limits=limits), {"big": UnrulySlurm()}) as bench:
        assert [(await bench.get("/v1/me", "boss")).status_code for _ in range(2)] == [200, 429]


async def test_limits_can_be_switched_off(place, bench):
    limits = RateLimits(enabled=False, requests=Allowance(1 / 3600, 1))
    async with on_bench(settings_of(place, rate_limits=limits), {"big": UnrulySlurm()}) as bench:
        assert {(await bench.get("/v1/me")).status_code for _ in range(5)} == {200}
        assert (await bench.get("/v1/me")).json()["limits"] == {"requests": None, "submissions": None}


async def test_a_token_that_does_not_hold_uses_up_nobodys_limit(strict):
    for _ in range(5):
        await strict.http.get("/v1/me", headers={"Authorization": "Bearer x.y.z"})
    assert (await strict.get("/v1/me")).headers["RateLimit-Remaining"] == "2"


async def trail(bench, **params: object) -> list[dict]:
    """The audit log, oldest first, when everything is written that was noted."""
    for _ in range(200):
        if not bench.service.audit._waiting:
            break
        await asyncio.sleep(0.01)
    answer = await bench.call("GET", "/v1/audit", "boss", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"][::-1]


async def test_every_change_and_every_refusal_is_in_the_audit_log_and_no_reading(projects):
    await projects.get("/v1/jobs/1")
    await projects.get("/v1/jobs/99")
    headers = {"X-Request-ID": "ci-run-7", "Content-Type": "application/json"}
    await projects.call("DELETE", "/v1/jobs/2?reason=secret", "dave", headers=headers)
    await projects.call("DELETE", "/v1/jobs/2", "dave", headers=headers)
    await projects.call("DELETE", "/v1/jobs/1", "dave")
    await projects.post(partition="nowhere", script="#!/bin/sh\n# secret\n")
    await projects.call("POST", "/v1/jobs", content=b"{", headers=headers)
    await projects.call("GET", "/v1/jobs", scopes=[])
    await projects.http.get("/v1/jobs", headers={"Authorization": "Bearer secret"})
    await projects.http.post("/v1/nowhere", content=b"secret")
    found = await trail(projects)
    first = found[0]
    assert (first["user"], first["action"], first["status"]) == ("alice", "POST /v1/jobs", 201)
    assert re.fullmatch(r"/v1/jobs/[0-9a-f]{32}", first["target"])
    assert [(one["user"], one["action"], one["target"], one["status"], one["code"]) for one in found[4:]] == [
        ("dave", "DELETE /v1/jobs/{job_id}", "/v1/jobs/2", 400, "unknown-parameter"),
        ("dave", "DELETE /v1/jobs/{job_id}", "/v1/jobs/2", 202, ""),
        ("dave", "DELETE /v1/jobs/{job_id}", "/v1/jobs/1", 404, "job-unknown"),
        ("alice", "POST /v1/jobs", "/v1/jobs", 422, "refused"),
        ("alice", "POST /v1/jobs", "/v1/jobs", 400, "bad-request"),
        ("alice", "GET /v1/jobs", "/v1/jobs", 403, "scope-missing"),
        ("", "GET /v1/jobs", "/v1/jobs", 401, "not-authenticated"),
    ]
    assert found[4]["request_id"] == "ci-run-7"
    assert found[4]["client"] == "127.0.0.1"
    assert (found[4]["role"], found[4]["issuer"], len(found[4]["token"])) == ("user", "hpcjobs", 32)
    assert "secret" not in str(found)
    assert [one["seq"] for one in found] == list(range(1, len(found) + 1))


async def test_a_change_is_answered_when_its_entry_is_on_disk(bench):
    await bench.post()
    assert [one["status"] for one in (await bench.get("/v1/audit", "boss")).json()["items"]] == [201]


async def test_requests_refused_for_their_number_are_counted_and_not_each_written(strict):
    for _ in range(50):
        await strict.get("/v1/me")
    await asyncio.sleep(0)
    found = await trail(strict, status=429)
    assert [(one["user"], one["count"], one["code"]) for one in found] == [("alice", 1, "rate-limited")]
    strict.service.audit.unfold(1e12)
    strict.service.audit._wake.set()
    assert [one["count"] for one in await trail(strict, status=429)] == [1, 46]


async def test_the_audit_log_is_filtered_and_paged(bench):
    for number in range(5):
        await bench.post(user="ab"[number % 2] * 3)
    seen, cursor = [], None
    for _ in range(3):
        page = (await bench.get("/v1/audit", "boss", limit=2, **({"cursor": cursor} if cursor else {}))).json()
        seen += [entry["seq"] for entry in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == ([5, 4, 3, 2, 1], None)
    assert [one["seq"] for one in await trail(bench, user="bbb")] == [2, 4]
    assert [one["seq"] for one in await trail(bench, action="POST /v1/jobs", until=time.time())] == [1, 2, 3, 4, 5]
    assert await trail(bench, since=time.time() + 60) == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=0", "cursor=x", "status=7", "since=soon"])
async def test_a_query_of_the_audit_log_that_does_not_fit_is_400(bench, query):
    answer = await bench.get(f"/v1/audit?{query}", "boss")
    assert answer.status_code == 400
    assert problem_of(answer)["errors"][0]["field"] == query.split("=")[0]


async def test_a_database_that_does_not_take_entries_slows_no_reading_and_stops_changes_before_they_are_made(
    bench, monkeypatch
):
    job = await bench.submitted()

    async def away(*_args, **_more):
        raise Unavailable("The database does not answer.")

    for way in ("write", "write_each"):
        monkeypatch.setattr(bench.service.store, way, away)
    monkeypatch.setattr("hpcjobs.audit.MOST_WAITING", 1)
    monkeypatch.setattr("hpcjobs.audit.ANSWER_WAIT_S", 0.01)
    monkeypatch.setattr("hpcjobs.audit.RETRY_S", 0.01)
    assert (await bench.call("DELETE", "/v1/jobs/77")).status_code == 404
    answer = await bench.call("DELETE", "/v1/jobs/1")
    assert (answer.status_code, problem_of(answer)["code"]) == (503, "unavailable")
    assert bench.slurm._jobs[1].record.raw_state == "RUNNING"
    assert (await bench.get(f"/v1/jobs/{job['id']}")).status_code == 200
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2_3:x/y+z=", True), ("a" * 128, True), ("a" * 129, False), ("", False), ("a b", False), ("a\tb", False),
     ("\xe9", False), ("<script>", False)],
)  # fmt: skip
async def test_an_answer_carries_the_callers_request_id_where_that_is_a_plain_word(bench, given, kept):
    answer = await bench.http.get("/healthz", headers=[(b"x-request-id", given.encode("latin-1"))])
    said = answer.headers["X-Request-ID"]
    assert (said == given) == kept
    assert kept or re.fullmatch(r"[0-9a-f]{32}", said)


async def test_every_answer_has_a_request_id_of_its_own(bench):
    ids = set()
    for path in ("/healthz", "/", "/docs", "/nowhere", "/v1/jobs", "/v1/jobs/7", "/assets/swagger/none"):
        ids.add((await bench.http.get(path)).headers["X-Request-ID"])
        ids.add((await bench.get(path)).headers["X-Request-ID"])
    assert len(ids) == 14


async def test_a_bug_is_logged_with_the_request_id_that_its_caller_has(bench, monkeypatch, caplog):
    def fails(*_):
        raise KeyError("x")

    monkeypatch.setattr("hpcjobs.store.repository.job_by_id", fails)
    answer = await bench.get(f"/v1/jobs/{'0' * 32}")
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in caplog.text


@pytest.fixture
def issuer():
    server = JwksServer(jwk("RS256", "one"), jwk("ES256", "two"), jwk("EdDSA", "three"))
    yield server
    server.close()


@pytest.fixture
async def trusting(place, monkeypatch, issuer):
    """A bench that believes an issuer."""
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    monkeypatch.setattr("hpcjobs.identity.issuers.FLOOR_S", 0.0)
    told = IssuerSettings(ISSUER, AUDIENCE, jwks_url=issuer.url, operator_groups=("hpc-ops",))
    async with on_bench(settings_of(place, issuers=(told,)), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def ask(bench, text: str, method: str = "GET", path: str = "/v1/jobs", **more):
    return await bench.http.request(method, path, headers={"Authorization": f"Bearer {text}"}, **more)


async def test_a_user_of_an_issuer_submits_and_sees_the_same_jobs_as_with_a_token_of_ours(trusting):
    for algorithm, kid in (("RS256", "one"), ("ES256", "two"), ("EdDSA", "three")):
        assert (await ask(trusting, token(algorithm, kid), "POST", json={"script": SCRIPT})).status_code == 201
    assert len((await ask(trusting, token())).json()["items"]) == 3
    assert await listed(trusting, "alice") == [1, 2, 3]
    assert (await ask(trusting, token(preferred_username="bob"))).json()["items"] == []
    assert len((await ask(trusting, token(preferred_username="bob", groups=["hpc-ops"]))).json()["items"]) == 3
    assert {one["issuer"] for one in await trail(trusting)} == {ISSUER}


async def test_keys_change_without_a_restart(trusting, issuer):
    assert (await ask(trusting, token())).status_code == 200
    issuer.keys = [jwk("RS256", "next", 1)]
    assert (await ask(trusting, token(kid="next", number=1))).status_code == 200
    gone = await ask(trusting, token())
    assert (gone.status_code, "has no key 'one'" in problem_of(gone)["detail"]) == (401, True)


async def test_a_token_of_an_issuer_is_narrowed_by_its_scopes(trusting):
    answer = await ask(trusting, token(scope="openid jobs:read"), "POST", json={"script": SCRIPT})
    assert (answer.status_code, problem_of(answer)["code"]) == (403, "scope-missing")
    assert trusting.slurm.calls == 0


@pytest.mark.parametrize("change", [{"aud": "x"}, {"iss": "x"}, {"exp": 1}, {"exp": None}, {"nbf": 4e9}, {"iat": 4e9}])
async def test_a_token_of_an_issuer_that_does_not_hold_is_401(trusting, change):
    answer = await ask(trusting, token(**change))
    assert (answer.status_code, problem_of(answer)["code"]) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="hpcjobs"'


async def test_while_an_issuer_has_never_answered_its_tokens_are_503_and_ours_hold(trusting, issuer):
    issuer.status = 500
    answer = await ask(trusting, token())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "keys of issuer" in problem_of(answer)["detail"]
    assert (await trusting.get("/v1/jobs")).status_code == 200
    issuer.status = 200
    assert (await ask(trusting, token())).status_code == 200


async def test_a_slow_issuer_holds_nobody_else_up(trusting, issuer):
    issuer.hold.clear()
    waiting = asyncio.create_task(ask(trusting, token()))
    await asyncio.to_thread(until, lambda: issuer.asked)
    assert (await trusting.get("/v1/jobs")).status_code == 200
    assert not waiting.done()
    issuer.hold.set()
    assert (await waiting).status_code == 200


async def test_script_arguments_and_environment_are_the_owners_and_operators_alone(bench):
    secret = {"environment": {"KEY": "secret"}, "args": ["secret"], "script": f"{SCRIPT}# secret\n"}
    await bench.submitted("alice", account="physics", **secret)
    bench.service.directory.learn("big", [Account("big", "physics", coordinators=frozenset({"lead"}))], 1.0)
    for user, told in [("alice", True), ("ops", True), ("boss", True), ("lead", False)]:
        answer = await bench.get("/v1/jobs/1/detail", user)
        assert answer.status_code == 200
        assert ("secret" in answer.text) is told, user
        assert answer.json()["spec"]["account"] == "physics"


async def test_a_token_in_the_name_of_the_services_own_user_is_good_for_nothing(bench):
    assert (await bench.post(user="hpcjobs")).status_code in (401, 403)
    assert bench.slurm.calls == 0

"""The examples of docs/CLIENT.md run as they stand, and every route of the API has a method."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import re
from pathlib import Path

import httpx
import pytest

from hpcjobs.client import ApiProblem, AsyncClient
from hpcjobs.model.action import JobSet
from hpcjobs.model.alert import AlertKind, AlertRequest
from hpcjobs.model.credential import RegistryCredentialRequest
from hpcjobs.model.order import Verb
from hpcjobs.model.plugin import PluginSet
from hpcjobs.model.price import PriceAsked
from hpcjobs.model.sample import NodeSamples
from hpcjobs.model.schedule import ReportScheduleRequest
from hpcjobs.model.tenant import Decision, Quota, QuotaAsked, Tenant
from hpcjobs.sbatch.called import Call
from hpcjobs.settings import ClusterSettings
from tests.api.bench import UnrulySlurm, settings_of, shared_app
from tests.api.served import served
from tests.unit.clients import listed

PAGE = (Path(__file__).parents[2] / "docs" / "CLIENT.md").read_text()
BLOCKS = re.findall(r"^```python (sync|async)\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.parametrize(("kind", "code"), BLOCKS, ids=range(len(BLOCKS)))
async def test_the_examples_run(place, monkeypatch, kind, code):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    settings = settings_of(place, clusters=(ClusterSettings("big", observe_s=0.05),))
    async with served(settings, {"big": UnrulySlurm()}) as bench:
        token = bench.headers("alice")["Authorization"].removeprefix("Bearer ")
        names = {"url": bench.url, "token": token}
        run = compile(code, "docs/CLIENT.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        async with asyncio.timeout(30):
            if kind == "sync":
                await asyncio.to_thread(eval, run, names)
            else:
                done = eval(run, names)
                if inspect.isawaitable(done):
                    await done


def test_there_are_examples_of_both():
    assert {kind for kind, _ in BLOCKS} == {"sync", "async"}


async def test_every_route_of_the_api_has_a_method(bench, tmp_path):
    asked: set[tuple[str, str]] = set()
    inner = httpx.ASGITransport(shared_app())

    class Noting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.add((request.method, request.url.path))
            if request.url.path == "/v1/events" and "json" not in request.headers["Accept"]:
                raise httpx.ConnectError("a stream that does not end is not for this transport")
            return await inner.handle_async_request(request)

    (tmp_path / "a").write_bytes(b"x")
    token = bench.headers("alice")["Authorization"].removeprefix("Bearer ")
    async with AsyncClient("http://big", token, transport=Noting(), retry_for_s=0.0) as client:
        files, hooks, hook = client.files("big"), client.webhooks, "0" * 32
        for call in (
            client.submit(script="#!/bin/sh\n"), client.validate(script="x"), client.job(1), client.detail(1),
            client.job_usage(1), client.job_runs(1), client.advise(1),
            listed(client.jobs(1)), client.update(1, nice=1), client.hold(1), client.release(1), client.suspend(1),
            client.resume(1), client.requeue(1), client.signal(1, "TERM"), client.act(Verb.HOLD, JobSet(name="x")),
            client.cancel(1), client.output(1), client.events_page(), client.clusters(), client.nodes("big"),
            client.partitions("big"), client.gpus("big"), client.scheduling("big"),
            client.send_samples("big", "n1", NodeSamples(())),
            client.capabilities("big"), client.me(), client.projects(), listed(client.audit()), client.health(),
            client.ready(), client.accounting("big"), client.plugins(), client.change_plugins(PluginSet(())),
            client.configuration("big"), client.policies("big"), client.lemons("big"),
            client.pardon_node("big", "n1", "x"), client.sbatch(Call(("--wrap", "x"), {}, "/", 0.0)),
            client.submit_gang([]), client.reports(), client.report(),
            client.alerts(), client.make_alert(AlertRequest("x", AlertKind.IDLE, ("https://x",))), client.alert("x"),
            client.remove_alert("x"), client.report_schedules(),
            client.credentials(), client.keep_credential("x", RegistryCredentialRequest("ghcr.io", "a", "b")),
            client.remove_credential("x"),
            client.make_report_schedule(ReportScheduleRequest("x", "0 7 * * *", ("https://x",))),
            client.report_schedule("x"), client.remove_report_schedule("x"), client.run_report_schedule("x"),
            client.quotas(), client.quota("v"), client.declare_project("v", Tenant()),
            client.withdraw_project("v"), client.quota_requests("v"), client.request_quota("v", QuotaAsked(Quota())),
            client.decide_quota("v", "0" * 32, Decision(approve=False)), client.quota_plan(), client.apply_quotas(),
            client.prices(), client.add_price(PriceAsked("cpu", "1", "2026-01-01")), client.end_price(1, "2026-01-01"),
            client.invoices(), client.invoice("2026-0001"), client.draft_invoice("v", "2026-01"),
            client.issue_invoice("v", "2026-01"), client.correct_invoice("2026-0001"),
            files.stat("/a"), files.mkdir("/a"), files.remove("/a"), files.rename("/a", "/b"),
            files.checksum("/a"), files.read("/a"), files.write("/a", b""), files.begin_upload("/a", 1),
            files.upload_status("x"), files.abort_upload("x"), hooks.make("https://x"), listed(hooks.every()),
            hooks.show(hook), hooks.deliveries(hook), hooks.pause(hook), hooks.remove(hook), hooks.test(hook),
        ):  # fmt: skip
            with contextlib.suppress(ApiProblem):
                await call
    document = shared_app().openapi_schema.to_schema()
    missing = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in set(methods) & {"get", "put", "post", "patch", "delete"}
        if not any(
            method.upper() == said and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), where) for said, where in asked
        )
    }
    assert missing == {
        ("PATCH", "/v1/clusters/{cluster}/files/uploads/{upload_id}"),  # what upload() sends: test_client_files
        ("GET", "/metrics"),  # what Prometheus asks
    }

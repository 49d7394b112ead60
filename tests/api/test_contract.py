"""Every route against the OpenAPI document: no 5xx, and no answer that it does not describe (schemathesis)."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil

import httpx
import hypothesis
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, Bench, UnrulySlurm, caller, problem_of, settings_of, shared_app
from tests.conftest import examples

pytestmark = pytest.mark.thorough

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = msgspec.json.decode(msgspec.json.encode(shared_app().openapi_schema.to_schema()))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {operation.ok().label: operation.ok() for operation in SCHEMA.get_all_operations()}
USER = "nobody"
FEW = settings(
    max_examples=examples(8), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(empty_database, tmp_path_factory, spawner, folder):
    """A bench with jobs, a webhook and files, and the loop it lives in."""
    place, home = tmp_path_factory.mktemp("contract"), folder / "contract"
    shutil.copy(empty_database, place / "jobs.db")
    home.mkdir()
    who = pwd.getpwnam(USER)
    (home / "file").write_bytes(b"text")
    for path in (home, home / "file"):
        os.chown(path, who.pw_uid, who.pw_gid)
    clusters = (ClusterSettings("big", observe_s=NEVER, file_roots=(str(home),)),)
    told = settings_of(place, spawner_socket=str(folder / "spawner.sock"), clusters=clusters, admins=(USER,))
    with asyncio.Runner() as runner:
        service = Service(told, {"big": UnrulySlurm()})
        runner.run(service.start())
        shared_app().state.service = service
        bench = Bench(service, caller(shared_app()))
        runner.run(bench.tick())
        runner.run(bench.submitted(USER))
        hook = {"url": "https://hooks.example.invalid/", "filters": {"kinds": ["webhook.test"]}}
        made = runner.run(bench.call("POST", "/v1/webhooks", USER, json=hook)).json()["webhook"]
        yield runner, bench, {"job_id": "1", "name": "big", "webhook_id": made["id"], "path": str(home / "file")}
        runner.run(bench.http.aclose())
        runner.run(service.stop())
    shutil.rmtree(home)


async def ask(bench: Bench, case: schemathesis.Case) -> httpx.Response:
    told = case.as_transport_kwargs(base_url="http://big")
    query = dict(told.get("params") or {})
    if case.path == "/v1/events":
        query["wait_s"] = 0
    said = (told.get("headers") or {}).items()
    # As bytes: the client would not send a text that is not ASCII.
    headers = {name: str(value).encode() for name, value in said if name.lower() != "user-agent"}
    body = {"json": told["json"]} if "json" in told else {"content": told["data"]} if told.get("data") else {}
    return await bench.call(
        told["method"],
        told["url"],
        USER,
        params=query,
        headers=headers | {"Accept": "application/json"},
        **body,
    )


def code_of(answer: httpx.Response) -> str:
    return problem_of(answer)["code"]


@pytest.mark.parametrize("label", sorted(OPERATIONS))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_route_answers_as_the_document_says(fuzzed, label, mode):
    runner, bench, there = fuzzed
    shared_app().state.service = bench.service
    operation = OPERATIONS[label]
    names = {parameter.name for parameter in operation.path_parameters}
    real = {name: there[name] for name in names if name in there}
    strategies = [operation.as_strategy(mode)]
    if real:
        strategies.append(operation.as_strategy(GenerationMode.POSITIVE, path_parameters=real))

    @FEW
    @given(case=st.one_of(strategies))
    def check(case):
        answer = runner.run(ask(bench, case))
        assert answer.status_code < 500 or code_of(answer) == "not-supported", (case.as_curl_command(), answer.text)
        case.validate_response(answer, checks=CHECKS)

    check()

"""The secret of a credential is in no answer, log, audit row or file of the database, whatever is sent with it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect

from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings, ContainerSettings, PluginSettings, RateLimits
from tests.api.bench import NEVER, SCRIPT, Bench, UnrulySlurm, caller, settings_of, shared_app
from tests.conftest import examples

FEW = settings(
    max_examples=examples(40), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map("s3cret-".__add__)
GOOD = {"registry": "ghcr.io", "user": "alice"}


class Heard(logging.Handler):
    """Everything that anybody logs, with its faults."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.args!r}")


@pytest.fixture(scope="module")
def fuzzed(empty_database, tmp_path_factory):
    """A bench, the loop it lives in, its folder, and what is logged: hypothesis' tests are plain functions."""
    place = tmp_path_factory.mktemp("secrets")
    shutil.copy(empty_database, place / "jobs.db")
    heard, root = Heard(), logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    site = ContainerSettings(runtimes=("apptainer",), ask=False)
    cluster = ClusterSettings("big", observe_s=NEVER, containers=site, file_roots=())
    told = settings_of(
        place, clusters=(cluster,), plugins=(PluginSettings("apptainer"),), rate_limits=RateLimits(enabled=False)
    )
    try:
        with asyncio.Runner() as runner:
            service = Service(told, {"big": UnrulySlurm()})
            runner.run(service.start())
            bench = Bench(service, caller(shared_app()))
            runner.run(bench.tick())
            yield runner, bench, place, heard
            runner.run(bench.http.aclose())
            runner.run(service.stop())
    finally:
        root.removeHandler(heard)
        root.setLevel(level)


def bodies(secret: str) -> list[bytes]:
    """The secret in requests that are right, and in such as are wrong in every way that somebody could take up."""
    good = GOOD | {"secret": secret}
    told = [
        good, good | {"more": 1}, good | {"secret": [secret]}, good | {"secret": {secret: secret}},
        good | {"secret": secret * 2000}, good | {"secret": f"{secret}\0"}, good | {"user": "a:b"},
        good | {"user": "a\nb"}, good | {"registry": "https://ghcr.io"}, good | {"registry": ""},
        good | {"registry": f"https://a:{secret}@ghcr.io"}, good | {"user": f"{secret}:{secret}"}, {"secret": secret},
        [good], secret,
    ]  # fmt: skip
    whole = [json.dumps(one).encode() for one in told]
    raw = json.dumps(good, ensure_ascii=False).encode()
    return [*whole, raw[:-3], raw + b"}", raw.replace(b"ghcr", b"\xff"), secret.encode()]


async def sent(bench: Bench, secret: str) -> list[str]:
    """Answers to all of them, and to whatever else is asked then."""
    path, kind = "/v1/credentials/hub", {"Content-Type": "application/json"}
    answers = [await bench.call("PUT", path, content=body, headers=kind) for body in bodies(secret)]
    good = GOOD | {"secret": secret}
    answers += [
        await bench.call("PUT", path, json=good, scopes=[]),
        await bench.call("PUT", "/v1/credentials/a%20b", json=good),
        await bench.call("PUT", "/v1/credentials/a%0A", json=good),
        await bench.call("POST", "/v1/credentials", json=good),
        await bench.call("PUT", path, content=json.dumps(good), headers={"Content-Type": "text/plain"}),
        await bench.http.put(path, json=good),
        await bench.call("PUT", path, json=good),
    ]
    assert answers[-1].status_code == (422 if "\0" in secret else 200)
    for image in ("ghcr.io/a/b:1", "registry:5000/a/b:1", "/a.sif"):
        container = {"image": image, "credential": "hub"}
        for route in ("/v1/jobs", "/v1/jobs/validate"):
            answers.append(await bench.call("POST", route, json={"script": SCRIPT, "container": container}))
    answers += [
        await bench.get("/v1/credentials"), await bench.get("/v1/audit", "boss"), await bench.get("/v1/jobs"),
        await bench.call("GET", "/v1/events", headers={"Accept": "application/json"}), await bench.get("/v1/me"),
    ]  # fmt: skip
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    return [f"{answer.text} {answer.headers!r}" for answer in answers]


def ways(secret: str) -> list[str]:
    """How it could be written down."""
    said = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1], secret]
    coded = [base64.b64encode(text.encode()).decode() for text in (secret, f"alice:{secret}")]
    return [*said, *(text.rstrip("=")[:-1] for text in coded)]


@FEW
@given(secret=SECRETS)
def test_it_is_told_to_nobody(fuzzed, secret):
    runner, bench, _, heard = fuzzed
    shared_app().state.service = bench.service
    heard.lines.clear()
    told = runner.run(sent(bench, secret))
    for way in ways(secret):
        assert not [text for text in (*told, *heard.lines) if way in text]
    assert heard.lines, "nothing was listened to"


def rows(connection) -> str:
    """Everything that the database has, as it is read."""
    tables = inspect(connection).get_table_names()
    return "\n".join(f"{row}" for table in tables for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"'))


def test_it_is_in_no_row_and_no_byte_of_the_database(fuzzed):
    runner, bench, place, _ = fuzzed
    shared_app().state.service = bench.service
    runner.run(sent(bench, "s3cret-zzz"))
    told = runner.run(bench.service.store.read(rows))
    assert "/v1/credentials/hub" in told
    assert "ghcr.io" in told
    files = [path for path in place.rglob("*") if path.is_file()]
    assert {"jobs.db", "jobs.db-wal"} <= {path.name for path in files}
    data = [path.read_bytes() for path in files]
    assert any(b"/v1/credentials/hub" in one for one in data)
    for way in ("s3cret-", "czNjcmV0LX", "YWxpY2U6czNjcmV0"):
        assert way not in told
        assert not [path for path, one in zip(files, data, strict=True) if way.encode() in one]

"""Whatever is sent, the service answers with a document it has described, and never falls over."""

from __future__ import annotations

import asyncio
import shutil
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.service import Service
from tests.api.bench import Bench, UnrulySlurm, caller, problem_of, settings_of, shared_app
from tests.conftest import examples

FEW = settings(
    max_examples=examples(60), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def fuzzed(empty_database, tmp_path_factory):
    """A bench and the loop it lives in: hypothesis' tests are plain functions."""
    place = tmp_path_factory.mktemp("fuzz")
    shutil.copy(empty_database, place / "jobs.db")
    with asyncio.Runner() as runner:
        service = Service(settings_of(place), {"big": UnrulySlurm()})
        runner.run(service.start())
        bench = Bench(service, caller(shared_app()))
        runner.run(bench.tick())
        yield runner, bench
        runner.run(bench.http.aclose())
        runner.run(service.stop())


def answered(fuzzed, method: str, path: str, **more) -> None:
    runner, bench = fuzzed
    shared_app().state.service = bench.service
    answer = runner.run(bench.call(method, path, **more))
    assert answer.status_code < 500 or answer.status_code == 503, (method, path, more, answer.text)
    if answer.status_code >= 400:
        problem_of(answer)
    elif method == "POST":
        runner.run(bench.tick())
        assert bench.observer.trouble is None
        assert runner.run(bench.get(answer.headers["Location"])).status_code == 200


TEXT = st.text(max_size=20)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=8,
)
NAMES = [name for name in JobSpec.__struct_fields__ if name != "resources"] + ["cluster"]
AMOUNTS = st.none() | st.integers(-2, 4) | st.integers() | TEXT | st.sampled_from(["a100:1", "2", "h100:9", "a100:"])
NEARLY = st.fixed_dictionaries(
    {"script": st.sampled_from(["#!/bin/sh\n", "#!/bin/sh\n#SBATCH -N 1 --gpus=a100:1\nsleep 1"]) | TEXT},
    optional={
        **{name: TEXT | ANY for name in NAMES if name != "script"},
        "args": st.lists(TEXT, max_size=3),
        "environment": st.dictionaries(st.sampled_from(["A", "PATH"]) | TEXT, TEXT, max_size=2),
        "resources": st.fixed_dictionaries({}, optional=dict.fromkeys(Resources.__struct_fields__, AMOUNTS)),
    },
)
LIKELY = st.fixed_dictionaries(
    {"script": st.text(max_size=60).map(lambda text: f"#!/bin/sh\n#SBATCH {text}\n")},
    optional=dict.fromkeys(("name", "comment", "account", "qos", "partition", "dependency", "stdout"), TEXT),
)


@FEW
@given(body=ANY | NEARLY | LIKELY)
def test_any_json_is_a_job_or_a_problem_document(fuzzed, body):
    content = msgspec.json.encode(body)
    answered(fuzzed, "POST", "/v1/jobs", content=content, headers={"Content-Type": "application/json"})


@FEW
@given(content=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain", ""]))
def test_any_bytes_are_a_problem_document(fuzzed, content, kind):
    answered(fuzzed, "POST", "/v1/jobs", content=content, headers={"Content-Type": kind})


QUERY = st.lists(
    st.tuples(
        st.sampled_from(["user", "cluster", "state", "fate", "account", "partition", "name", "cursor", "limit",
                         "offset", "max_age_s", "follow", "stream", "after", "kind", "job_id"]),
        st.sampled_from(["", "1", "-1", "nan", "inf", "1e999", "RUNNING", "COMPLETED", "big", "alice", "0" * 32])
        | st.integers().map(str) | TEXT,
    ),
    max_size=4,
)  # fmt: skip


@FEW
@given(
    path=st.sampled_from(
        ["/v1/jobs", "/v1/jobs/1", f"/v1/jobs/{'0' * 32}", "/v1/clusters/big/nodes", "/v1/clusters", "/v1/events"]
    ),
    query=QUERY,
)
def test_any_query_is_answered_or_a_problem_document(fuzzed, path, query):
    text = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query)
    answered(fuzzed, "GET", f"{path}?{text}", headers={"Accept": "application/json"})


@FEW
@given(raw=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=30))
def test_any_name_of_a_job_is_answered_or_a_problem_document(fuzzed, raw):
    answered(fuzzed, "GET", f"/v1/jobs/{quote(raw, safe='')}")

"""Bad input gets a problem document that says what was wrong, on both clusters."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.slurm.conftest import Stack

HELLO = "#!/bin/bash\necho hello\n"


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"urn:hpcjobs:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return dict(document)


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("", "script-empty", "empty"),
        (" \n\t\n", "script-empty", "empty"),
        ("echo hello\n", "script-no-interpreter", "must start with #!"),
        ("#!/bin/bash\r\necho hello\r\n", "script-dos-line-breaks", "DOS line breaks"),
        ("#!/bin/bash\n\0", "script-nul", "NUL"),
        ("#!/bin/bash\n#SBATCH --no-such-option\n", "bad-directive", "line 2"),
        ("#!/bin/bash\n" + "#" * 5_000_000, "script-too-large", "larger than"),
    ],
)
def test_a_bad_script_is_refused_and_nothing_is_sent(
    stack: Stack, name: str, script: str, code: str, words: str
) -> None:
    with stack.api() as api:
        document = problem(api.post("/v1/jobs", json={"script": script, "name": name}), 422, "refused")
        assert api.get("/v1/jobs", params={"name": name}).json()["items"] == []
    (fault,) = document["errors"]
    assert (fault["field"], fault["code"]) == ("script", code)
    assert words in fault["detail"]


def test_an_unknown_partition_is_named_beside_those_that_exist(stack: Stack, name: str) -> None:
    with stack.api() as api:
        response = api.post("/v1/jobs", json={"script": HELLO, "partition": "gpuu", "name": name})
        document = problem(response, 422, "refused")
        (kept,) = api.get("/v1/jobs", params={"name": name}).json()["items"]
    (fault,) = document["errors"]
    assert (fault["field"], fault["code"]) == ("partition", "ESLURM_INVALID_PARTITION_NAME")
    assert "There is no partition 'gpuu'; there are debug, gpu." in fault["detail"]
    assert kept["id"] in document["kept"]
    assert (kept["state"], kept["fate"], kept["slurm_job_id"]) == ("FINISHED", "REFUSED", None)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpus_per_node": 9}, "the largest node has 8"),
        ({"nodes": 1, "gpus_per_node": "a100:9"}, "the largest node has 8"),
        ({"nodes": 500}, "500 nodes were asked for"),
        ({"gpus_per_node": "b200:1"}, "in cluster"),
    ],
)
def test_more_than_exists_is_refused_with_what_there_is(stack: Stack, resources: dict[str, Any], words: str) -> None:
    with stack.api() as api:
        document = problem(api.post("/v1/jobs", json={"script": HELLO, "resources": resources}), 422, "refused")
    assert words in document["detail"], document


def test_a_refusal_is_said_again_under_the_same_key(stack: Stack, name: str) -> None:
    """Also where Slurm keeps a record of the job that it refused."""
    request = {"script": HELLO, "name": name, "resources": {"gpus": "a100:99"}}
    with stack.api() as api:
        answers = []
        for _ in range(3):
            answers.append(api.post("/v1/jobs", json=request, headers={"Idempotency-Key": name}))
            time.sleep(1.5)  # a listing or two
        (kept,) = api.get("/v1/jobs", params={"name": name}).json()["items"]
    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert {answer.json()["detail"] for answer in answers} == {answers[0].json()["detail"]}
    assert kept["fate"] == "REFUSED"


def test_a_job_name_that_is_no_utf8_hides_no_other_job(stack: Stack, name: str) -> None:
    number = stack.as_user("bob", f"sbatch --parsable --hold -J $'{name}\\xff\\xfe' --wrap true").strip()
    try:
        job = stack.submit(HELLO, name=name)
        assert stack.finished(job["id"])["fate"] == "COMPLETED"
        with stack.api("bob") as api:
            names = [entry["name"] for entry in api.get("/v1/jobs", params={"limit": 5}).json()["items"]]
        assert any("\N{REPLACEMENT CHARACTER}" in entry for entry in names)
    finally:
        stack.run("slurmctld", f"scontrol update job={number} jobname={name}; scancel {number}")


def test_all_faults_of_a_request_come_in_one_answer(stack: Stack) -> None:
    request = {
        "script": "echo\r\n",
        "workdir": "relative",
        "environment": {"BAD=NAME": "x"},
        "resources": {"nodes": 0, "gpus": "8:8"},
    }
    with stack.api() as api:
        document = problem(api.post("/v1/jobs", json=request), 422, "refused")
    fields = {fault["field"] for fault in document["errors"]}
    assert fields == {"script", "workdir", "environment", "resources.nodes", "resources.gpus"}


def test_another_users_job_cannot_be_seen_read_or_cancelled(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\necho secret; sleep 120\n", user="alice")
    stack.running(job["id"])
    with stack.api("bob") as bob:
        for job_id in (job["id"], str(job["slurm_job_id"])):
            problem(bob.get(f"/v1/jobs/{job_id}"), 404, "job-unknown")
            problem(bob.get(f"/v1/jobs/{job_id}/output"), 404, "job-unknown")
            problem(bob.get(f"/v1/jobs/{job_id}/output", params={"follow": True}), 404, "job-unknown")
            problem(bob.delete(f"/v1/jobs/{job_id}"), 404, "job-unknown")
        assert job["id"] not in [entry["id"] for entry in bob.get("/v1/jobs").json()["items"]]
        assert bob.get("/v1/jobs", params={"user": "alice"}).json()["items"] == []
    assert stack.job(job["id"])["state"] == "RUNNING"
    with stack.api() as api:
        api.delete(f"/v1/jobs/{job['id']}")


def test_output_is_read_with_the_owners_rights_only(stack: Stack, name: str) -> None:
    """A job may name any file as its stdout; the kernel says whether its owner may read it."""
    job = stack.submit(HELLO, user="alice", stdout=f"/home/alice/{name}.out")
    stack.finished(job["id"])
    stack.run("login", f"chown root /home/alice/{name}.out && chmod 600 /home/alice/{name}.out")
    with stack.api() as api:
        problem(api.get(f"/v1/jobs/{job['id']}/output"), 403, "not-allowed")
        stack.run("login", f"rm /home/alice/{name}.out && ln -s /etc/passwd /home/alice/{name}.out")
        problem(api.get(f"/v1/jobs/{job['id']}/output"), 403, "path-outside")
        stack.run("login", f"rm /home/alice/{name}.out && mkfifo /home/alice/{name}.out")
        problem(api.get(f"/v1/jobs/{job['id']}/output"), 404, "output-missing")
        stack.run("login", f"rm /home/alice/{name}.out")
        problem(api.get(f"/v1/jobs/{job['id']}/output"), 404, "output-missing")


@pytest.mark.parametrize(
    "job_id", ["999999999", "0" * 32, "f" * 32, "0", "-1", "abc", "1.5", "1e3", "%00", "..%2f..", "漢"]
)
def test_an_unknown_id_is_a_404(stack: Stack, job_id: str) -> None:
    with stack.api() as api:
        for response in (
            api.get(f"/v1/jobs/{job_id}"),
            api.get(f"/v1/jobs/{job_id}/output"),
            api.delete(f"/v1/jobs/{job_id}"),
        ):
            assert response.status_code == 404, response.text
            assert response.json()["code"] in ("job-unknown", "not-found")


def test_an_unknown_cluster_is_a_404_that_names_those_that_exist(stack: Stack) -> None:
    with stack.api() as api:
        assert stack.cluster in problem(api.get("/v1/clusters/mars/nodes"), 404, "cluster-unknown")["detail"]
        problem(api.post("/v1/jobs", json={"script": HELLO, "cluster": "mars"}), 404, "cluster-unknown")
        problem(api.get("/v1/jobs", params={"cluster": "mars"}), 404, "cluster-unknown")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b'{"name": "x"}', "script"),
        (b'{"script": 3}', "script"),
        (b'{"script": "#!/bin/sh", "nonsense": 1}', "nonsense"),
        (b'{"script": "#!/bin/sh", "resources": {"nodes": "four"}}', "nodes"),
        (b'{"script": "#!/bin/sh", "resources": {"nodes": 1e99}}', "nodes"),
        (b'{"script": "\\ud800"}', ""),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_a_body_that_does_not_fit_is_a_400(stack: Stack, body: bytes, field: str) -> None:
    with stack.api() as api:
        response = api.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert field in problem(response, 400, "bad-request")["detail"]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": "x"}, {"limit": 10**9}, {"state": "NONSENSE"}, {"max_age_s": -1}, {"max_age_s": "nan"}],
)
def test_a_bad_query_is_a_400(stack: Stack, query: dict[str, Any]) -> None:
    with stack.api() as api:
        problem(api.get("/v1/jobs", params=query), 400, "bad-request")


@pytest.mark.parametrize("query", [{"name": "\0"}, {"account": "\0"}, {"account": "x" * 300}, {"partition": "'--"}])
def test_a_filter_that_matches_nothing_or_cannot_be_asked_is_no_fault_of_the_service(
    stack: Stack, query: dict[str, Any]
) -> None:
    with stack.api() as api:
        response = api.get("/v1/jobs", params=query)
    assert response.status_code in (200, 422), response.text
    assert response.status_code == 422 or response.json()["items"] == []


def test_a_forged_cursor_is_refused(stack: Stack) -> None:
    with stack.api() as api:
        problem(api.get("/v1/jobs", params={"cursor": "' OR 1=1 --"}), 422, "refused")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x.y.z", "Basic YWxpY2U6eA==", "Bearer " + "a" * 9000])
def test_without_a_token_that_holds_nothing_is_told(stack: Stack, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    with httpx.Client(base_url=stack.url) as api:
        for method, path in [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", f"/v1/clusters/{stack.cluster}/nodes")]:
            response = api.request(method, path, headers=headers)
            problem(response, 401, "not-authenticated")
            assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("user", ["root", "slurm", "daemon", "mallory"])
def test_nobody_becomes_root_slurm_a_daemon_or_a_stranger(stack: Stack, name: str, user: str) -> None:
    with stack.api(user) as api:
        response = api.post("/v1/jobs", json={"script": HELLO, "name": name})
    assert response.status_code in (403, 422), response.text
    assert stack.slurm_jobs_named(name) == []


def test_a_problem_for_a_path_that_does_not_exist_is_a_problem_document_too(stack: Stack) -> None:
    with stack.api() as api:
        problem(api.get("/v1/nonsense"), 404, "not-found")
        problem(api.put("/v1/jobs"), 405, "method-not-allowed")

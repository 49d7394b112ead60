"""Project managers, operators and admins on real clusters: dave coordinates climate, and what is below it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.slurm.conftest import Stack
from tests.unit.builders import until

SLEEP = "#!/bin/bash\nsleep 300\n"


def projects(stack: Stack, user: str) -> dict[str, dict[str, object]]:
    with stack.api(user) as api:
        answer = api.get("/v1/projects")
    assert answer.status_code == 200, answer.text
    return {project["name"]: project for project in answer.json()["items"]}


@pytest.fixture
def known(stack: Stack) -> Stack:
    """The service has heard from Slurm's accounting: at the latest a minute after its start."""
    give_up = time.monotonic() + 240
    while not projects(stack, "dave"):
        assert time.monotonic() < give_up, "the service does not learn of accounts"
        time.sleep(1)
    return stack


def test_accounts_are_projects_and_coordinators_their_managers(known: Stack) -> None:
    assert {name: project["role"] for name, project in projects(known, "dave").items()} == {"climate": "manager"}
    climate = projects(known, "carol")["climate"]
    assert (climate["cluster"], climate["role"], climate["managers"]) == (known.cluster, "member", ["dave"])
    assert climate["members"] is None
    assert projects(known, "dave")["climate"]["members"] == ["carol", "dave"]
    assert {"climate", "vision", "root"} <= set(projects(known, "operator"))


def test_a_project_manager_cancels_a_members_job_in_their_own_name_and_touches_no_other_project(known: Stack) -> None:
    carols = known.submit(SLEEP, user="carol")
    alices = known.submit(SLEEP, user="alice")
    known.running(carols["id"], "carol")
    known.running(alices["id"], "alice")
    with known.api("dave") as dave:
        listed = {job["id"] for job in dave.get("/v1/jobs", params={"limit": 1000}).json()["items"]}
        assert carols["id"] in listed
        assert alices["id"] not in listed
        for job_id in (alices["id"], str(alices["slurm_job_id"])):
            assert dave.get(f"/v1/jobs/{job_id}").status_code == 404
            assert dave.delete(f"/v1/jobs/{job_id}").status_code == 404
        assert dave.get(f"/v1/jobs/{carols['id']}/output").status_code == 403
        answer = dave.delete(f"/v1/jobs/{carols['id']}")
        assert answer.status_code == 202, answer.text
    assert known.finished(carols["id"], "carol")["fate"] == "CANCELLED"
    assert known.job(alices["id"])["state"] == "RUNNING"
    # Slurm's own word for who did it.
    ended = f"sacct -nPX -j {carols['slurm_job_id']} -o state"
    until(lambda: "CANCELLED" in known.run("slurmctld", ended))  # slurmdbd hears of it a little later
    by = known.run("slurmctld", ended).strip()
    assert by == f"CANCELLED by {known.run('login', 'id -u dave').strip()}"
    with known.api("alice") as alice:
        alice.delete(f"/v1/jobs/{alices['id']}")


def test_slurm_itself_lets_no_coordinator_touch_another_project(known: Stack) -> None:
    alices = known.submit(SLEEP, user="alice", hold=True)
    said = known.as_user("dave", f"scancel {alices['slurm_job_id']} 2>&1", check=False)
    assert "Access/permission denied" in said or "Access denied" in said
    with known.api("alice") as alice:
        assert alice.delete(f"/v1/jobs/{alices['id']}").status_code == 202


@pytest.fixture
def below(known: Stack) -> Iterator[str]:
    """An account below climate that carol may charge."""
    name = "glaciers"
    add = f"sacctmgr -i add account {name} parent=climate && sacctmgr -i add user carol account={name}"
    known.run("slurmctld", add)
    yield name
    remove = f"sacctmgr -i delete user carol account={name} && sacctmgr -i delete account {name}"
    known.run("slurmctld", f"scancel --account={name}; sleep 2; {remove}", check=False)


def test_a_manager_manages_what_is_below_their_account_too(known: Stack, below: str) -> None:
    give_up = time.monotonic() + 240
    while below not in projects(known, "dave"):
        assert time.monotonic() < give_up, "a new account is not learnt"
        time.sleep(1)
    assert projects(known, "dave")[below]["role"] == "manager"
    job = known.submit(SLEEP, user="carol", account=below)
    known.running(job["id"], "carol")
    with known.api("dave") as dave:
        assert dave.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert known.finished(job["id"], "carol")["fate"] == "CANCELLED"


def test_an_operator_acts_on_every_job_and_reads_no_output(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\necho secret\nsleep 300\n", user="bob")
    stack.running(job["id"], "bob")
    with stack.api("operator") as operator:
        assert operator.get(f"/v1/jobs/{job['id']}").status_code == 200
        refused = operator.get(f"/v1/jobs/{job['id']}/output")
        assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
        assert operator.get("/v1/audit").status_code == 403
        assert operator.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert stack.finished(job["id"], "bob")["fate"] == "CANCELLED"


def test_the_audit_log_tells_who_did_what_and_its_chain_holds(stack: Stack, name: str) -> None:
    job = stack.submit(SLEEP, name=name)
    request_id = f"{name}-cancel"
    with stack.api() as alice:
        alice.delete(f"/v1/jobs/{job['id']}", headers={"X-Request-ID": request_id})
        assert alice.get("/v1/audit").status_code == 403
    with stack.api("admin") as admin:
        (entry,) = admin.get("/v1/audit", params={"request_id": request_id}).json()["items"]
    assert (entry["user"], entry["action"], entry["status"]) == ("alice", "DELETE /v1/jobs/{job_id}", 202)
    assert entry["target"] == f"/v1/jobs/{job['id']}"
    said = stack.run("hpcjobs", "hpcjobs audit verify", user="hpcjobs").strip()
    assert int(said.split(":")[0]) >= entry["seq"]
    assert stack.run("hpcjobs", f"hpcjobs audit verify --seen {said}", user="hpcjobs").strip().split(":")[1]


def test_a_token_for_less_does_less(stack: Stack, name: str) -> None:
    token = stack.run("hpcjobs", "hpcjobs token alice --life 10m --scope jobs:read", user="hpcjobs").strip()
    with stack.api(None) as api:
        headers = {"Authorization": f"Bearer {token}"}
        assert api.get("/v1/jobs", headers=headers).status_code == 200
        refused = api.post("/v1/jobs", headers=headers, json={"script": SLEEP, "name": name})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope-missing")
    assert stack.slurm_jobs_named(name) == []


def test_the_service_refuses_to_run_as_root(stack: Stack) -> None:
    said = stack.run("hpcjobs", "hpcjobs serve 2>&1; echo $?", user="root")
    assert said.split("\n") == ["hpcjobs: error: the service never runs as root; start it as its own user", "1", ""]

"""Parts are stopped and killed while they work: the error is clear, nothing is lost, nothing is doubled."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.slurm.conftest import Stack
from tests.unit.builders import until

HELLO = "#!/bin/bash\necho hello\n"


@contextmanager
def stopped(stack: Stack, service: str) -> Iterator[None]:
    """A service stopped for a while, and the cluster whole again after."""
    container = stack.container(service)
    container.stop(timeout=10)
    try:
        yield
    finally:
        container.start()
        stack.wait_ready()


def submit_until_taken(stack: Stack, request: dict[str, Any], key: str, timeout_s: float = 180) -> dict[str, Any]:
    """What a client does: the same request with the same key until Slurm has the job."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        try:
            with stack.api() as api:
                response = api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            time.sleep(0.5)
            continue
        if response.status_code == 201:
            return dict(response.json())
        assert response.status_code in (202, 503), response.text
        time.sleep(0.5)
    pytest.fail(f"not in Slurm after {timeout_s} s: {response.text}")


def unavailable(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["transient"] is True
    assert int(response.headers["retry-after"]) == document["retry_after_s"] > 0
    return dict(document)


def test_while_slurmctld_is_stopped_a_job_is_accepted_lists_are_a_503_and_all_comes_back(
    stack: Stack, name: str
) -> None:
    before = stack.submit(HELLO, name=f"{name}-before", hold=True)
    key = uuid.uuid4().hex
    request = {"script": HELLO, "name": name}
    with stack.api() as api:
        with stopped(stack, "slurmctld"):
            accepted = api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key}, timeout=60)
            assert accepted.status_code == 202, accepted.text
            assert (accepted.json()["state"], accepted.json()["slurm_job_id"]) == ("SUBMITTING", None)
            until(lambda: api.get("/v1/jobs").status_code != 200)  # the last listing is still young enough
            document = unavailable(api.get("/v1/jobs"))
            assert document["code"] == "view-stale"
            assert "last seen at" in document["detail"]
            unavailable(api.get(f"/v1/clusters/{stack.cluster}/nodes"))
            ready = httpx.get(f"{stack.url}/readyz", timeout=60)
            assert ready.status_code == 503
            assert httpx.get(f"{stack.url}/healthz", timeout=60).status_code == 200
            # What was known is kept for those who accept its age.
            known = api.get("/v1/jobs", params={"max_age_s": 3600, "name": f"{name}-before"}).json()["items"]
            assert [job["id"] for job in known] == [before["id"]]
            kept = api.get(f"/v1/jobs/{accepted.json()['id']}").json()
            assert (kept["state"], kept["detail"] != "") == ("SUBMITTING", True)
        job = submit_until_taken(stack, request, key)
        assert job["id"] == accepted.json()["id"]
        assert stack.finished(job["id"])["fate"] == "COMPLETED"
        assert stack.slurm_jobs_named(name) == [str(job["slurm_job_id"])]
        assert stack.wait(before["id"], lambda now: now["state"] == "HELD")
        api.delete(f"/v1/jobs/{before['id']}")


def test_what_is_submitted_while_the_controller_is_known_to_be_down_goes_out_once_and_in_order(
    stack: Stack, name: str
) -> None:
    with stopped(stack, "slurmctld"), stack.api() as api:
        # Not merely `up` false: a listing grows old a little before the next one finds that nobody answers.
        until(lambda: "does not answer" in api.get("/v1/clusters").json()[0]["trouble"], 120)
        began = time.monotonic()
        ids = []
        for number in range(6):
            accepted = api.post("/v1/jobs", json={"script": HELLO, "name": f"{name}-{number}", "hold": True})
            assert accepted.status_code == 202, accepted.text
            ids.append(accepted.json()["id"])
        assert time.monotonic() - began < 6 * 14 / 2  # each far below the 14 s that a call of a dead controller takes
        dropped = api.delete(f"/v1/jobs/{ids.pop(3)}")
        assert (dropped.status_code, dropped.json()["fate"]) == (202, "CANCELLED")
    jobs = [stack.wait(job_id, lambda now: now["slurm_job_id"] is not None) for job_id in ids]
    numbers = [job["slurm_job_id"] for job in jobs]
    try:
        assert numbers == sorted(numbers)
        for number, wanted in zip((0, 1, 2, 4, 5), numbers, strict=True):
            assert stack.slurm_jobs_named(f"{name}-{number}") == [str(wanted)]
        assert stack.slurm_jobs_named(f"{name}-3") == []
    finally:
        stack.run("slurmctld", f"scancel {' '.join(map(str, numbers))}")


def test_a_controller_killed_before_it_first_wrote_its_whole_state_starts_with_the_jobs_it_had(
    stack: Stack, name: str
) -> None:
    job = stack.submit(HELLO, name=name, hold=True)
    saved = f"grep -qa {name} /var/lib/slurm/slurmctld/job_state && echo yes"
    until(lambda: stack.run("slurmctld", saved, check=False), 60)  # jobs are saved every five seconds
    stack.run("slurmctld", "rm /var/lib/slurm/slurmctld/assoc_usage*; kill -9 $(pidof slurmctld)", check=False)
    until(lambda: "is UP" in stack.run("login", "scontrol ping", check=False), 120)
    assert stack.slurm_jobs_named(name) == [str(job["slurm_job_id"])]
    stack.wait_ready()
    stack.run("slurmctld", f"scancel {job['slurm_job_id']}; scontrol update nodename=ALL state=resume", check=False)


def worker_pids(stack: Stack, user: str) -> list[int]:
    """Processes of a user inside the service's container: its agents."""
    found = stack.run(
        "hpcjobs", f"for p in /proc/[0-9]*; do [ $(stat -c %U $p) = {user} ] && basename $p; done 2>/dev/null; true"
    )
    return [int(line) for line in found.split()]


def test_a_pyslurm_worker_killed_in_mid_call_loses_and_doubles_nothing(new: Stack, name: str) -> None:
    new.submit(HELLO, user="bob")  # bob's worker is there
    slurmctld, key = new.container("slurmctld"), uuid.uuid4().hex
    request = {"script": HELLO, "name": name}
    answers: list[httpx.Response] = []

    def submit() -> None:
        with new.api("bob") as api:
            answers.append(api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key}))

    slurmctld.pause()  # it takes the connection and never answers: the call is in the middle
    try:
        caller = threading.Thread(target=submit)
        caller.start()
        time.sleep(1.5)
        pids = worker_pids(new, "bob")
        assert pids
        for pid in pids:
            new.run("hpcjobs", f"kill -9 {pid}")
    finally:
        slurmctld.unpause()
    caller.join(timeout=180)
    (answer,) = answers
    assert answer.status_code in (201, 202), answer.text
    give_up = time.monotonic() + 90
    with new.api("bob") as api:
        while answer.status_code != 201 and time.monotonic() < give_up:
            time.sleep(1)
            answer = api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key})
            assert answer.status_code in (201, 202), answer.text
    job = answer.json()
    assert new.finished(job["id"], "bob")["fate"] == "COMPLETED"
    assert new.slurm_jobs_named(name) == [str(job["slurm_job_id"])]


def test_the_observers_worker_killed_is_made_again(new: Stack) -> None:
    for pid in worker_pids(new, "hpcjobs"):
        if "spawner" in new.run("hpcjobs", f"tr '\\0' ' ' < /proc/{pid}/cmdline", check=False):
            new.run("hpcjobs", f"kill -9 {pid}")  # forked from the spawner: it carries its command line
    job = new.submit(HELLO)
    assert new.finished(job["id"])["fate"] == "COMPLETED"


@pytest.mark.parametrize("victim", ["hpcjobs serve", "hpcjobs.spawner"])
def test_the_service_killed_in_a_stream_of_submissions_loses_and_doubles_nothing(
    stack: Stack, name: str, victim: str
) -> None:
    done: list[dict[str, Any]] = []
    over = threading.Event()

    def stream() -> None:
        while len(done) < 400 and not over.is_set():
            request = {"script": HELLO, "name": name, "hold": True}
            done.append(submit_until_taken(stack, request, uuid.uuid4().hex))

    caller = threading.Thread(target=stream)
    caller.start()
    try:
        with stack.restarted():
            while not done and caller.is_alive():
                time.sleep(0.05)
            # The oldest process of that name: its forks are agents.
            stack.run("hpcjobs", f"kill -9 $(grep -alz '{victim.split()[-1]}' /proc/[0-9]*/cmdline | "
                      "sed 's,/proc/,,; s,/cmdline,,' | sort -n | head -1)")  # fmt: skip
        taken = len(done)
        while len(done) <= taken and caller.is_alive():  # it goes on after the kill
            time.sleep(0.05)
    finally:
        over.set()
        caller.join(timeout=120)
    assert not caller.is_alive()
    numbers = sorted(str(job["slurm_job_id"]) for job in done)
    try:
        assert sorted(stack.slurm_jobs_named(name)) == numbers
        assert len(set(numbers)) == len(done) > taken
    finally:
        stack.run("slurmctld", f"scancel --name={name}")


def test_without_slurmdbd_jobs_still_run(stack: Stack) -> None:
    with stopped(stack, "slurmdbd"):
        job = stack.submit(HELLO)
        assert stack.finished(job["id"])["fate"] == "COMPLETED"


def test_the_same_key_makes_one_job_and_another_request_under_it_is_a_conflict(stack: Stack, name: str) -> None:
    key = uuid.uuid4().hex
    request = {"script": HELLO, "name": name}
    answers: list[httpx.Response] = []

    def submit() -> None:
        with stack.api() as api:
            answers.append(api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key}))

    callers = [threading.Thread(target=submit) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert {answer.status_code for answer in answers} <= {201, 202}
    job = submit_until_taken(stack, request, key)
    assert {answer.json()["id"] for answer in answers} == {job["id"]}
    assert stack.slurm_jobs_named(name) == [str(job["slurm_job_id"])]
    with stack.api() as api:
        other = api.post("/v1/jobs", json={**request, "name": "other"}, headers={"Idempotency-Key": key})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    with stack.api("bob") as bob:  # a key is one user's
        assert bob.post("/v1/jobs", json=request, headers={"Idempotency-Key": key}).status_code == 201


def test_following_survives_a_stopped_controller(stack: Stack) -> None:
    job = stack.submit("#!/bin/bash\nfor i in $(seq 12); do echo $i; sleep 1; done\n")
    stack.running(job["id"])
    said: list[str] = []

    def follow() -> None:
        with stack.api() as api:
            api.timeout = 120
            with api.stream("GET", f"/v1/jobs/{job['id']}/output", params={"follow": True}) as response:
                said.extend(response.iter_text())

    follower = threading.Thread(target=follow)
    follower.start()
    with stopped(stack, "slurmctld"):
        time.sleep(5)
    follower.join(timeout=180)
    assert not follower.is_alive()
    assert "".join(said) == "".join(f"{number}\n" for number in range(1, 13))

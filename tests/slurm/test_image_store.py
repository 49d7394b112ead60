"""A cluster's store of images on real Slurm: each digest comes once, and what is there needs no registry."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bcrypt
import pytest

from tests.slurm.conftest import Stack
from tests.slurm.images import REGISTRY, pushed, registry_down, said

STORE = "/home/alice/.hpcjobs/images"
SAYS = "#!/bin/sh\necho $IN_IMAGE\n"
WHOLE = "[0-9a-f]{64}[.](sif|json)|[.][0-9a-f]{64}[.]lock|[.]room[.]lock"
COLD = 64
GUARDED = "registry:5001"
PASSWORD = "s3cret-Pa55"
SHOWN = "scontrol write batch_script {0} -; scontrol show job -d {0}"
GUARD = """
cat >/run/guarded.yml <<EOF
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: /var/lib/docker-registry}}}}
http: {{addr: ":5001"}}
auth: {{htpasswd: {{realm: lab, path: /run/guarded.htpasswd}}}}
EOF
echo 'alice:{hashed}' >/run/guarded.htpasswd
(exec 3<>/dev/tcp/127.0.0.1/5001) 2>/dev/null || setsid docker-registry serve /run/guarded.yml >/dev/null 2>&1 &
until (exec 3<>/dev/tcp/127.0.0.1/5001) 2>/dev/null; do sleep 0.2; done
"""


@pytest.fixture
def image(new: Stack) -> str:
    """An image that is nowhere but in the registry: its layers are its own."""
    tag = f"cold/{uuid.uuid4().hex[:12]}:1"
    pushed(new, tag, tag)
    return f"{REGISTRY}/{tag}"


def fetches(stack: Stack, image: str) -> list[dict[str, Any]]:
    """The jobs that were to bring an image."""
    name = f"image-{image.partition('cold/')[2].partition(':')[0]}"
    with stack.api() as api:
        answer = api.get("/v1/jobs", params={"name": name})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_of_many_cold_starts_at_once_one_fetches_and_all_run(new: Stack, image: str) -> None:
    jobs: list[dict[str, Any]] = []

    def some() -> None:
        for _ in range(COLD // 8):
            jobs.append(new.submit(SAYS, container={"image": image}, resources={"ntasks": 1}))

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jobs) == COLD
    assert {new.finished(job["id"], timeout_s=400)["fate"] for job in jobs} == {"COMPLETED"}
    assert [one["fate"] for one in fetches(new, image)] == ["COMPLETED"]
    assert {new.output(job["id"]).split()[-1] for job in jobs} == {image.removeprefix(f"{REGISTRY}/")}


def test_what_is_in_the_store_runs_without_its_registry_and_what_is_not_is_told(new: Stack, image: str) -> None:
    first = new.submit(SAYS, container={"image": image})
    assert new.finished(first["id"])["fate"] == "COMPLETED"
    other = f"cold/{uuid.uuid4().hex[:12]}:1"
    pushed(new, other)
    with registry_down(new):
        for pull in ("missing", "never"):
            warm = new.submit(SAYS, container={"image": image, "pull": pull})
            assert new.finished(warm["id"])["fate"] == "COMPLETED"
        with new.api() as api:
            cold = api.post("/v1/jobs", json={"script": SAYS, "container": {"image": f"{REGISTRY}/{other}"}})
    assert (cold.status_code, cold.json()["code"]) == (503, "registry-down")


def test_a_fetch_that_is_killed_leaves_nothing_and_the_next_one_brings_it(new: Stack, image: str) -> None:
    with fetches_wait(new):
        job = new.submit(SAYS, container={"image": image}, partition="gpu")
        (fetch,) = fetches(new, image)
        new.container("registry").pause()  # it begins to fetch, and waits for it
    try:
        said(new, fetch["id"], "fetching")
        new.run("slurmctld", f"scancel --signal=KILL --full {fetch['slurm_job_id']}")
        assert new.finished(fetch["id"])["fate"] != "COMPLETED"
    finally:
        new.container("registry").unpause()
    assert new.finished(job["id"])["fate"] == "CANCELLED"
    again = new.submit(SAYS, container={"image": image}, partition="gpu")
    assert new.finished(again["id"])["fate"] == "COMPLETED"
    assert sorted(one["fate"] == "COMPLETED" for one in fetches(new, image)) == [False, True]
    assert new.run("login", f"ls -A {STORE} | grep -v -E '^({WHOLE})$' || true") == ""


def test_a_registry_that_wants_a_name_gets_it_from_the_users_credential_alone(new: Stack) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    name = f"cold/{uuid.uuid4().hex[:12]}:1"
    pushed(new, name, "guarded")  # both registries have what is kept there
    new.run("registry", GUARD.format(hashed=hashed))
    image = f"{GUARDED}/{name}"
    with new.api() as api:
        denied = api.post("/v1/jobs", json={"script": SAYS, "container": {"image": image}})
        assert (denied.status_code, denied.json()["errors"][0]["code"]) == (422, "image-denied")
        kept = api.put("/v1/credentials/lab", json={"registry": GUARDED, "user": "alice", "secret": PASSWORD})
        assert kept.status_code in (200, 201), kept.text
        assert PASSWORD not in api.get("/v1/credentials").text
        unknown = api.post("/v1/jobs", json={"script": SAYS, "container": {"image": image, "credential": "none"}})
        assert unknown.json()["errors"][0]["field"] == "container.credential"
    job = new.submit(SAYS, container={"image": image, "credential": "lab"})
    assert new.finished(job["id"])["fate"] == "COMPLETED", fetched(new, image)
    assert "guarded" in new.output(job["id"])
    told = "".join(new.run("slurmctld", SHOWN.format(one["slurm_job_id"])) for one in (job, *fetches(new, image)))
    assert "hpcjobs: what follows runs in" in told
    told += fetched(new, image)
    assert PASSWORD not in told
    kept = f"grep -c -a -F {PASSWORD} /var/lib/hpcjobs/*.db*"
    assert all(line.endswith(":0") for line in new.run("hpcjobs", kept, check=False).split())


def fetched(stack: Stack, image: str) -> str:
    """What the jobs that fetched an image said."""
    return "".join(stack.output(one["id"]) for one in fetches(stack, image))


@contextmanager
def fetches_wait(stack: Stack) -> Iterator[None]:
    """The partition of those jobs starts none meanwhile."""
    stack.run("slurmctld", "scontrol update PartitionName=debug State=DOWN")
    try:
        yield
    finally:
        stack.run("slurmctld", "scontrol update PartitionName=debug State=UP")

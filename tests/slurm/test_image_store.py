"""A cluster's store of images on real Slurm: each digest comes once, and what is there needs no registry."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.images import REGISTRY, pushed, registry_down
from tests.slurm.steered import until

STORE = "/home/alice/.hpcjobs/images"
SAYS = "#!/bin/sh\necho $IN_IMAGE\n"
COLD = 64


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
    job = new.submit(SAYS, container={"image": image})
    (fetch,) = fetches(new, image)
    number = fetch["slurm_job_id"]
    there = f"ls -A {STORE} | grep -c part || true"
    until(new, lambda: new.run("login", there).strip(), lambda found: found != "0", 60)
    new.run("slurmctld", f"scancel --signal=KILL --full {number}")
    assert new.finished(job["id"])["fate"] == "CANCELLED"
    again = new.submit(SAYS, container={"image": image})
    assert new.finished(again["id"])["fate"] == "COMPLETED"
    assert len(fetches(new, image)) == 2
    assert new.run("login", f"ls -A {STORE} | grep -c part || true").strip() == "0"

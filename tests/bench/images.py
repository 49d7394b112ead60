"""64 jobs at once that start in an image which is nowhere yet: Apptainer alone, and with the store of images.

Both are jobs of one user on the dockerized cluster, in an image of the same size and of a registry inside. Alone, each
job is ``apptainer exec docker://...``: who finds no image in the cache of the user's home makes one. What was made is
counted by what Apptainer says of it.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker

from tests.bench.verdict import Verdict
from tests.slurm.conftest import Stack
from tests.slurm.images import REGISTRY, pushed

JOBS = 64
ALONE = "#!/bin/sh\nexport APPTAINER_NOHTTPS=1\nexec apptainer exec docker://{image} sh -c 'echo in $IN_IMAGE'\n"
OURS = "#!/bin/sh\necho in $IN_IMAGE\n"
MADE = "Creating SIF file"


def _cold(stack: Stack) -> str:
    name = f"cold/{uuid.uuid4().hex[:12]}:1"
    pushed(stack, name, name)
    return f"{REGISTRY}/{name}"


def _run(stack: Stack, script: str, **asked: Any) -> tuple[float, int, list[str]]:
    """Seconds until all have ended, how many failed, and what they said."""
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: stack.submit(script, resources={"ntasks": 1}, **asked), range(JOBS)))
    ended = [stack.finished(job["id"], timeout_s=900) for job in jobs]
    took = time.monotonic() - begun
    said = [stack.output(job["id"]) for job in jobs]
    good = sum(job["fate"] == "COMPLETED" and "in cold/" in text for job, text in zip(ended, said, strict=True))
    return took, JOBS - good, said


def run() -> list[Verdict]:
    """Compare."""
    stack = Stack(docker.from_env(timeout=120), "slurm2605", "", "pyslurm")
    stack.wait_ready()
    stack.as_user("alice", "rm -rf .apptainer/cache")
    alone_s, alone_failed, said = _run(stack, ALONE.format(image=_cold(stack)))
    alone_made = sum(text.count(MADE) for text in said)
    image = _cold(stack)
    ours_s, ours_failed, said = _run(stack, OURS, container={"image": image})
    with stack.api() as api:
        name = f"image-{image.partition('cold/')[2].partition(':')[0]}"
        fetches = api.get("/v1/jobs", params={"name": name}).json()["items"]
    made = sum(stack.output(job["id"]).count(MADE) for job in fetches) + sum(text.count(MADE) for text in said)
    print(f"  Apptainer alone: {JOBS} jobs in {alone_s:.1f} s, {alone_made} images made, {alone_failed} jobs failed")
    print(f"  with the store: {JOBS} jobs in {ours_s:.1f} s, {made} images made, {ours_failed} jobs failed")
    return [
        Verdict("images, made for one digest", made, 1, most=True),
        Verdict("images, cold starts that failed", ours_failed, 0, most=True),
        Verdict("images, made by Apptainer alone to ours", alone_made / max(made, 1), 2),
        Verdict("images, time of Apptainer alone to ours", alone_s / ours_s, 1),
    ]

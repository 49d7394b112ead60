"""What the tests of recovery do to the dockerized cluster, and the job that they do it to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from docker.models.containers import Container

from tests.slurm.conftest import Stack
from tests.slurm.inside import HOME

NODES = ("c1", "c2", "c3", "c4")
BEGIN_DELAY_S = 121
"""So long Slurm lets a job wait that it requeues itself."""
COUNT = """
import os, sys, time
from injob import report
steps, pause_s, fails_at = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
start = report.resume_from()
step = int((start / "step").read_text()) if start else 0
print("attempt", report.attempt(), "from", step, flush=True)
while step < steps and not report.ending():
    time.sleep(pause_s)
    step += 1
    if step == fails_at and report.attempt() == 1:
        sys.exit(1)
    report.step(step)
    with report.saving(step) as folder:
        (folder / "step").write_text(str(step))
        (folder / "filling").write_bytes(bytes(100_000))
print("came to", step, flush=True)
"""
"""Makes a checkpoint of each step, says where it begins and how far it came; its first attempt can be told to fail."""


def folder_of(name: str) -> str:
    """The checkpoint folder of one test's job."""
    return f"{HOME}/runs/{name}"


def counting(agent: str, steps: int, *, pause_s: float | str = 0.3, fails_at: int = 0, before: str = "") -> str:
    """The script of a job that counts under an agent.

    Args:
        agent: Its command line.
        steps: How far.
        pause_s: Seconds that a step takes, or a word of the shell that says so.
        fails_at: The step at which its first attempt fails.
        before: Lines of the script before it.
    """
    return (
        f"#!/bin/bash\n{before}\nexport PYTHONPATH={HOME}\n"
        f"exec {agent} run -- python3 -c '{COUNT}' {steps} {pause_s} {fails_at}\n"
    )


def asked(checkpoints: str = "", **more: Any) -> dict[str, Any]:
    """The request of a job that is to be recovered.

    Args:
        checkpoints: Its checkpoint folder.
        more: Else of the request; resources beside one node for ten minutes, hints beside these.
    """
    return {
        "hints": {"recover": True, "checkpoints": checkpoints} | more.pop("hints", {}),
        "resources": {"nodes": 1, "wall_s": 600} | more.pop("resources", {}),
        **more,
    }


def begun_on(stack: Stack, node: str, script: str, **request: Any) -> dict[str, Any]:
    """One that runs on a node, and could run on any: Slurm takes the node of the least weight first."""
    others, this = f"nodename={','.join(NODES)} weight=9", f"nodename={node} weight=1"
    stack.run("slurmctld", f"scontrol update {others} && scontrol update {this}")
    job = stack.running(stack.submit(script, **request)["id"])
    stack.run("slurmctld", f"scontrol update nodename={','.join(NODES)} weight=1")
    assert job["node_list"] == node
    return job


def decisions(stack: Stack, job: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of what kind the ends of a job's runs were, what was decided, and which nodes it avoids; the oldest first."""
    with stack.api() as api:
        items = api.get("/v1/events?kind=job.recovery&after=0", headers={"Accept": "application/json"}).json()["items"]
    told = (event["data"] for event in items if event["job_id"] == job["id"])
    return [(one["failure"], one["decision"], one.get("avoid", "")) for one in told]


def ran_again(stack: Stack, job: dict[str, Any], within_s: float = 100) -> dict[str, Any]:
    """The job in its second run."""
    return stack.wait(job["id"], lambda one: (one["state"], one["restarts"]) == ("RUNNING", 1), timeout_s=within_s)


def began_from(stack: Stack, job: dict[str, Any], attempt: int) -> int:
    """From which step an attempt went on, as its program said."""
    said = stack.output(job["id"])
    lines = [line.split() for line in said.splitlines() if line.startswith(f"attempt {attempt} from ")]
    assert lines, said
    return int(lines[-1][-1])


def agent_told(stack: Stack, folder: str, attempt: int) -> dict[str, Any]:
    """The status file of one attempt."""
    text = stack.said("login", f"cat {folder}/status/attempt-{attempt:06d}.json")
    return dict(msgspec.json.decode(text))


class Published(NamedTuple):
    """A checkpoint: the number of the attempt that made it, and its step."""

    attempt: int
    step: int


def published(stack: Stack, folder: str) -> list[Published]:
    """The checkpoints that are kept, in the order in which they were published."""
    rows = stack.as_user("alice", f"python3 {HOME}/injob checkpoint list {folder}").splitlines()
    return [Published(int(attempt), int(step)) for step, attempt, *_ in map(str.split, rows)]


def kill(stack: Stack, node: str, words: str) -> None:
    """Kill -9 of all processes of a node whose command line has these words at its beginning."""
    stack.run(node, f"kill -9 $(pgrep -f '^{words}')")


def _cut(stack: Stack, container: Container) -> Iterator[None]:
    ((name, was),) = container.attrs["NetworkSettings"]["Networks"].items()
    network = stack.engine.networks.get(name)
    network.disconnect(container)
    yield
    network.connect(container, aliases=[one for one in was["Aliases"] if one != container.short_id])


def _stopped(_: Stack, container: Container) -> Iterator[None]:
    container.stop(timeout=1)
    yield
    container.start()


@contextmanager
def away(stack: Stack, *, cut: str, stopped: str) -> Iterator[None]:
    """For as long as this lasts a node is without network, what runs there goes on, and another is off."""
    acts = [_cut(stack, stack.container(cut)), _stopped(stack, stack.container(stopped))]
    for act in acts:
        next(act)
    try:
        yield
    finally:
        for act in acts:
            next(act, None)
        # The engine may have given them other addresses, and Slurm remembers the old ones.
        stack.run("slurmctld", "scontrol reconfigure")


def usable(stack: Stack, within_s: float = 120) -> None:
    """Wait until Slurm starts jobs on all nodes, and resume those that it has drained."""
    give_up = time.monotonic() + within_s
    for node in NODES:
        told = f"sinfo -hN -n {node} -p gpu -o %T"
        while stack.run("slurmctld", told).strip() not in ("idle", "mixed", "allocated"):
            assert time.monotonic() < give_up, stack.run("slurmctld", f"scontrol show node {node}")
            stack.run("slurmctld", f"scontrol update nodename={node} state=resume", check=False)
            time.sleep(0.5)

"""Jobs with an agent inside, on real Slurm: they go on where they were, and none hangs for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.inside import HOME, agent_on, image_on
from tests.slurm.steered import Use, in_use, until
from tests.slurm.test_recovery import told

COMES_ON = """
import sys
from injob import report
start = report.resume_from()
done = int((start / "steps").read_text()) if start else 0
print("from", done, flush=True)
with report.saving(done + 10) as folder:
    (folder / "steps").write_text(str(done + 10))
sys.exit(0 if done == 20 else 75)
"""
"""Goes on from where it was, comes ten steps further, and asks to go on later until it has thirty."""
HANGS = """
import os, time
time.sleep(0 if os.environ.get("SLURM_RESTART_COUNT") else 500)
"""


@pytest.fixture
def agent(stack: Stack, use: Use) -> str:
    use(checkpoint={})
    return agent_on(stack)


def begun(stack: Stack, agent: str, name: str, program: str, **hints: Any) -> dict[str, Any]:
    """A job with an agent around a program, and a checkpoint folder of its own."""
    asked = {"recover": True, "checkpoints": f"{HOME}/runs/{name}"} | hints
    script = f"#!/bin/sh\nexport PYTHONPATH={HOME}\nexec {agent} run -- python3 - <<'END'\n{program}\nEND\n"
    return stack.submit(script, hints=asked, resources={"nodes": 1, "wall_s": 600})


def test_a_job_that_asks_to_go_on_does_so_from_its_checkpoint_until_it_is_done(
    stack: Stack, agent: str, name: str
) -> None:
    job = begun(stack, agent, name, COMES_ON)
    until(stack, lambda: stack.job(job["id"]), lambda now: now["fate"] == "COMPLETED")
    assert stack.job(job["id"])["restarts"] == 2
    assert [(one["failure"], one["decision"]) for one in told(stack, job)] == [("time_limit", "retry")] * 2
    assert stack.output(job["id"]).split("\n")[-2:] == ["from 20", ""]


def test_a_job_that_does_nothing_is_started_again(stack: Stack, agent: str, name: str) -> None:
    job = begun(stack, agent, name, HANGS, hang_s=5)
    until(stack, lambda: stack.job(job["id"]), lambda now: now["fate"] == "COMPLETED", 150)
    assert stack.job(job["id"])["restarts"] == 1
    (found,) = told(stack, job)
    assert (found["failure"], found["decision"], found["run"]) == ("hang", "retry", 0)
    assert "said that more than 5 s would be too long" in found["why"]


@pytest.mark.parametrize("where", ["around", "inside"])
def test_it_is_the_same_in_a_container(new: Stack, name: str, where: str) -> None:
    agent, apptainer = agent_on(new), f"apptainer exec --bind /home {image_on(new)}"
    runs = f"{agent} run -- {apptainer} python3" if where == "around" else f"{apptainer} {agent} run -- python3"
    script = f"#!/bin/sh\nexport PYTHONPATH={HOME}\nexec {runs} - <<'END'\n{COMES_ON}\nEND\n"
    with in_use(new) as use:
        use(checkpoint={})
        asked = {"recover": True, "checkpoints": f"{HOME}/runs/{name}"}
        job = new.submit(script, hints=asked, resources={"nodes": 1, "wall_s": 600})
        until(new, lambda: new.job(job["id"]), lambda now: now["fate"] == "COMPLETED")
        assert new.job(job["id"])["restarts"] == 2
        assert [(one["failure"], one["decision"]) for one in told(new, job)] == [("time_limit", "retry")] * 2
    assert "from 20\n" in new.output(job["id"])

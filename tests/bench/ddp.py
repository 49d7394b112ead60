"""A training on four nodes (gloo) that loses one of them every 30 s for ten minutes, beside one that is left alone.

The losses of all steps have to be the same to the last bit, those of the steps that were done twice as well. A node is
lost as hard as can be: every process in its container is killed. Slurm is told at once that it is down, as a site's
monitoring would tell it: by itself Slurm sees it after half a minute, when the next one goes. It is back after 3 s.
There are no other nodes, so the plugin's rules are told to start the job again on the same.
"""

from __future__ import annotations

import os
import random
import time

import docker

from tests.bench.verdict import Verdict
from tests.slurm import training
from tests.slurm.conftest import PROJECT, Stack
from tests.slurm.steered import in_use

NODES = ("c1", "c2", "c3", "c4")
LASTS_S = float(os.environ.get("HPCJOBS_BENCH_LASTS_S", "600"))
PERIOD_S = 30.0
AWAY_S = 3.0
PAUSE_S = 0.3
EVERY = 10
STEPS = int(LASTS_S / PAUSE_S / 2.5)
"""Two fifths of what ten minutes are enough for without losses: it does not end before they do."""
MOST_S = 900.0
ALIKE = {"do": "restart", "budget": 1000}
RULES = dict.fromkeys(("node", "fabric", "launch", "unknown", "hang"), ALIKE)


def _lose(stack: Stack, node: str) -> None:
    """A node is gone, Slurm is told, and it comes back and is resumed."""
    container = stack.container(node)
    container.kill()
    _tell(stack, node, "state=down reason=bench")
    time.sleep(AWAY_S)
    container.start()
    _tell(stack, node, "state=resume")


def _tell(stack: Stack, node: str, words: str) -> None:
    """Change a node; a busy controller may not answer in time."""
    stack.run("slurmctld", f"for try in 1 2 3; do scontrol update nodename={node} {words} && exit; done")


def _disturb(stack: Stack, folder: str, job_id: str) -> int:
    """Lose a node each half minute: how many were lost."""
    dice, lost = random.Random(8), 0
    began = time.monotonic()
    while (next_at := began + (lost + 1) * PERIOD_S) <= began + LASTS_S:
        time.sleep(max(0.0, next_at - time.monotonic()))
        node = dice.choice(NODES)
        step, job = training.reached(stack, folder, "cut"), stack.wait(job_id, bool)
        _lose(stack, node)
        lost += 1
        how = f"in run {job['restarts']} ({job['state'].lower()})"
        print(f"  {next_at - began:4.0f} s: {node} is lost at step {step}, {how}", flush=True)
    return lost


def run() -> list[Verdict]:
    """All of it; some fifteen minutes."""
    stack = Stack(docker.from_env(timeout=120), "slurm2605", "", "pyslurm", PROJECT)
    began = time.monotonic()
    training.install(stack)
    print(f"  PyTorch is there after {time.monotonic() - began:.0f} s", flush=True)
    folder = f"/scratch/ddp-{int(time.time())}"
    stack.run("login", f"install -d -o alice {folder}")
    with in_use(stack) as use:
        use(checkpoint={"rules": RULES})
        began = time.monotonic()
        job = training.train(stack, folder, "whole", len(NODES), STEPS=STEPS, EVERY=STEPS)
        stack.finished(job["id"], timeout_s=MOST_S)
        whole = training.curve(stack, folder, "whole")
        print(f"  undisturbed, without pauses: {len(whole)} steps, last loss {whole[-1]:.9g},"
              f" {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        job = training.train(stack, folder, "cut", len(NODES), STEPS=STEPS, EVERY=EVERY, PAUSE=PAUSE_S)
        stack.running(job["id"])
        began = time.monotonic()
        lost = _disturb(stack, folder, job["id"])
        ended = stack.wait(job["id"], lambda one: one["state"] == "FINISHED" and one["fate"] == "COMPLETED",
                           timeout_s=MOST_S)  # fmt: skip
        took_s = time.monotonic() - began
        cut, said = training.curve(stack, folder, "cut"), training.said(stack, folder, "cut")
        lines = int(stack.run("login", f"grep -c ^step {folder}/cut.out"))
    stack.run("login", f"rm -rf {folder}")
    print(f"  {lost} nodes lost, {ended['restarts']} restarts, {took_s:.0f} s; {lines} steps done for {len(cut)}")
    differ = sum(one != other for one, other in zip(whole, cut, strict=False)) + abs(len(whole) - len(cut))
    twice = sum(len(values) > 1 for values in said.values())
    return [
        Verdict("ddp, nodes lost", lost, LASTS_S // PERIOD_S),
        Verdict("ddp, steps whose loss is not the undisturbed one's, bit for bit", differ, 0, most=True),
        Verdict("ddp, steps that were done again with another loss", twice, 0, most=True),
    ]

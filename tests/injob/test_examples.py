"""The examples run, are killed, and come to the end that they would have come to."""

from __future__ import annotations

import importlib.util
import random
import re
import signal
import subprocess
import sys

import pytest

from hpcjobs.injob.checkpoints import Checkpoints
from tests.injob.test_agent import AGENT, ROOT, environment

HERE = ROOT / "examples" / "checkpoint"


@pytest.fixture
def hpcjobs(tmp_path):
    """A folder for PATH with the command."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "hpcjobs").write_text(f'#!/bin/sh\nexec {" ".join(AGENT)} "$@"\n')
    (tmp_path / "bin" / "hpcjobs").chmod(0o755)
    return f"{tmp_path}/bin:/usr/bin:/bin"


def kill_at(words, line, number, **variables):
    """Run until it says a line that begins so, then send a signal to the agent; what it said and how it ended."""
    with subprocess.Popen(words, env=environment(**variables), stdout=subprocess.PIPE, text=True) as process:
        said = []
        for one in process.stdout:
            said.append(one)
            if one.startswith(line):
                process.send_signal(number)
                break
        said += process.stdout.readlines()
        return process.wait(60), "".join(said)


def test_a_shell_script_that_is_ended_goes_on_where_it_was(tmp_path, hpcjobs):
    variables = {"PATH": hpcjobs, "CHECKPOINTS": str(tmp_path / "c"), "STEPS": "100000", "EVERY": "10"}
    words = ["bash", str(HERE / "plain.sh")]
    for _ in range(3):
        code, said = kill_at(words, "attempt", signal.SIGUSR1, **variables)
        assert code == 75, said
    last = Checkpoints(tmp_path / "c").latest_good().step + 2
    code, said = kill_at(words, "-", signal.SIGUSR1, **{**variables, "STEPS": str(last)})
    assert code == 0
    assert said == f"attempt 4 begins at step {last - 2}\n{last} steps, total {last * (last - 1) // 2}\n"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_program_that_is_ended_again_and_again_counts_to_the_same_total(tmp_path, number):
    dice = random.Random(number)
    reached = 0
    for _ in range(4):
        words = [*AGENT, "run", "--checkpoints", tmp_path, "--", sys.executable, "-u", HERE / "plain.py"]
        words += ["--steps", "100000", "--every", str(dice.randrange(1, 5)), "--pause", "0.002"]
        code, said = kill_at(list(map(str, words)), "attempt", number)
        assert code == 75, said
        assert int(re.search(r"at step (\d+)", said)[1]) == reached
        reached = Checkpoints(tmp_path).latest_good().step
    assert reached > 0


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_a_training_that_is_ended_has_the_losses_of_one_that_is_not(tmp_path):
    def train(folder, number=None):
        words = [*AGENT, "run", "--checkpoints", folder, "--hand-on", "none", "--", sys.executable, "-m"]
        words += ["torch.distributed.run", "--standalone", "--nproc-per-node=2", HERE / "ddp.py", "--steps", "40"]
        return kill_at([*map(str, words), "--pause", "0.02"], "step 15 " if number else "-", number)

    _, whole = train(tmp_path / "whole")
    code, first = train(tmp_path / "cut", signal.SIGUSR1)
    assert code == 75
    code, second = train(tmp_path / "cut")
    assert code == 0
    assert dict(re.findall(r"step (\d+) loss (\S+)", first + second)) == dict(
        re.findall(r"step (\d+) loss (\S+)", whole)
    )

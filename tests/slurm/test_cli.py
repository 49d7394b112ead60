"""The command line against the real thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Stack

Run = Callable[..., subprocess.CompletedProcess[str]]
HPCJOBS = str(Path(sys.executable).with_name("hpcjobs"))


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Run:
    def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "HPCJOBS_URL": stack.url, "HPCJOBS_TOKEN": stack.token("alice"), "HOME": str(tmp_path)
        }  # fmt: skip
        return subprocess.run(
            [HPCJOBS, *words], input=stdin, env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    return run


def number_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Submitted batch job ")
    return done.stdout.split()[3]


def test_a_script_is_submitted_followed_shown_and_listed(run: Run, stack: Stack, tmp_path: Path, name: str) -> None:
    script = tmp_path / f"{name}.sh"
    script.write_text('#!/bin/bash\n#SBATCH --comment=hello\necho "$@"\nsleep 1\necho done\n')
    number = number_of(run("submit", "--nodes", "1", "--gpus-per-node", "2", "--time", "5", str(script), "a", "b c"))
    followed = run("logs", "-f", number)
    assert (followed.stdout, followed.returncode) == ("a b c\ndone\n", 0)
    shown = run("show", number)
    assert "COMPLETED" in shown.stdout
    assert "hello" in shown.stdout
    job = json.loads(run("show", number, "--json").stdout)
    assert (job["name"], job["wall_s"], sum(job["gpus"].values()), job["comment"]) == (f"{name}.sh", 300, 2, "hello")
    table = run("jobs", "--name", f"{name}.sh").stdout.splitlines()
    assert [line.split("\t")[0] for line in table] == ["JOB", number]
    assert run("logs", number).stdout == "a b c\ndone\n"
    assert run("logs", "--tail", "5", number).stdout == "done\n"


def test_submit_f_ends_with_the_exit_code_of_the_job(run: Run) -> None:
    done = run("submit", "-f", "-", stdin="#!/bin/bash\necho said\nexit 42\n")
    assert done.returncode == 42
    assert done.stdout.endswith("said\n")
    assert "FAILED (exit code 42)" in done.stderr


def test_a_job_is_cancelled(run: Run, stack: Stack) -> None:
    number = number_of(run("submit", "-", stdin="#!/bin/bash\nsleep 300\n"))
    stack.running(number)
    assert run("cancel", number).returncode == 0
    assert stack.finished(number)["fate"] == "CANCELLED"
    again = run("cancel", number)
    assert again.returncode == 1
    assert "already ended: CANCELLED" in again.stderr


def test_a_refusal_says_why_on_stderr_and_exits_1(run: Run) -> None:
    done = run("submit", "--partition", "gpuu", "-", stdin="#!/bin/bash\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no partition 'gpuu'; there are debug, gpu." in done.stderr
    assert run("show", "999999999").stderr == "hpcjobs: error: There is no job '999999999'.\n"


def test_a_script_with_dos_line_ends_is_refused_by_the_command_line_too(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "dos.sh"
    script.write_bytes(b"#!/bin/bash\r\necho hello\r\n")
    done = run("submit", str(script))
    assert (done.returncode, done.stdout) == (1, "")
    assert "DOS line breaks" in done.stderr
    script.write_bytes(b"\x7fELF\xd0\xff")
    assert "is not UTF-8; is this a script?" in run("submit", str(script)).stderr


def test_jobs_are_listed_by_how_they_ended(run: Run) -> None:
    number = number_of(run("submit", "-", stdin="#!/bin/bash\nexit 3\n"))
    run("logs", "-f", number)
    assert number in [line.split("\t")[0] for line in run("jobs", "-t", "failed").stdout.splitlines()]
    assert number not in [line.split("\t")[0] for line in run("jobs", "-t", "completed").stdout.splitlines()]
    assert "no state is called NONSENSE; there are SUBMITTING, " in run("jobs", "-t", "nonsense").stderr


def test_nodes_are_listed_with_their_gpus(run: Run, stack: Stack) -> None:
    lines = [line.split("\t") for line in run("nodes").stdout.splitlines()]
    assert lines[0][0] == "NODE"
    assert {line[0]: line[4].split(" ")[-1] for line in lines[1:]} == {
        "slurm2605": {"c1": "a100", "c2": "a100", "c3": "h100", "c4": "h100"},
        "slurm2411": {"o1": "a100", "o2": "h100"},
    }[stack.cluster]


def test_the_demonstration_runs_a_real_distributed_job_on_all_gpus(new: Stack) -> None:
    done = subprocess.run(["scripts/demo"], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK: 32 ranks on 4 nodes with 32 GPUs agree on every element" in done.stdout
    assert f"{new.url}/docs" in done.stdout


def test_the_demonstrations_check_can_fail(new: Stack) -> None:
    """The same job with one rank that adds one to its share must say so and fail."""
    script = Path("examples/ring-allreduce.sh").read_text()
    broken = script.replace("(rank + 1) * (i + 1) + round_ for", "(rank + 1) * (i + 1) + round_ + (rank == 7) for")
    assert broken != script
    job = new.submit(broken, args=["1"])
    assert new.finished(job["id"])["fate"] == "FAILED"
    assert "elements are wrong" in new.output(job["id"])

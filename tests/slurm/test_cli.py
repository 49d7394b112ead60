"""The command line against the real thing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.test_offline import Door
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
    assert run("logs", "--tail", "1", number).stdout == "done\n"
    assert run("logs", "--tail-bytes", "5", number).stdout == "done\n"


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
    done = subprocess.run(["scripts/demo"], capture_output=True, text=True, timeout=400, check=False)
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


def typed(new: Stack, command: str) -> str:
    code, out, err = new.typed(command)
    assert code == 0, out + err
    return out.strip()


def test_retry_requeues_a_job_that_slurm_has_and_it_starts_at_once(new: Stack, name: str) -> None:
    number = typed(new, f"hpcjobs sbatch --parsable -J {name} -o /dev/null --wrap 'exit 3'")
    new.finished(number)
    begun = time.monotonic()
    assert typed(new, f"hpcjobs retry {number}") == f"Requeueing job {number} on cluster {new.cluster}"
    new.wait(number, lambda job: job["restarts"] == 1 and job["state"] == "FINISHED")
    assert time.monotonic() - begun < 110  # Slurm's own pause is 121 s
    assert new.slurm_jobs_named(name) == [number]


def test_retry_lets_every_task_of_an_array_start_at_once(new: Stack, name: str) -> None:
    number = typed(new, f"hpcjobs sbatch --parsable -J {name} --array=0-3 -o /dev/null --wrap 'exit 3'")
    new.finished(number)
    typed(new, f"hpcjobs retry {number}")
    for task in range(4):
        new.wait(f"{number}_{task}", lambda job: job["restarts"] == 1 and job["state"] == "FINISHED")


def test_retry_submits_again_what_may_not_be_requeued(new: Stack, name: str) -> None:
    options = "--no-requeue --ntasks=2 --time=7 --comment=hello --export=ALL,MINE=1"
    number = typed(new, f"hpcjobs sbatch --parsable -J {name} {options} -o /dev/null --wrap 'exit 3'")
    new.finished(number)
    other = typed(new, f"hpcjobs retry {number}").split()[3]
    assert other != number
    new.finished(other)
    pattern = r"(?:NumTasks|TimeLimit|Comment|Requeue|JobName|WorkDir|ExitCode)=\S+"
    was, now = (re.findall(pattern, typed(new, f"scontrol show job {one}")) for one in (number, other))
    assert len(was) >= 6
    assert [re.sub("hpcjobs:[0-9a-f]{32}", "mark", word) for word in now] == [
        re.sub("hpcjobs:[0-9a-f]{32}", "mark", word) for word in was
    ]


def test_retry_failed_runs_only_those_tasks_of_an_array(new: Stack, name: str) -> None:
    wrapped = "--wrap 'exit $((SLURM_ARRAY_TASK_ID % 2))'"
    number = typed(new, f"hpcjobs sbatch --parsable -J {name} --array=0-4%3 -o /dev/null {wrapped}")
    new.finished(number)
    other = typed(new, f"hpcjobs retry --failed {number}").split()[3]
    new.finished(other)
    tasks = typed(new, f"squeue --states=all -h -o %K -r -j {other}").split()
    assert sorted(tasks) == ["1", "3"]


def test_what_was_kept_offline_goes_to_slurm_once(new: Stack, tmp_path: Path, name: str) -> None:
    door = Door(new.url)
    environment = {
        **os.environ, "HPCJOBS_URL": door.url, "HPCJOBS_TOKEN": new.token("alice"), "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"),
    }  # fmt: skip

    def hpcjobs(*words: str) -> str:
        done = subprocess.run([HPCJOBS, *words], env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    kept = ("sbatch", "--queue-offline", "-D", "/scratch", "-o", "/dev/null", "-J", name, "--hold", "--wrap", "true")
    assert "Queued offline as offline-" in hpcjobs(*kept)
    assert "Queued offline as offline-" in hpcjobs(*kept)
    assert new.slurm_jobs_named(name) == []
    door.open = True
    told = hpcjobs("jobs", "--name", name)
    numbers = re.findall(rf"\({name}\) is batch job (\d+) on cluster {new.cluster}", told)
    assert len(numbers) == 2
    assert numbers == sorted(numbers, key=int)
    hpcjobs("spool", "send")
    assert sorted(new.slurm_jobs_named(name)) == sorted(numbers)
    door.close()


def test_a_shell_completes_the_jobs_and_partitions_of_the_cluster(new: Stack, name: str) -> None:
    number = typed(new, f"hpcjobs sbatch --parsable -J {name} --hold --wrap true")
    tab = (
        'eval "$(hpcjobs completion bash)"; tab() { COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _hpcjobs; '
        'echo "${COMPREPLY[@]}"; }; '
    )
    new.wait(number, lambda job: job["state"] == "HELD")
    assert number in typed(new, f"{tab} tab hpcjobs release ''").split()
    assert typed(new, f"{tab} tab hpcjobs sbatch -p ''").split() == ["debug", "gpu"]
    assert typed(new, f"{tab} tab hpcjobs sbatch --tasks-per-n") == "--tasks-per-node"
    assert typed(new, f"{tab} tab hpcjobs jobs -M ''") == new.cluster


def test_an_option_of_ours_is_not_taken_for_the_beginning_of_slurms(new: Stack) -> None:
    answers = [new.typed(f"{program} --qu --help")[0] for program in ("sbatch", "hpcjobs sbatch")]
    assert answers == [0, 0]

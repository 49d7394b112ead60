"""The agent around real commands: signals, exit codes, what it hears and what it tells."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.injob import lines, status
from hpcjobs.injob.checkpoints import Checkpoints
from hpcjobs.injob.lines import Told
from hpcjobs.injob.state import Run

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "hpcjobs" / "injob"
AGENT = [sys.executable, "-I", "-S", str(FOLDER)]
PLAIN = ROOT / "examples" / "checkpoint" / "plain.py"

SAVE = """mkdir -p $HPCJOBS_CHECKPOINT_DIR/a && echo x >$HPCJOBS_CHECKPOINT_DIR/a/w &&
  echo "checkpoint $HPCJOBS_CHECKPOINT_DIR/a step 7" >>$HPCJOBS_REPORT_FILE"""


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "HPCJOBS_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def start():
    """Start an agent around a command; what still runs at the end is ended."""
    begun = []

    def begin(*words, **variables):
        process = subprocess.Popen(
            [*AGENT, *map(str, words)], env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(1.1)
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def run(start, *words, **variables):
    process = start("run", *words, **variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def told(folder):
    return json.loads(sorted((folder / "status").glob("attempt-*.json"))[-1].read_text())


def wait_for(look, for_s=30.0):
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


def test_the_command_gets_its_words_and_gives_its_code(start):
    assert run(start, "--", "sh", "-c", 'echo "$1"; exit 3', "-", "a  b") == (3, "a  b\n", "")
    assert run(start, "--", "sh", "-c", "kill -9 $$")[0] == 128 + 9
    assert run(start, "true")[0] == 0


def test_a_command_that_cannot_be_run_is_told_as_a_shell_does(start, tmp_path):
    code, _, err = run(start, "--", "/no/such/program")
    assert (code, err) == (127, "hpcjobs: /no/such/program: there is no such program\n")
    (tmp_path / "x").write_text("")
    assert run(start, "--", tmp_path / "x")[0] == 126


def test_a_checkpoint_that_a_shell_reports_by_the_file_is_published(start, tmp_path):
    code, _, _ = run(
        start, "--checkpoints", tmp_path, "--", "sh", "-c", f"echo step 7 loss 0.5 >>$HPCJOBS_REPORT_FILE; {SAVE}"
    )
    assert code == 0
    assert Checkpoints(tmp_path).latest_good().step == 7
    now = told(tmp_path)
    assert (now["step"], now["loss"], now["phase"], now["exit_code"]) == (7, 0.5, "ended", 0)
    assert Path(now["checkpoint"], "w").read_text() == "x\n"
    code, out, _ = run(start, "--checkpoints", tmp_path, "--", "sh", "-c", "echo $HPCJOBS_ATTEMPT $HPCJOBS_RESUME_FROM")
    assert out == f"2 {now['checkpoint']}\n"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_before_the_end_the_program_saves_and_the_agent_says_requeue_me(start, tmp_path, number):
    process = start(
        "run", "--checkpoints", tmp_path, "--", sys.executable, "-u", PLAIN, "--every", "100000", "--steps", "100000"
    )
    assert process.stdout.readline() == "attempt 1 begins at step 0\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    saved = Checkpoints(tmp_path).latest_good()
    assert saved.step == told(tmp_path)["checkpoint_step"] > 0
    assert told(tmp_path)["signal"] == number
    code, out, _ = run(start, "--checkpoints", tmp_path, "--", sys.executable, "-u", PLAIN, "--steps", saved.step + 3)
    assert code == 0
    end = saved.step + 3
    assert out == f"attempt 2 begins at step {saved.step}\n{end} steps, total {end * (end - 1) // 2}\n"


def test_a_hook_saves_in_place_of_the_signal(start, tmp_path):
    process = start(
        "run",
        "--checkpoints",
        tmp_path,
        "--save-hook",
        SAVE,
        "--",
        "sh",
        "-c",
        "trap 'exit 9' USR1; echo up; while :; do sleep 0.1; done",
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == 75
    assert told(tmp_path)["command_code"] == -signal.SIGTERM  # it never saw USR1
    assert Checkpoints(tmp_path).latest_good().step == 7


def test_when_the_grace_is_over_the_command_is_ended_and_the_code_is_requeue_me(start, tmp_path):
    stubborn = "trap '' USR1 TERM; echo up; while :; do sleep 0.1; done"
    process = start(
        "run", "--status", tmp_path / "s", "--grace", "0.5", "--kill-after", "0.5", "--", "sh", "-c", stubborn
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == 75
    assert json.loads((tmp_path / "s").read_text())["command_code"] == -signal.SIGKILL


def test_a_second_signal_ends_everything_at_once(start):
    process = start("run", "--", "sh", "-c", "trap '' USR1 TERM; sleep 1000 & echo $!; wait; wait; sleep 1000")
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGUSR1)  # at the same time: the same one
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    wait_for(lambda: not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text())


def test_other_signals_are_handed_on_and_mean_no_end(start):
    process = start("run", "--", "sh", "-c", "trap 'exit 5' HUP; echo up; while :; do sleep 0.1; done")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 5


@pytest.mark.parametrize(("ends", "code"), [("exit 0", 0), ("exit 93", 93), ("exit 1", 75)])
def test_a_program_that_ends_on_the_signal_without_saving(start, ends, code):
    process = start("run", "--", "sh", "-c", f"trap '{ends}' USR1; echo up; while :; do sleep 0.1; done")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == code


def test_an_orphan_is_ended_when_it_reports_a_checkpoint_beside_its_successor(start, tmp_path):
    slow = f"echo up; read go; {SAVE}; while :; do sleep 0.1; done"
    process = subprocess.Popen(
        [*AGENT, "run", "--checkpoints", tmp_path, "--", "sh", "-c", slow], env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "up\n"
    Checkpoints(tmp_path).begin(Run())
    _, err = process.communicate("go\n", timeout=30)
    assert process.returncode == 93
    assert "attempt 2 has the checkpoint folder" in err
    assert Checkpoints(tmp_path).latest_good() is None


def test_an_older_start_of_the_job_does_not_run_beside_its_successor(start, tmp_path):
    Checkpoints(tmp_path).begin(Run("7", 2))
    code, out, err = run(
        start, "--checkpoints", tmp_path, "--", "echo", "ran", SLURM_JOB_ID="7", SLURM_RESTART_COUNT="1"
    )
    assert (code, out) == (93, "")
    assert "restarted 2 times" in err


def test_a_folder_that_cannot_be_used_is_told(start, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(start, "--checkpoints", tmp_path / "file", "--", "echo", "ran")
    assert (code, out) == (74, "")
    assert "cannot be used" in err


def test_of_one_agent_a_task_rank_0_publishes_and_all_go_on_from_the_same(start, tmp_path):
    text = f'echo "$HPCJOBS_ATTEMPT $HPCJOBS_RESUME_FROM"; [ "$SLURM_PROCID" != 0 ] || {{ {SAVE}; }}'
    for restarts in range(2):
        tasks = [
            start("run", "--checkpoints", tmp_path, "--", "sh", "-c", text, SLURM_JOB_ID="9", SLURM_STEP_ID="0",
                SLURM_RESTART_COUNT=str(restarts), SLURM_PROCID=str(rank))
            for rank in (2, 1, 0)
        ]  # fmt: skip
        said = {task.communicate(timeout=60)[0] for task in tasks}
        assert len(said) == 1
        number, _, path = said.pop().strip().partition(" ")
        assert number == str(restarts + 1)
        assert bool(path) == bool(restarts)
    assert [one.attempt for one in Checkpoints(tmp_path).state().saved] == [1, 2]


def test_a_program_reports_steps_and_checkpoints_from_a_mounted_folder(start, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "injob").symlink_to(FOLDER)
    text = """
from injob import report
assert report.heartbeat() and report.attempt() == 1 and report.resume_from() is None
for n in range(1, 41):
    assert report.step(n, loss=1 / n)
report.step(41, float("nan"))
with report.saving(41) as folder:
    (folder / "w").write_text("w")
try:
    with report.saving(42) as folder:
        1 / 0
except ZeroDivisionError:
    assert not folder.exists()
try:
    with report.saving(43):
        pass
except Exception as error:
    print(type(error).__name__, error)
"""
    code, out, err = run(
        start, "--checkpoints", tmp_path / "c", "--", sys.executable, "-c", text, PYTHONPATH=str(tmp_path / "lib")
    )
    assert code == 0, err
    assert out.startswith("CheckpointError")
    assert "without files" in out
    now = told(tmp_path / "c")
    assert (now["step"], now["loss"], now["loss_finite"], now["checkpoint_step"]) == (41, None, False, 41)
    assert len(now["steps"]) == status.STEPS_TOLD
    assert "without files" in now["fault"]


def test_lines_that_are_none_and_floods_do_no_harm(start, tmp_path):
    process = start("run", "--checkpoints", tmp_path, "--", "sh", "-c", "echo $HPCJOBS_AGENT_SOCKET; exec sleep 1000")
    path = process.stdout.readline().strip()

    def talk(text):
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            try:
                line.sendall(text)
                line.shutdown(socket.SHUT_WR)
                line.recv(1000)
            except OSError:
                pass

    threads = [
        threading.Thread(target=talk, args=(text,))
        for text in [b"\xff\x00\n", b"x" * 1_000_000, b"step 9999999999999999999999\n", b"checkpoint /etc step 1\n"]
        * 50
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        line.sendall(b"step 5\ncheckpoint /etc step 1\n")
        assert b"failed /etc: checkpoints of attempt 1 are folders in" in line.recv(1000)
    process.terminate()
    process.communicate(timeout=30)
    now = told(tmp_path)
    assert now["step"] == 5
    assert len(now["fault"]) <= status.LONGEST_FAULT
    assert Path("/etc").is_dir()


def test_without_an_agent_reports_go_nowhere():
    text = (
        "from hpcjobs.injob import report\nassert not report.step(1) and not report.ending()\n"
        "try:\n  with report.saving(1): pass\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", text], env=environment(), capture_output=True, text=True, check=True)
    assert "start the program with hpcjobs run" in done.stdout


STEPS = st.one_of(st.none(), st.integers(0, 10**17))
LOSSES = st.one_of(st.none(), st.floats(allow_nan=False))
PATHS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Zs", "Cs"]), min_size=1).map(
    "/a b/".__add__
)


@given(STEPS, LOSSES)
def test_steps_are_read_as_they_were_written(step, loss):
    assert lines.read(lines.written(Told(step, loss))) == Told(step, loss)


@given(st.integers(0, 10**17), PATHS, st.one_of(st.none(), st.floats(0, 10**8).map(lambda x: round(x, 3))))
def test_checkpoints_are_read_as_they_were_written(step, path, took):
    assert lines.read(lines.written(Told(step, None, path, took))) == Told(step, None, path, took)


@given(st.text())
def test_no_text_is_more_than_a_line(text):
    said = lines.read(text)
    assert said is None or json.dumps(said._asdict())


def test_the_last_attempt_of_a_job_is_found_by_its_number_alone(start, tmp_path):
    where = {"HPCJOBS_CHECKPOINTS": str(tmp_path / "%A" / "%a"), "SLURM_ARRAY_JOB_ID": "10", "SLURM_ARRAY_TASK_ID": "2"}
    for restarts in ("0", "1"):
        code, _, err = run(start, "true", SLURM_JOB_ID="12", SLURM_RESTART_COUNT=restarts, **where)
        assert code == 0, err
        now = json.loads((tmp_path / "10" / "2" / "status" / "job-12.json").read_text())
        assert (now["job"], now["restarts"], now["attempt"]) == ("12", int(restarts), int(restarts) + 1)
        assert now["phase"] == "ended"

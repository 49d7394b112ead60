"""retry, logs of several jobs, filters, top and JSON: against the real application on a loopback port."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from hpcjobs.cli import retry
from hpcjobs.cli.output import last_lines
from hpcjobs.identity import make_token
from tests.api.test_command_line import ROOT, run, served, slurm, submitted  # noqa: F401
from tests.unit.builders import until


def shown(run, number) -> dict:  # noqa: F811
    return json.loads(run("show", "--json", str(number)).stdout)


def ended(run, slurm, number, raw_state: str = "FAILED") -> None:  # noqa: F811
    slurm.end(number, raw_state)
    until(lambda: shown(run, number)["fate"] == raw_state)


def test_what_slurm_still_has_is_requeued_and_starts_at_once(run, slurm):  # noqa: F811
    number = submitted(run, "-J", "again")
    ended(run, slurm, number)
    done = run("retry", str(number))
    assert (done.exit_code, done.stdout) == (0, f"Requeueing job {number} on cluster big\n"), done.stderr
    assert slurm._jobs[number].record.restarts == 1
    assert slurm._jobs[number].record.eligible_time <= time.time() + 1  # Slurm's own pause is two minutes
    too_soon = run("retry", str(number))
    assert (too_soon.exit_code, "has not ended" in too_soon.stderr) == (1, True)


def test_what_slurm_has_forgotten_or_may_not_requeue_is_submitted_again(run, slurm, tmp_path):  # noqa: F811
    script = tmp_path / "x.sh"
    script.write_text("#!/bin/sh\n#SBATCH --no-requeue --comment=hello\nsleep 9999\n")
    told = run("submit", "-J", "fresh", "--gpus-per-node", "1", str(script), "a", "b c")
    number = int(told.stdout.split()[3])
    until(lambda: shown(run, number)["raw_state"])
    ended(run, slurm, number)
    done = run("retry", "--json", str(number))
    (result,) = json.loads(done.stdout)
    assert (result["done"], result["how"]) == (True, "submitted")
    again = slurm._jobs[result["job"]["slurm_job_id"]].spec
    was = slurm._jobs[number].spec
    assert (again, was.args) == (was, ("a", "b c"))
    assert result["job"]["slurm_job_id"] != number


def test_what_somebody_else_has_requeued_meanwhile_makes_no_second_job(run, slurm, monkeypatch):  # noqa: F811
    monkeypatch.setattr(retry, "QUICKER_S", 60.0)  # the machine may be slow to list it again
    number = submitted(run, "-J", "race")
    ended(run, slurm, number)
    slurm.unlisted.add(number)
    slurm.set_state(slurm._jobs[number], "PENDING", reason="BeginTime", eligible_time=int(time.time()) + 60)
    listed = threading.Timer(0.5, slurm.unlisted.discard, [number])
    listed.start()
    done = run("retry", str(number))
    listed.join()
    assert (done.exit_code, "has been requeued meanwhile" in done.stderr) == (1, True), done.output
    assert max(slurm._jobs) == number


def test_as_a_new_job_where_one_says_so(run, slurm):  # noqa: F811
    number = submitted(run, "-J", "new")
    ended(run, slurm, number)
    done = run("retry", "--new", str(number))
    assert done.stdout == f"Submitted batch job {max(slurm._jobs)} on cluster big\n"
    assert max(slurm._jobs) > number


def test_an_operator_requeues_anybodys_job_and_submits_nobodys(run, slurm):  # noqa: F811
    number = submitted(run, "-J", "of-nobody")
    ended(run, slurm, number)
    for words in (["--new"], ["--json", "--new"]):
        done = run("retry", *words, str(number), user="ops")
        assert (done.exit_code, f"job {number} is nobody's, and would be submitted as ops's" in done.stderr) == (
            1,
            True,
        )
    told = run("submit", "-J", "of-nobody", "-", stdin="#!/bin/sh\n#SBATCH --no-requeue\nsleep 9999\n")
    fixed = int(told.stdout.split()[3])
    until(lambda: shown(run, fixed)["raw_state"])
    ended(run, slurm, fixed)
    done = run("retry", str(fixed), user="ops")
    assert (done.exit_code, "may not be requeued" in done.stderr) == (1, True), done.stderr
    assert max(slurm._jobs) == fixed
    done = run("retry", str(number), user="ops")
    assert (done.exit_code, done.stdout) == (0, f"Requeueing job {number} on cluster big\n"), done.stderr


def test_only_the_failed_tasks_of_an_array_run_again(run, slurm):  # noqa: F811
    told = run("submit", "-J", "array", "-", stdin="#!/bin/sh\n#SBATCH --array=0-4%3\nsleep 9999\n")
    number = int(told.stdout.split()[3])
    until(lambda: sum(e.record.array_job_id == number for e in slurm._jobs.values()) >= 3)
    assert run("retry", "--failed", str(number)).exit_code == 1

    def over() -> bool:
        """End the tasks that run; those that wait for them begin with the next listing."""
        for other, entry in list(slurm._jobs.items()):
            if entry.record.array_job_id == number and entry.record.raw_state == "RUNNING":
                task = int(entry.record.array_task)
                slurm.let_go(entry)
                entry.placed = ()
                slurm.end(other, "FAILED" if task in (1, 2, 4) else "COMPLETED")
        return bool(shown(run, number)["state"] == "FINISHED")

    until(over)
    done = run("retry", "--failed", str(number))
    assert done.exit_code == 0, done.output
    assert slurm._jobs[int(done.stdout.split()[3])].spec.array == "1-2,4%3"
    other = run("retry", "--failed", str(submitted_and_ended(run, slurm)))
    assert (other.exit_code, "is no array" in other.stderr) == (1, True)


def submitted_and_ended(run, slurm) -> int:  # noqa: F811
    number = submitted(run)
    ended(run, slurm, number)
    return number


def test_one_that_cannot_be_retried_keeps_no_other(run, slurm):  # noqa: F811
    number = submitted_and_ended(run, slurm)
    done = run("retry", "999999", str(number))
    assert done.exit_code == 1
    assert f"Requeueing job {number}" in done.stdout
    assert "There is no job '999999'" in done.stderr


def test_orders_answer_in_json(run):  # noqa: F811
    number = submitted(run)
    done = run("cancel", "--json", str(number), "999999")
    results = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [(one["asked"], one["done"]) for one in results] == [(str(number), True), ("999999", False)]
    assert results[0]["job"]["slurm_job_id"] == number
    assert results[1]["problem"]["code"] == "job-unknown"


def test_jobs_are_filtered_as_people_expect(run, slurm):  # noqa: F811
    number = submitted(run, "-J", "filters", "-p", "gpu", "-A", "vision")
    other = submitted(run, "-J", "filters")

    def listed(*words: str) -> list[int]:
        done = run("jobs", "--json", "--name", "filters", *words)
        assert done.exit_code == 0, done.stderr
        return [job["slurm_job_id"] for job in json.loads(done.stdout)]

    assert listed("--all") == listed("--me") == listed("--live") == listed("--since", "2h") == [other, number]
    assert listed("-p", "gpu") == listed("-A", "vision") == [number]
    assert listed("--until", "1h") == listed("-u", "alice") == []
    assert listed("--limit", "1") == [other]
    assert run("jobs", "--me", "--user", "alice").exit_code == 1
    assert run("jobs", "--since", "whenever").exit_code == 2


def test_showing_says_what_was_asked_for_why_it_waits_and_what_happened(run, slurm):  # noqa: F811
    held = run("submit", "-J", "told", "-t", "90", "-", stdin="#!/bin/sh\n#SBATCH --hold\ntrue\n")
    number = held.stdout.split()[3]
    until(lambda: shown(run, number)["state"] == "HELD")
    text = run("show", number).stdout
    assert "asked for  --" in text
    assert "--job-name=told" in text
    assert "hpcjobs release" in text
    assert "job.submitted" not in text
    assert "job.submitted" in run("show", "--events", number).stdout
    assert run("show", "--script", number).stdout == "#!/bin/sh\n#SBATCH --hold\ntrue\n"
    assert json.loads(run("show", "--json", "--detail", number).stdout)["spec"]["name"] == "told"
    both = json.loads(run("show", "--json", number, number).stdout)
    assert [one["name"] for one in both] == ["told", "told"]


@ROOT
def test_the_output_of_several_jobs_is_told_apart(run, slurm, folder):  # noqa: F811
    numbers = []
    for name in ("a", "b"):
        (folder / f"logs-{name}").write_text(f"{name}1\n{name}2\n")
        numbers.append(str(submitted(run, "-o", str(folder / f"logs-{name}"))))
    done = run("logs", "-n", "1", *numbers)
    assert done.stdout == f"==> {numbers[0]} <==\na2\n\n==> {numbers[1]} <==\nb2\n"
    missing = run("logs", numbers[0], "999999")
    assert (missing.exit_code, "a1\na2\n" in missing.stdout) == (1, True)

    def end() -> None:
        time.sleep(0.3)
        for number in numbers:
            slurm.end(int(number), "FAILED", exit_code=int(number == numbers[1]) * 3)

    ending = threading.Thread(target=end)
    ending.start()
    followed = run("logs", "-f", *numbers)
    ending.join()
    assert followed.exit_code == 3
    assert sorted(followed.stdout.splitlines()) == sorted(
        f"{number}: {name}{line}" for number, name in zip(numbers, "ab", strict=True) for line in (1, 2)
    )


@ROOT
def test_following_may_begin_with_the_last_lines(run, slurm, folder, monkeypatch):  # noqa: F811
    path = folder / "logs-tail"
    path.write_text("1\n2\n3\n")
    number = submitted(run, "-o", str(path))

    looked = threading.Event()

    def last_lines_and_tell(*asked):
        found = last_lines(*asked)
        looked.set()
        return found

    monkeypatch.setattr("hpcjobs.cli.output.last_lines", last_lines_and_tell)

    def end() -> None:
        looked.wait(60)
        with path.open("a") as out:
            out.write("4\n")
        slurm.end(number, "COMPLETED")

    ending = threading.Thread(target=end)
    ending.start()
    followed = run("logs", "-f", "--tail", "2", str(number))
    ending.join()
    assert (followed.exit_code, followed.stdout) == (0, "2\n3\n4\n")


def test_top_prints_one_frame_in_a_pipe(run):  # noqa: F811
    number = submitted(run, "-J", "in-top")
    text = run("top", "--once").stdout
    assert f"{number}" in text
    assert "in-top" in text
    assert "\x1b" not in text
    told = json.loads(run("top", "--json").stdout)
    assert told["user"] == "nobody"
    assert told["clusters"][0]["gpus"]["whole"] == 16
    assert number in [job["slurm_job_id"] for job in told["jobs"]]


@pytest.mark.thorough
def test_top_lives_on_a_terminal_follows_what_happens_and_cancels(run, served, slurm, tmp_path):  # noqa: F811
    """A terminal of 80x24: a job that comes is shown by its event, and c and y cancel it."""
    service, url = served
    mine = make_token(service.token_key, "topper", time.time(), 600)
    environment = {**os.environ, "HPCJOBS_URL": url, "HPCJOBS_TOKEN": mine, "TERM": "xterm-256color",
        "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    code = "from hpcjobs.cli.main import main; main(['top'])"
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=theirs, stdout=theirs) as top:
        screen = b""

        def wait_for(text: bytes) -> None:
            nonlocal screen
            deadline = time.monotonic() + 20
            while text not in screen:
                assert time.monotonic() < deadline, screen[-3000:]
                if select.select([ours], [], [], 0.2)[0]:
                    screen += os.read(ours, 65536)
            screen = b""

        try:
            wait_for(b"0 your jobs, by state")
            number = int(
                run("submit", "-J", "pushed", "-", stdin="#!/bin/sh\nsleep 9999\n", user="topper").stdout.split()[3]
            )
            wait_for(b"pushed")
            os.write(ours, b"c")
            wait_for(b"Cancel job")
            os.write(ours, b"y")
            wait_for(b"Cancelling job")
            until(lambda: slurm._jobs[number].record.raw_state == "CANCELLED")
            wait_for(b"0 your jobs, by state")
            os.write(ours, b"q")
            assert top.wait(10) == 0
        finally:
            if top.poll() is None:
                top.send_signal(signal.SIGKILL)
    os.close(theirs)
    os.close(ours)


@pytest.mark.thorough
def test_watching_shows_the_list_again_when_something_changes(run, served, tmp_path):  # noqa: F811
    service, url = served
    mine = make_token(service.token_key, "watcher", time.time(), 600)
    environment = {**os.environ, "HPCJOBS_URL": url, "HPCJOBS_TOKEN": mine, "XDG_CONFIG_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    code = "from hpcjobs.cli.main import main; main(['jobs', '--watch'])"
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout.readline().startswith("JOB\t")
        run("submit", "-J", "watched", "-", stdin="#!/bin/sh\nsleep 9999\n", user="watcher")
        assert watch.stdout.readline().startswith("JOB\t")
        assert "watched" in watch.stdout.readline()
        watch.kill()


@pytest.mark.parametrize(
    "words",
    [["login"], ["logout"], ["whoami"], ["config"], ["config", "use"], ["spool"], ["spool", "send"], ["retry"], ["top"],
        ["completion"]],
    ids=" ".join,
)  # fmt: skip
def test_every_new_command_explains_itself(run, words):  # noqa: F811
    done = run(*words, "-h")
    assert (done.exit_code, "Usage:" in done.stdout) == (0, True)

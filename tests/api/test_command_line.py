"""The command line against the real application on a loopback port."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner, Result

from hpcjobs.api.app import create_app
from hpcjobs.cli.main import main
from hpcjobs.client import Client
from hpcjobs.errors import SlurmUnavailable
from hpcjobs.identity import make_token
from hpcjobs.model.hints import Hints
from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings
from tests.api.bench import UnrulySlurm, settings_of
from tests.unit.builders import until

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(scope="module")
def served(empty_database, tmp_path_factory, spawner, folder):
    """The service on a port of its own, listing twenty times a second: its service and its address."""
    place = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpcjobs.output.POLL_S", 0.05)
        yield from serve(place, empty_database, folder)


def serve(
    place: Path, empty_database: Path, folder: Path, names: tuple[str, ...] = ("big",)
) -> Iterator[tuple[Service, str]]:
    shutil.copy(empty_database, place / "jobs.db")
    settings = settings_of(
        place,
        clusters=tuple(ClusterSettings(name, observe_s=0.05, file_roots=(str(folder),)) for name in names),
        spawner_socket=str(folder / "spawner.sock"),
    )
    service = Service(settings, {name: UnrulySlurm() for name in names})
    config = uvicorn.Config(create_app(service), port=0, log_level="error", ws="none", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started and service.target(None).observer.view)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield service, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def slurm(served) -> UnrulySlurm:
    return served[0].target(None).observer.backend


class Stdin(io.BytesIO):
    """As the real one, and unlike click's, it has a name."""

    name = "<stdin>"


@pytest.fixture
def run(served, monkeypatch, tmp_path):
    service, url = served
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HPCJOBS_URL", url)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: str, stdin: str = "", user: str = "nobody") -> Result:
        monkeypatch.setenv("HPCJOBS_TOKEN", make_token(service.token_key, user, time.time(), 600))
        return CliRunner().invoke(main, list(words), input=Stdin(stdin.encode()))

    return invoke


def submitted(run, *words: str, seconds: float = 9999) -> int:
    result = run("submit", *words, "-", stdin=f"#!/bin/sh\nsleep {seconds}\n")
    assert result.exit_code == 0, result.output
    number = int(result.stdout.split()[3])
    until(lambda: json.loads(run("show", "--json", str(number)).stdout)["raw_state"])
    return number


def test_a_script_is_submitted_under_its_name_with_its_arguments_and_options(run, slurm, tmp_path):
    path = tmp_path / "train.sh"
    path.write_text("#!/bin/sh\n#SBATCH --job-name=other --ntasks=3\nsleep 9999\n")
    result = run("submit", "-J", "mine", "-p", "gpu", "-N", "1-2", "--gpus-per-node", "a100:2", "--mem", "2G",
                 "-t", "10", "-o", "/tmp/o", str(path), "one", "two words")  # fmt: skip
    number = int(result.stdout.split()[3])
    assert result.stdout == f"Submitted batch job {number} on cluster big\n"
    spec = slurm._jobs[number].spec
    assert (spec.name, spec.script_name, spec.partition, spec.args) == ("mine", "train.sh", "gpu", ("one", "two words"))
    asked = spec.resources
    assert (asked.nodes, asked.nodes_max, asked.ntasks, asked.wall_s) == (1, 2, 3, 600)
    assert (asked.mem_per_node_bytes, asked.gpus_per_node) == (2 * 2**30, "a100:2")


def test_a_refused_script_is_told_line_by_line_and_is_exit_code_1(run):
    result = run("submit", "--gpus", "0", "-", stdin="echo hello\n")
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert "does not look like a batch script" in lines[0]
    assert "asks for no GPU" in lines[1]


def test_what_slurm_refuses_is_told_with_what_is_kept(run):
    result = run("submit", "-p", "nope", "-", stdin="#!/bin/sh\ntrue\n")
    assert result.exit_code == 1
    assert "Invalid partition name specified" in result.stderr
    assert "is kept as refused" in result.stderr


def test_jobs_are_listed_shown_and_cancelled(run):
    number = submitted(run, "-J", "looked-at")
    until(lambda: run("jobs", "--name", "looked-at", "--state", "running").stdout.count("\n") == 2)
    header, line = run("jobs", "--name", "looked-at").stdout.splitlines()
    assert header.split("\t")[:5] == ["JOB", "NAME", "USER", "PARTITION", "STATE"]
    assert line.split("\t")[:5] == [str(number), "looked-at", "nobody", "-", "RUNNING"]
    shown = run("show", str(number)).stdout
    assert f"{number} on big" in shown
    assert "RUNNING (RUNNING)" in shown
    assert run("cancel", str(number)).stdout == f"Cancelling job {number} on cluster big\n"
    until(lambda: "CANCELLED" in run("show", str(number)).stdout)
    again = run("cancel", str(number))
    assert (again.exit_code, "has already ended: CANCELLED" in again.stderr) == (1, True)


def test_json_is_one_document_of_the_same_facts(run):
    told = json.loads(run("submit", "--json", "-J", "as-json", "-", stdin="#!/bin/sh\nsleep 9999\n").stdout)
    assert told["name"] == "as-json"
    (listed,) = json.loads(run("jobs", "--json", "--name", "as-json").stdout)
    assert listed["id"] == json.loads(run("show", "--json", told["id"]).stdout)["id"] == told["id"]
    nodes = json.loads(run("nodes", "--json").stdout)
    assert [node["name"] for node in nodes] == ["n1", "n2"]


def test_partitions_are_listed_with_what_is_free_in_them(run):
    header, line, *_ = (row.split("\t") for row in run("partitions").stdout.splitlines())
    assert header[:5] == ["PARTITION", "STATE", "FREE NODES", "FREE CPUS", "FREE GPUS"]
    assert (line[0], line[1], line[5], line[-1]) == ("gpu*", "UP", "unlimited", "n[1-2]")
    assert json.loads(run("partitions", "--json").stdout)[0]["name"] == "gpu"


def test_what_a_job_used_is_told_once_accounting_has_told_of_it(run):
    number = str(submitted(run))
    told = run("usage", number)
    assert told.stdout.startswith("JOB\tSTATE\tSTARTED\tUSED\tGPUS"), told.stderr
    assert "accounting has not told of it yet" in told.stderr
    assert json.loads(run("usage", "--json", number).stdout)["runs"] == []


def test_what_happened_to_a_job_is_told_run_by_run(run):
    number = str(submitted(run))
    until(lambda: json.loads(run("show", "--json", number).stdout)["state"] == "RUNNING")
    assert run("requeue", number).exit_code == 0
    until(lambda: json.loads(run("show", "--json", number).stdout)["restarts"] == 1)
    assert f"1: see hpcjobs history {number}" in run("show", number).stdout
    told = run("history", number)
    assert told.exit_code == 0, told.output
    head, *_ = told.stdout.splitlines()
    assert head.split("\t") == ["RUN", "BEGAN", "RAN", "END", "THEN", "NODES"]
    assert "  nobody had it requeued." in told.stdout.splitlines()
    assert re.search(r"^ETTR [01]\.\d{3}: of [\d:]+ [\d:]+ were productive", told.stdout, re.M), told.stdout
    found = json.loads(run("history", "--json", number).stdout)
    assert [one["requeued_by"] for one in found["runs"]] == ["nobody", ""]


def test_advise_says_how_often_to_save_and_where_each_figure_is_from(run):
    told = run("advise", "--nodes", "128", "--save", "60")
    rows = dict(line.split("\t")[:2] for line in told.stdout.splitlines())
    assert (rows["nodes"], rows["a failure each"], rows["save after"]) == ("128", "1.2 d", "58 min")
    assert "RSC-1" in told.stderr
    found = json.loads(run("advise", "--json", "--nodes", "128", "--save", "60", "--every", "600").stdout)
    assert found["advice"]["interval_s"] == 600


def test_gpus_are_counted(run):
    header, *rows = run("gpus").stdout.splitlines()
    assert header.split("\t")[:4] == ["GPU", "NODES", "TOTAL", "ALLOCATED"]
    assert rows
    assert json.loads(run("gpus", "--json").stdout)["items"]


def test_nodes_are_listed(run):
    lines = run("nodes").stdout.splitlines()
    assert lines[0].split("\t")[0] == "NODE"
    assert [line.split("\t")[0] for line in lines[1:]] == ["n1", "n2"]


@pytest.mark.parametrize("command", ["show", "logs", "cancel"])
def test_a_job_of_another_user_or_of_nobody_is_told(run, command):
    number = submitted(run)
    other = run(command, str(number), user="alice")
    assert (other.exit_code, other.stderr) == (1, f"hpcjobs: error: There is no job '{number}'.\n")
    none = run(command, "999999")
    assert (none.exit_code, none.stderr) == (1, "hpcjobs: error: There is no job '999999'.\n")


def test_a_token_that_does_not_hold_is_told(run, monkeypatch):
    assert run("jobs").exit_code == 0
    monkeypatch.setattr("tests.api.test_command_line.make_token", lambda *_: "x.y.z")
    result = run("jobs")
    assert (result.exit_code, result.stderr.startswith("hpcjobs: error: The token does not hold")) == (1, True)


def test_a_job_that_waits_for_slurm_is_told_by_our_id_and_goes_out(run, slurm):
    slurm.mishaps = [SlurmUnavailable("The controller is busy.")]
    before = len(slurm._jobs)
    result = run("submit", "-J", "patient", "-", stdin="#!/bin/sh\nsleep 9999\n")
    assert result.exit_code == 0
    job_id, said = re.fullmatch(r"Accepted as job (\w{32}) on cluster big: (.*)\n", result.stdout).groups()
    assert "The controller is busy." in said
    until(lambda: len(slurm._jobs) == before + 1)
    until(lambda: json.loads(run("show", "--json", job_id).stdout)["slurm_job_id"] == before + 1)


@ROOT
def test_the_output_is_printed_byte_for_byte_and_its_tail(run, folder):
    path = folder / "cli-out"
    path.write_bytes(b"\xff\x00 binary\nand text\n")
    number = submitted(run, "-o", str(path))
    assert run("logs", str(number)).stdout_bytes == path.read_bytes()
    assert run("logs", "--tail", "1", str(number)).stdout == "and text\n"
    assert run("logs", "--tail", "2", str(number)).stdout_bytes == path.read_bytes()
    assert run("logs", "--tail-bytes", "5", str(number)).stdout == "text\n"
    missing = run("logs", "--stderr", str(number))
    assert (missing.exit_code, "has no output file yet" in missing.stderr) == (1, True)


@ROOT
@pytest.mark.parametrize(
    ("raw_state", "code", "exit_code"), [("COMPLETED", 0, 0), ("FAILED", 3, 3), ("CANCELLED", 0, 1), ("TIMEOUT", 0, 1)]
)
def test_following_prints_what_is_written_and_ends_as_the_job_does(run, slurm, folder, raw_state, code, exit_code):
    path = folder / f"cli-{raw_state}"
    path.write_bytes(b"first\n")
    number = submitted(run, "-o", str(path))

    def end() -> None:
        with path.open("ab") as out:
            out.write(b"last\n")
        slurm.end(number, raw_state, exit_code=code)

    timer = threading.Timer(0.1, end)
    timer.start()
    result = run("logs", "-f", str(number))
    timer.join()
    assert (result.exit_code, result.stdout) == (exit_code, "first\nlast\n")
    told = f"hpcjobs: job {number} ended {raw_state} (exit code {code})\n"
    assert result.stderr == ("" if exit_code == 0 else told)


@ROOT
def test_submit_and_follow_is_one_command(run, slurm, folder):
    path = folder / "cli-both"
    path.write_bytes(b"all of it\n")
    number = len(slurm._jobs) + 1

    def end() -> None:
        until(lambda: number in slurm._jobs)
        slurm.end(number, "COMPLETED")

    ending = threading.Thread(target=end)
    ending.start()
    result = run("submit", "-f", "-o", str(path), "-", stdin="#!/bin/sh\nsleep 9999\n")
    ending.join()
    assert (result.exit_code, result.stdout) == (0, f"Submitted batch job {number} on cluster big\nall of it\n")


@ROOT
def test_following_what_may_not_be_read_is_told_at_once(run, folder):
    path = folder / "cli-secret"
    path.write_bytes(b"root only")
    path.chmod(0o600)
    number = submitted(run, "-o", str(path))
    result = run("logs", "-f", str(number))  # one that is not told follows for ever: the job does not end
    assert (result.exit_code, f"nobody may not read {path}" in result.stderr) == (1, True)


def test_events_are_printed_a_line_each_and_followed(run, served):
    number = submitted(run, seconds=0.01)
    until(lambda: json.loads(run("show", "--json", str(number)).stdout)["fate"])
    result = run("events", "--job", str(number))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "job.submitted" in lines[0]
    assert lines[-1].endswith("-> COMPLETED")
    found = [
        json.loads(line)
        for line in run("events", "--job", str(number), "--json", "--kind", "job.state").stdout.splitlines()
    ]
    assert {event["kind"] for event in found} == {"job.state"}
    service, url = served
    with closing(Client(url, make_token(service.token_key, "nobody", time.time(), 600))) as client:
        followed = client.events(found[0]["seq"] - 1, job_id=str(number), kind="job.state")
        assert [next(followed).seq for _ in found] == [event["seq"] for event in found]
        followed.close()
    result = run("events", "--job", "99999")
    assert (result.exit_code, "There is no job '99999'" in result.stderr) == (1, True)


def test_jobs_are_held_released_signalled_and_say_why_they_wait(run, slurm):
    number = str(submitted(run, "-J", "orders"))
    until(lambda: json.loads(run("show", "--json", number).stdout)["raw_state"])
    held = run("submit", "-J", "held", "-", stdin="#!/bin/sh\n#SBATCH --hold\nsleep 9999\n")
    other = re.search(r"job (\d+)", held.stdout)[1]
    until(lambda: json.loads(run("show", "--json", other).stdout)["state"] == "HELD")
    answer = run("why", other)
    assert answer.exit_code == 0
    assert "hpcjobs release" in answer.stdout
    assert json.loads(run("why", "--json", other).stdout)["reason"] == "JobHeldUser"
    released = run("release", other)
    assert (released.exit_code, released.stdout) == (0, f"Releasing job {other} on cluster big\n")
    until(lambda: json.loads(run("show", "--json", other).stdout)["state"] != "HELD")
    bad = run("hold", "999999", other)
    assert (bad.exit_code, "There is no job '999999'" in bad.stderr) == (1, True)
    signalled = run("signal", "USR1", "--batch", number)
    assert (signalled.exit_code, signalled.stdout) == (0, f"Signalling job {number} on cluster big\n")
    ended = run("cancel", number, other)
    assert ended.exit_code == 0
    until(lambda: json.loads(run("show", "--json", other).stdout)["state"] == "FINISHED")
    assert "does not wait" in run("why", other).stdout


def test_what_a_job_tells_the_policies_is_told_by_options(run, slurm):
    words = ("--gang", "llama:4", "--elastic", "1-8", "--dataset", "a", "--dataset", "b", "--preemptible", "--urgent")
    number = submitted(run, *words)
    told = Hints("llama", 4, 1, 8, ("a", "b"), preemptible=True, urgent=True)
    assert slurm._jobs[number].spec.hints == told
    for gang in ("llama", "llama:x", ":"):
        result = run("submit", "--gang", gang, "-", stdin="#!/bin/sh\ntrue\n")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "NAME:SIZE" in result.stderr
    run("cancel", str(number))


def test_nodes_under_suspicion_are_shown_to_operators_and_pardoned_by_admins(run):
    made = run("lemons", "pardon", "n2", "--why", "new GPU", user="boss")
    assert made.exit_code == 0, made.output
    head, line = made.stdout.splitlines()
    assert head.split("\t")[:4] == ["NODE", "STANDING", "POINTS", "EXPECTED"]
    assert line.split("\t")[:4] == ["n2", "good", "0.00", "0.00"]
    assert [line.split("\t")[place] for place in (5, 9)] == ["pardoned by boss", "new GPU"]
    shown = run("lemons", user="ops")
    assert shown.stdout == made.stdout
    assert "points in 1000 node-days" in shown.stderr
    assert json.loads(run("lemons", "--json", user="ops").stdout)["items"][0]["pardon"]["by"] == "boss"
    assert run("lemons").exit_code == 1
    assert "no node" in run("lemons", "pardon", "n99", "--why", "x", user="boss").stderr


def test_what_policies_want_is_shown_to_operators(run, served):
    first = submitted(run, "-N", "2", "--gpus-per-node", "8", "-J", "fills")
    second = submitted(run, "-N", "2", "--gpus-per-node", "8", "--urgent")
    enabled = run("plugins", "enable", "urgent", "--settings", '{"points": 77}', user="boss")
    assert enabled.exit_code == 0, enabled.output
    service, _ = served
    try:
        until(lambda: service.policies["big"].shown().steered_jobs)
        shown = run("policies", user="ops")
        assert shown.exit_code == 0, shown.output
        assert re.search(rf"urgent\tprefer\t{second}\tpoints=77\tnobody says that it is urgent", shown.stdout)
        assert "Of the jobs of big, 1 stands otherwise" in shown.stderr
        assert json.loads(run("policies", "urgent", "--json", user="ops").stdout)["policies"][0]["name"] == "urgent"
        assert "no such policy" in run("policies", "nope", user="ops").stderr
        assert run("policies").exit_code == 1
        until(lambda: service.target(None).observer.backend._jobs[second].record.particulars.nice == -77)
    finally:
        assert run("plugins", "disable", "urgent", user="boss").exit_code == 0
        for number in (first, second):
            run("cancel", str(number))

"""Submissions that find no service: kept, and sent once, whenever and wherever the process is killed."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner, Result

from hpcjobs.cli.entry import OF_SLURM
from hpcjobs.cli.main import main
from hpcjobs.cli.sbatch.call import call
from hpcjobs.cli.spool.entries import Spool
from hpcjobs.client.problems import Unreachable
from hpcjobs.identity import make_token
from tests.api.bench import UnrulySlurm
from tests.api.test_command_line import served, slurm  # noqa: F401
from tests.unit.builders import until

SCRIPT = "#!/bin/sh\nsleep 9999\n"
QUEUED = re.compile(r"Queued offline as (offline-\d{13}-[0-9a-f]{4}); hpcjobs spool send sends it\n")


class Door:
    """A port in front of the service that is open or shut: the service's address is the same either way.

    Attributes:
        url: Where it is.
        lose_answers: Whether requests go through and their answers do not.
    """

    def __init__(self, url: str) -> None:
        self.target = int(url.rpartition(":")[2])
        self.open = False
        self.lose_answers = False
        self.passed = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._ends: list[socket.socket] = []
        self._begin(self._serve)

    def _begin(self, what: Callable[..., None], *told: object) -> None:
        self._threads.append(threading.Thread(target=what, args=told, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            if not self.open:
                one.close()
                continue
            self.passed += 1
            try:
                there = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                one.close()
                continue
            self._ends += [one, there]
            self._begin(self._copy, one, there, False)
            self._begin(self._copy, there, one, self.lose_answers)

    def _copy(self, source: socket.socket, sink: socket.socket, lose: bool) -> None:
        try:
            while data := source.recv(65536):
                if lose:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        """Let nobody in any more, and wait until all that went through has ended: no thread outlives its test."""
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
        self._threads[0].join(60)
        self._socket.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture
def door(served) -> Iterator[Door]:  # noqa: F811
    found = Door(served[1])
    yield found
    found.close()


@pytest.fixture
def variables(served, door, tmp_path) -> dict[str, str]:  # noqa: F811
    return {
        "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state"), "PATH": os.defpath,
        "HPCJOBS_URL": door.url, "HPCJOBS_TOKEN": make_token(served[0].token_key, "nobody", time.time(), 600),
    }  # fmt: skip


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("hpcjobs.cli.spool.direct.PATIENCE_S", 0.0)
    monkeypatch.setattr("hpcjobs.cli.spool.commands.PATIENCE_S", 0.0)


@pytest.fixture
def spool(tmp_path) -> Spool:
    return Spool(str(tmp_path / "state" / "hpcjobs" / "spool"))


@pytest.fixture
def run(variables, monkeypatch) -> Callable[..., Result]:
    for name in ("HPCJOBS_PROFILE", *variables):
        monkeypatch.setenv(name, variables.get(name, ""))

    def invoke(*words: str, stdin: str = SCRIPT) -> Result:
        return CliRunner().invoke(main, list(words), input=io.BytesIO(stdin.encode()))

    return invoke


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def sbatch(variables, monkeypatch, tmp_path, capsys) -> Callable[..., Answer]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sh").write_text(SCRIPT)

    def typed(*words: str, **more: str) -> Answer:
        code = call(words, {**variables, **more})
        return Answer(code, *capsys.readouterr())

    return typed


def names(slurm: UnrulySlurm, begin: str) -> list[str]:  # noqa: F811
    """Names of the jobs that Slurm has ever taken, in its order."""
    return [entry.record.name for entry in slurm._jobs.values() if entry.record.name.startswith(begin)]


def test_what_finds_no_service_is_kept_and_sent_by_the_next_command(sbatch, run, door, slurm, spool):  # noqa: F811
    first, second = (sbatch("--queue-offline", "-J", f"kept-{n}", "job.sh", "a b", MINE="1") for n in (1, 2))
    for answer in (first, second):
        assert answer.code == 0
        assert QUEUED.fullmatch(answer.out)
        assert "does not answer" in answer.err
    assert names(slurm, "kept-") == []
    door.open = True
    listed = run("jobs", "--name", "nothing")
    assert names(slurm, "kept-") == ["kept-1", "kept-2"]
    told = listed.stderr.splitlines()
    assert [re.sub(r"offline-\S+|\d+", "N", line) for line in told] == [
        "hpcjobs: N (kept-N) is batch job N on cluster big"
    ] * 2
    spec = slurm._jobs[max(slurm._jobs)].spec
    assert (spec.args, spec.environment["MINE"], spec.script) == (("a b",), "1", SCRIPT)
    assert "HPCJOBS_TOKEN" not in spec.environment
    assert (spool.waiting(), run("jobs", "--name", "nothing").stderr) == ([], "")
    assert [entry.state for entry in spool.done()] == ["sent", "sent"]


@pytest.mark.parametrize("words", [["squeue", "-h"], ["sinfo", "-h"], ["scontrol", "show", "node"]])
def test_a_stand_in_that_reached_the_service_sends_what_waits(sbatch, door, slurm, variables, capsys, words):  # noqa: F811
    name = f"stood-{words[0]}"
    sbatch("--queue-offline", "-J", name, "job.sh")
    module = importlib.import_module(OF_SLURM[words[0]])
    assert module.call(["--version"], variables) == 0
    assert names(slurm, name) == []
    capsys.readouterr()
    door.open = True
    assert module.call(words[1:], variables) == 0
    assert f"({name}) is batch job" in capsys.readouterr().err
    assert names(slurm, name) == [name]


def test_a_later_sbatch_sends_what_waits_too(sbatch, door, slurm):  # noqa: F811
    sbatch("--queue-offline", "-J", "later-1", "job.sh")
    door.open = True
    answer = sbatch("-J", "later-2", "job.sh")
    assert answer.code == 0
    assert re.fullmatch(r"Submitted batch job \d+\n", answer.out)
    assert "(later-1) is batch job" in answer.err
    assert sorted(names(slurm, "later-")) == ["later-1", "later-2"]


def test_what_is_submitted_with_it_goes_behind_what_waits(sbatch, door, slurm):  # noqa: F811
    sbatch("--queue-offline", "-J", "order-1", "job.sh")
    door.open = True
    answer = sbatch("--queue-offline", "-J", "order-2", "job.sh")
    assert re.fullmatch(r"Submitted batch job \d+\n", answer.out)
    assert names(slurm, "order-") == ["order-1", "order-2"]


def test_it_is_an_option_that_must_be_written_out(sbatch, door):
    assert "unrecognized option '--queue'" in sbatch("--queue", "job.sh").err
    assert "option '--quiet' doesn't allow an argument" in sbatch("--qu=x", "job.sh").err
    assert sbatch("--queue-offline=yes", "job.sh").code == 255
    assert sbatch("--help").out.count("--queue-offline") == 1


def test_scripts_can_tell_what_waits_from_a_number(sbatch, door):
    answer = sbatch("--parsable", "--queue-offline", "job.sh")
    assert (answer.code, answer.out[:8], answer.out.strip().isdigit()) == (0, "offline-", False)
    quiet = sbatch("-Q", "--queue-offline", "job.sh")
    assert quiet.out == ""
    assert "Queued offline as offline-" in quiet.err


def test_a_profile_can_say_it_for_all(sbatch, run, door, variables, tmp_path):
    (tmp_path / "config" / "hpcjobs").mkdir(parents=True)
    (tmp_path / "config" / "hpcjobs" / "config.toml").write_text("queue_offline = true\n")
    assert QUEUED.fullmatch(sbatch("job.sh").out)
    told = run("submit", "-J", "from-submit", "-")
    assert QUEUED.fullmatch(told.stdout), told.output
    assert json.loads(run("submit", "--json", "-").stdout)["queued_offline"].startswith("offline-")


def test_without_it_a_service_that_is_away_is_an_error(sbatch, door, spool, monkeypatch):
    monkeypatch.setattr("hpcjobs.client.patience.RETRY_FOR_S", 0.0)
    answer = sbatch("job.sh")
    assert (answer.code, answer.out, spool.waiting()) == (1, "", [])


def test_a_refusal_is_told_at_once_and_not_kept(sbatch, door, spool):
    door.open = True
    answer = sbatch("--queue-offline", "-p", "nope", "job.sh")
    assert (answer.code, answer.out) == (1, "")
    assert "sbatch: error: Batch job submission failed: Invalid partition name specified" in answer.err
    assert (spool.waiting(), spool.done()) == ([], [])


def test_a_token_that_does_not_hold_is_an_error_and_nothing_is_kept(sbatch, door, spool):
    door.open = True
    answer = sbatch("--queue-offline", "job.sh", HPCJOBS_TOKEN="x.y.z")
    assert (answer.code, "hpcjobs login" in answer.err, spool.waiting()) == (1, True, [])


def test_what_is_refused_later_is_kept_and_told_and_keeps_no_other(sbatch, run, door, slurm, spool):  # noqa: F811
    for name, partition in (("ref-1", "gpu"), ("ref-2", "nope"), ("ref-3", "gpu")):
        assert sbatch("--queue-offline", "-J", name, "-p", partition, "job.sh").code == 0
    door.open = True
    sent = run("spool", "send")
    assert sent.exit_code == 1
    assert names(slurm, "ref-") == ["ref-1", "ref-3"]
    assert "(ref-2) was refused, and is kept: " in sent.stderr
    assert "Invalid partition" in sent.stderr
    (refused,) = [entry for entry in spool.done() if entry.state == "refused"]
    assert refused.request["script"] == SCRIPT
    listed = json.loads(run("spool", "list", "--json").stdout)
    assert [(one["name"], one["state"]) for one in listed] == [("ref-2", "refused")]
    assert run("spool", "send").exit_code == 0  # it is not said again by itself
    again = run("spool", "send", refused.id)
    assert (again.exit_code, "was refused" in again.stderr) == (1, True)
    assert run("spool", "drop", refused.id).stdout == f"Dropped {refused.id}\n"
    assert run("spool", "show", refused.id).exit_code == 1


def test_it_is_listed_shown_and_dropped(sbatch, run, door, slurm, spool):  # noqa: F811
    sbatch("--queue-offline", "-J", "shown", "--time=5", "job.sh")
    (entry,) = spool.waiting()
    line = run("spool", "list").stdout.splitlines()[1].split("\t")
    assert line[:3] == [entry.id, "shown", "waiting"]
    text = run("spool", "show", entry.id).stdout
    assert "nobody of hpcjobs" in text
    assert "sleep 9999" in text
    assert json.loads(run("spool", "show", "--json", entry.id).stdout)["request"]["resources"]["wall_s"] == 300
    assert run("spool", "drop", entry.id).exit_code == 0
    door.open = True
    assert run("spool", "send").stdout == ""
    assert names(slurm, "shown") == []
    assert run("spool", "show", "../../x").exit_code == 1


def test_only_the_owner_can_read_it_and_the_token_is_not_in_it(sbatch, variables, door, tmp_path):
    sbatch("--queue-offline", "job.sh")
    paths = list((tmp_path / "state" / "hpcjobs").rglob("*"))
    assert len(paths) > 3
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            assert variables["HPCJOBS_TOKEN"].encode() not in path.read_bytes()


def test_times_are_those_of_the_call(sbatch, run, door, slurm):  # noqa: F811
    before = time.time()
    sbatch("--queue-offline", "-J", "time-1", "--begin=now+1hour", "job.sh")
    run("submit", "--queue-offline", "-J", "time-2", "-", stdin="#!/bin/sh\n#SBATCH --begin=now+1hour\ntrue\n")
    after = time.time()
    time.sleep(1.1)
    door.open = True
    assert run("spool", "send").exit_code == 0
    for entry in [entry for entry in slurm._jobs.values() if entry.record.name.startswith("time-")]:
        assert before + 3599 <= int(entry.spec.begin.removeprefix("uts")) <= after + 3600


def test_another_user_or_profile_does_not_send_it(sbatch, run, door, slurm, served, spool, variables, monkeypatch):  # noqa: F811
    sbatch("--queue-offline", "-J", "mine", "job.sh")
    door.open = True
    monkeypatch.setenv("HPCJOBS_TOKEN", make_token(served[0].token_key, "alice", time.time(), 600))
    other = run("spool", "send")
    assert (other.exit_code, "kept by nobody of hpcjobs, and you are alice of hpcjobs now" in other.stderr) == (1, True)
    monkeypatch.setenv("HPCJOBS_URL", served[1])
    assert "1 more wait for" in run("spool", "send").stderr
    assert (names(slurm, "mine"), len(spool.waiting())) == ([], 1)


def test_an_answer_that_was_lost_makes_one_job(sbatch, run, door, slurm, spool):  # noqa: F811
    door.open = door.lose_answers = True
    answer = sbatch("--queue-offline", "-J", "lost", "job.sh")
    assert QUEUED.fullmatch(answer.out)
    until(lambda: names(slurm, "lost"))
    door.lose_answers = False
    assert "(lost) is batch job" in run("spool", "send").stdout
    assert names(slurm, "lost") == ["lost"]
    assert spool.waiting() == []


KILLED = """
import os, signal, sys
{prepare}
from hpcjobs.cli.sbatch.call import call
sys.exit(call({words!r}))
"""
POINTS = {
    "before it is on disk": "import hpcjobs.cli.private as m; m.os.replace = die",
    "when it has its name": "import hpcjobs.cli.private as m; m.sync_folder = die",
    "before it is sent": "import hpcjobs.cli.spool.sending as m; m._send_one = die",
    "when the answer is there": "import hpcjobs.cli.spool.entries as m; m.Spool.settle = die",
    "in the middle of writing the answer": (
        "import hpcjobs.cli.private as m; real = m.os.replace\\n"
        "def second(a, b): real(a, b) if 'waiting' in b else die()\\nm.os.replace = second"
    ),
    "when the answer is written": "import hpcjobs.cli.spool.entries as m; m.Spool._leave = die",
    "before the caller is told": "import hpcjobs.cli.sbatch.local as m; m._show = die",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_anywhere_loses_and_doubles_nothing(run, door, slurm, spool, variables, tmp_path, point):  # noqa: F811
    (tmp_path / "job.sh").write_text(SCRIPT)
    door.open = True
    name = f"kill-{list(POINTS).index(point)}"
    prepare = "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n" + POINTS[point].replace("\\n", "\n")
    words = ["--queue-offline", "-J", name, "job.sh"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(prepare=prepare, words=words)],
        env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)}, cwd=tmp_path, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = 0 if point == "before it is on disk" else 1  # the call was killed before it had said anything to anybody
    for _ in range(2):
        assert run("spool", "send").exit_code == 0
        assert names(slurm, name) == [name] * kept
    assert spool.waiting() == []
    assert len(spool.done()) == kept
    assert len([entry for entry in slurm._jobs.values() if entry.record.name == name]) == kept


SENDING_POINTS = [point for point in POINTS if point not in list(POINTS)[:2] and point != "before the caller is told"]


@pytest.mark.thorough
@pytest.mark.parametrize("point", SENDING_POINTS)
def test_the_same_for_whoever_sends_what_waits(run, sbatch, door, slurm, spool, variables, tmp_path, point):  # noqa: F811
    name = f"later-kill-{SENDING_POINTS.index(point)}"
    for number in (1, 2):
        sbatch("--queue-offline", "-J", f"{name}-{number}", "job.sh")
    door.open = True
    prepare = "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n" + POINTS[point].replace("\\n", "\n")
    send = f"import os, signal\n{prepare}\nfrom hpcjobs.cli.main import main\nmain(['spool', 'send'])"
    done = subprocess.run(
        [sys.executable, "-c", send],
        env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run("spool", "send").exit_code == 0
    assert names(slurm, name) == [f"{name}-1", f"{name}-2"]
    assert spool.waiting() == []


@pytest.mark.thorough
def test_many_processes_that_send_at_once_send_each_once(sbatch, door, slurm, spool, variables):  # noqa: F811
    for number in range(4):
        sbatch("--queue-offline", "-J", f"crowd-{number}", "job.sh")
    door.open = True
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", "from hpcjobs.cli.main import main; main(['spool', 'send'])"],
            env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    told = b"".join(one.communicate(timeout=60)[0] for one in senders)
    assert names(slurm, "crowd-") == [f"crowd-{number}" for number in range(4)]
    assert told.count(b" is batch job ") == 4
    assert spool.waiting() == []


def test_many_processes_that_keep_at_once_keep_each(variables, spool, tmp_path):
    (tmp_path / "job.sh").write_text(SCRIPT)
    code = (
        "from hpcjobs.cli.spool.entries import Spool; from hpcjobs.profiles import load; "
        f"s = Spool({spool.folder!r}); [s.add(load(), {{'name': str(n)}}) for n in range(20)]"
    )
    senders = [
        subprocess.Popen([sys.executable, "-c", code], env={**variables, "PYTHONPATH": os.pathsep.join(sys.path)})
        for _ in range(3)
    ]
    assert [one.wait(60) for one in senders] == [0, 0, 0]
    assert len(spool.waiting()) == 60


def test_where_nothing_can_be_kept_the_call_is_as_without_it(sbatch, door, slurm, tmp_path):  # noqa: F811
    (tmp_path / "state").write_text("a file where the folder would be")
    door.open = True
    answer = sbatch("--queue-offline", "-J", "no-disk", "job.sh")
    assert (answer.code, names(slurm, "no-disk")) == (0, ["no-disk"])
    assert "nothing can be kept for later" in answer.err


def test_what_was_sent_long_ago_is_forgotten_and_half_written_files_too(run, sbatch, door, spool, tmp_path):
    sbatch("--queue-offline", "job.sh")
    door.open = True
    assert run("spool", "send").exit_code == 0
    (entry,) = spool.done()
    spool._write(spool.done_folder, entry._replace(settled_at=time.time() - 31 * 86_400))
    draft = Path(spool.waiting_folder) / ".offline-1.json.1.1"
    draft.write_text("{")
    os.utime(draft, (0, 0))
    assert run("spool", "send").exit_code == 0
    assert (spool.done(), draft.exists()) == ([], False)


def test_housekeeping_never_fails_a_submission(sbatch, door, slurm, spool, monkeypatch):  # noqa: F811
    """A file that another process has just finished, or taken away, is no longer there to be looked at."""
    assert sbatch("--queue-offline", "-J", "house-1", "job.sh").code == 0
    draft = Path(spool.waiting_folder) / ".offline-1.json.1.1"
    draft.write_text("{")
    os.utime(draft, (0, 0))
    real = os.unlink

    def too_late(path, *more, **named):
        if str(path) == str(draft):
            raise FileNotFoundError(path)
        real(path, *more, **named)

    monkeypatch.setattr("hpcjobs.cli.spool.entries.os.unlink", too_late)
    door.open = True
    assert sbatch("--queue-offline", "-J", "house-2", "job.sh").code == 0
    assert names(slurm, "house-") == ["house-1", "house-2"]


def test_a_file_that_is_no_submission_is_told_and_keeps_no_other(sbatch, run, door, slurm, spool):  # noqa: F811
    assert sbatch("--queue-offline", "-J", "strange-1", "job.sh").code == 0
    (first,) = spool.waiting()
    strangers = [
        Path(spool.waiting_folder, "offline-x.json"), Path(spool.waiting_folder, "offline-1234567890123-abcd.json"),
        Path(spool.done_folder, f"{first.id}.json"), Path(spool.done_folder, "offline-1234567890123-0000.json"),
    ]  # fmt: skip
    strangers[0].write_text("x")
    for path in strangers[1:3]:
        path.write_text("{}")
    strangers[3].mkdir()
    listed = run("spool", "list")
    assert (listed.exit_code, "strange-1" in listed.stdout) == (0, True)
    for path in strangers:
        assert f"warning: {path} cannot be read" in listed.stderr
    door.open = True
    answer = sbatch("--queue-offline", "-J", "strange-2", "job.sh")
    assert (answer.code, answer.out.startswith("Submitted batch job ")) == (0, True), answer.err
    told = run("submit", "--queue-offline", "-J", "strange-3", "-")
    assert (told.exit_code, told.stdout.startswith("Submitted batch job ")) == (0, True), told.stderr
    assert names(slurm, "strange-") == ["strange-1", "strange-2", "strange-3"]
    assert spool.waiting() == []


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_when_the_answer_comes_makes_one_job(sbatch, run, door, slurm, spool, monkeypatch):  # noqa: F811
    real = Spool._write
    with monkeypatch.context() as full:
        full.setattr(
            Spool,
            "_write",
            lambda self, folder, entry: (real if folder == self.waiting_folder else no_room)(self, folder, entry),
        )
        door.open = True
        answer = sbatch("--queue-offline", "-J", "full-1", "job.sh")
        assert (answer.code, answer.out.startswith("Submitted batch job ")) == (0, True), answer.err
        assert "No space left" in answer.err
        told = run("submit", "--queue-offline", "-J", "full-2", "-")
        assert (told.exit_code, told.stdout.startswith("Submitted batch job ")) == (0, True), told.stderr
        assert "cannot be kept" not in told.stderr
    assert names(slurm, "full-") == ["full-1", "full-2"]
    assert run("spool", "send").exit_code == 0
    assert (names(slurm, "full-"), spool.waiting()) == (["full-1", "full-2"], [])


@pytest.mark.parametrize("what", ["entries.Spool.sending", "sending.Client"])
def test_what_is_kept_and_cannot_be_sent_waits_and_makes_no_second_job(
    sbatch, run, door, slurm, spool, monkeypatch, what  # noqa: F811
):  # fmt: skip
    name = f"kept-by-{what[:7]}"
    with monkeypatch.context() as broken:
        broken.setattr(f"hpcjobs.cli.spool.{what}", no_room)
        door.open = True
        answer = sbatch("--queue-offline", "-J", name, "job.sh")
        assert (answer.code, bool(QUEUED.fullmatch(answer.out))) == (0, True), answer.err
        (entry,) = spool.waiting()
        assert f"kept as {entry.id}: " in answer.err
        assert QUEUED.fullmatch(run("submit", "--queue-offline", "-J", name, "-").stdout)
    assert names(slurm, name) == []
    assert run("spool", "send").exit_code == 0
    assert names(slurm, name) == [name] * 2


def test_what_has_its_name_is_kept_though_its_folder_cannot_be_synced(sbatch, run, door, slurm, spool, monkeypatch):  # noqa: F811
    door.open = True
    with monkeypatch.context() as full:
        full.setattr("hpcjobs.cli.private.sync_folder", no_room)
        assert sbatch("--queue-offline", "-J", "unsynced", "job.sh").code == 0
    assert run("spool", "send").exit_code == 0
    assert (names(slurm, "unsynced"), spool.waiting()) == (["unsynced"], [])


class Answers:
    """A service that says to each request what stands in a list; ``None``: it hears the request, and hangs up."""

    def __init__(self, *answers: tuple[int, dict[str, object]] | None) -> None:
        self.keys: list[str] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has given all its answers
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._socket.close()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                one, _ = self._socket.accept()
            except OSError:
                return
            # Who asked may have hung up: that is seen there, and here it would be an error of the next test.
            with contextlib.suppress(OSError), one, one.makefile("rb") as said:
                length = 0
                while line := said.readline().strip().lower():
                    name, _, value = line.partition(b":")
                    length = int(value) if name == b"content-length" else length
                    self.keys += [value.strip().decode()] if name == b"idempotency-key" else []
                said.read(length)
                if answer is None:
                    continue
                body = json.dumps(answer[1]).encode()
                head = f"HTTP/1.1 {answer[0]} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                one.sendall(head.encode() + body)
        self._socket.close()


@pytest.fixture
def answering() -> Iterator[Callable[..., Answers]]:
    """Makes services that say what they are told to; none outlives the test."""
    made: list[Answers] = []

    def make(*answers: tuple[int, dict[str, object]] | None) -> Answers:
        made.append(Answers(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


NO_TOKEN = (401, {"code": "not-authenticated", "detail": "The token has expired."})
NOT_ALLOWED = (403, {"code": "not-allowed", "detail": "Not you."})
NO_CLUSTER = (404, {"code": "cluster-unknown", "detail": "There is no such cluster."})
INVALID = (422, {"code": "refused", "detail": "It cannot be.", "errors": [{"field": "", "detail": "Never."}]})
OTHER = (409, {"code": "conflict", "detail": "This Idempotency-Key was used for another request."})
NONE_RUNS = (422, {"code": "refused", "detail": "Slurm says no.", "kept": "Job 7 is kept as refused."})


@pytest.mark.parametrize("refusal", [NO_TOKEN, NOT_ALLOWED, NO_CLUSTER, INVALID], ids=lambda one: str(one[0]))
def test_a_refusal_after_a_try_without_answer_keeps_what_may_be_a_job(
    sbatch, run, spool, monkeypatch, refusal, answering
):
    monkeypatch.setattr("hpcjobs.cli.spool.direct.PATIENCE_S", 5.0)
    monkeypatch.setattr("hpcjobs.client.problems.AWAY_RETRY_S", 0.01)
    service = answering(None, refusal, refusal)
    answer = sbatch("--queue-offline", "job.sh", HPCJOBS_URL=service.url)
    (entry,) = spool.waiting() + [one for one in spool.done() if one.state == "refused"]
    assert (answer.code, answer.out) == (1, "")
    assert f"It is kept as {entry.id}: its job may be there all the same" in answer.err
    monkeypatch.setenv("HPCJOBS_URL", service.url)
    assert run("spool", "send", entry.id).exit_code == 1
    assert service.keys == [entry.key] * 3


@pytest.mark.parametrize("refusal", [NO_TOKEN, NOT_ALLOWED, NO_CLUSTER, INVALID], ids=lambda one: str(one[0]))
def test_a_refusal_of_the_first_try_is_not_kept(sbatch, spool, refusal, answering):
    answer = sbatch("--queue-offline", "job.sh", HPCJOBS_URL=answering(refusal).url)
    assert (answer.code, "kept as" in answer.err, spool.waiting(), spool.done()) == (1, False, [], [])


@pytest.mark.parametrize("became", ["sent", "tried"])
def test_what_another_process_has_sent_or_tried_meanwhile_is_not_dropped_either(
    sbatch, spool, monkeypatch, became, answering
):
    """An earlier one meets a token that does not hold, while this one's fate was decided elsewhere."""
    sbatch("--queue-offline", "job.sh", HPCJOBS_URL="http://127.0.0.1:1")
    service = answering(NO_TOKEN)
    (first,) = spool.waiting()
    spool.note(first._replace(url=service.url), [])
    real = Spool.add

    def add(self, config, request):
        entry = real(self, config, request)
        self.settle(entry.as_sent("j7", 7, "big")) if became == "sent" else self.begin(entry)
        return entry

    monkeypatch.setattr(Spool, "add", add)
    answer = sbatch("--queue-offline", "job.sh", HPCJOBS_URL=service.url)
    if became == "sent":
        assert (answer.code, answer.out) == (0, "Submitted batch job 7\n")
    else:
        assert (answer.code, "its job may be there all the same" in answer.err) == (1, True)
        assert [entry.doubtful for entry in spool.waiting()] == [False, True]


def test_a_key_that_was_used_for_another_request_is_never_changed(sbatch, run, spool, monkeypatch, answering):
    service = answering(OTHER, OTHER)
    answer = sbatch("--queue-offline", "job.sh", HPCJOBS_URL=service.url)
    (entry,) = spool.done()
    assert (answer.code, entry.state) == (1, "refused")
    assert f"It is kept as {entry.id}: its job is there" in answer.err
    monkeypatch.setenv("HPCJOBS_URL", service.url)
    told = run("spool", "send", entry.id)
    assert (told.exit_code, "its job is there" in told.stderr) == (1, True)
    assert service.keys == [entry.key] * 2


def test_what_the_service_keeps_as_refused_gets_another_key_though_an_answer_was_lost(
    sbatch, run, spool, monkeypatch, answering
):
    service = answering(None, NONE_RUNS, NONE_RUNS)
    assert sbatch("--queue-offline", "job.sh", HPCJOBS_URL=service.url).code == 0
    monkeypatch.setenv("HPCJOBS_URL", service.url)
    assert run("spool", "send").exit_code == 1
    (entry,) = spool.done()
    assert run("spool", "send", entry.id).exit_code == 1
    assert service.keys[0] == service.keys[1] != service.keys[2]


def test_who_is_killed_while_it_is_sent_leaves_it_doubtful(sbatch, spool, monkeypatch):
    def die(*_, **__):
        raise SystemExit(9)

    with monkeypatch.context() as killed:
        killed.setattr("hpcjobs.client.Client.ask", die)
        with pytest.raises(SystemExit):
            sbatch("--queue-offline", "job.sh")
    assert [entry.doubtful for entry in spool.waiting()] == [True]


def test_where_nobody_listens_nothing_is_doubtful(sbatch, spool):
    assert sbatch("--queue-offline", "job.sh", HPCJOBS_URL="http://127.0.0.1:1").code == 0
    assert [entry.doubtful for entry in spool.waiting()] == [False]


def test_a_job_that_was_sent_has_its_number_told_though_it_cannot_be_looked_at(run, door, slurm, monkeypatch):  # noqa: F811
    def away(_client, _job, **_):
        raise Unreachable(0, "service-unreachable", "It has gone.", retry_after_s=2.0)

    monkeypatch.setattr("hpcjobs.client.Client.job", away)
    door.open = True
    told = run("submit", "--queue-offline", "-J", "unseen", "-")
    assert (told.exit_code, told.stdout) == (0, f"Submitted batch job {max(slurm._jobs)} on cluster big\n"), told.stderr
    both = run("submit", "--queue-offline", "--json", "-J", "unseen", "-")
    assert (both.exit_code, json.loads(both.stdout)["slurm_job_id"]) == (0, max(slurm._jobs))
    assert "It has gone." in both.stderr


def test_an_address_written_otherwise_or_another_profile_sends_it_too(
    sbatch, run, door, slurm, variables, monkeypatch, tmp_path  # noqa: F811
):  # fmt: skip
    (tmp_path / "config" / "hpcjobs").mkdir(parents=True)
    (tmp_path / "config" / "hpcjobs" / "config.toml").write_text('[profiles.other]\ncluster = "big"\n')
    port = door.url.rpartition(":")[2]
    assert sbatch("--queue-offline", "-J", "spelt", "job.sh", HPCJOBS_URL=f"HTTP://127.0.0.1:{port}/").code == 0
    door.open = True
    monkeypatch.setenv("HPCJOBS_PROFILE", "other")
    assert "(spelt) is batch job" in run("jobs", "--name", "nothing").stderr
    assert names(slurm, "spelt") == ["spelt"]


def test_what_another_profiles_user_has_kept_is_not_told_at_every_command(
    sbatch, run, door, served, spool, monkeypatch, tmp_path  # noqa: F811
):  # fmt: skip
    (tmp_path / "config" / "hpcjobs").mkdir(parents=True)
    (tmp_path / "config" / "hpcjobs" / "config.toml").write_text('[profiles.other]\ncluster = "big"\n')
    sbatch("--queue-offline", "job.sh")
    door.open = True
    monkeypatch.setenv("HPCJOBS_PROFILE", "other")
    monkeypatch.setenv("HPCJOBS_TOKEN", make_token(served[0].token_key, "alice", time.time(), 600))
    assert run("jobs", "--name", "nothing").stderr == ""
    assert len(spool.waiting()) == 1


def test_what_no_command_sends_any_more_is_told_in_a_line(sbatch, run, door, spool, monkeypatch, tmp_path):
    (tmp_path / "config" / "hpcjobs").mkdir(parents=True)
    config = tmp_path / "config" / "hpcjobs" / "config.toml"
    for _ in range(2):
        sbatch("--queue-offline", "job.sh", HPCJOBS_URL="http://127.0.0.1:1")
    door.open = True
    told = run("jobs", "--name", "nothing").stderr
    assert re.fullmatch(
        r"hpcjobs: 2 kept for http://127.0.0.1:1, which [^\n]* will not be sent: hpcjobs spool list\n", told
    )
    listed = run("spool", "list")
    assert (listed.exit_code, listed.stderr.count("\n")) == (0, 1)
    assert "2 kept for http://127.0.0.1:1" in listed.stderr
    config.write_text('[profiles.there]\nurl = "http://127.0.0.1:1/"\n')
    assert run("jobs", "--name", "nothing").stderr == run("spool", "list").stderr == ""


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_sbatch_ends_quietly(sbatch, door, monkeypatch):
    monkeypatch.setattr("hpcjobs.cli.sbatch.call.submit", interrupt)
    assert sbatch("job.sh") == (130, "", "")


def test_who_interrupts_what_is_sent_later_ends_a_command_quietly_and_unmakes_no_job(
    sbatch, run, door, spool, monkeypatch
):
    sbatch("--queue-offline", "job.sh")
    door.open = True
    monkeypatch.setattr("hpcjobs.cli.spool.sending._send_one", interrupt)
    listed = run("jobs", "--name", "nothing")
    assert (listed.exit_code, listed.stderr) == (130, "")
    answer = sbatch("job.sh")
    assert (answer.code, answer.out.startswith("Submitted batch job "), answer.err) == (0, True, "")
    told = run("submit", "-")
    assert (told.exit_code, told.stdout.startswith("Submitted batch job "), told.stderr) == (0, True, "")
    assert len(spool.waiting()) == 1

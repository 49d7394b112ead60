"""The job that brings an image into a folder: real processes, and a stand-in for the runtime."""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hpcjobs.imagejob import fetch

PROGRAM = Path(fetch.__file__)
PYTHON = [sys.executable, "-I", "-S", "-W", "error"]
OLDEST = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3"))[-1:]
HEX = "ab" * 32
OTHER = "cd" * 32

# Does what the line of its call says in the file "plan", the last line for all that follow.
STAND_IN = r"""#!/bin/sh
here=$(dirname "$0")/..
[ "$1" = version ] && { echo 9.8.7; exit; }
echo "$(basename "$0") $*" >>"$here/calls"
env >"$here/environ"
plan=$(sed -n "$(($(wc -l <"$here/calls")))p" "$here/plan")
if [ "$(basename "$0")" = enroot ]; then
    magic=hsqs out=$3
    cat "$ENROOT_CONFIG_PATH/.credentials" >"$here/credentials" 2>/dev/null
else
    magic='#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0'
    while [ $# -gt 2 ]; do [ "$1" = --authfile ] && auth=$2; shift; done
    out=$1
fi
make() {
    tmp=${APPTAINER_TMPDIR:-$ENROOT_TEMP_PATH}
    mkdir -p "$tmp/rootfs/etc"; echo x >"$tmp/rootfs/etc/x"; chmod 555 "$tmp/rootfs/etc"
    printf "$magic" >"$out"
    for _ in 1 2 3 4; do head -c 1000 /dev/zero >>"$out"; sleep "${1:-0}"; done
}
case ${plan:-good} in
    good) make;;
    slow) echo half; make 0.05;;
    meet) echo >"$here/here.$$"; until [ "$(ls "$here" | grep -c '^here')" = 2 ]; do sleep 0.02; done; make;;
    hang) make; echo $$ >"$here/pid"; echo hanging; sleep 1000; echo woken;;
    bad) head -c 500 /dev/zero >"$out";;
    short) make; printf '\377\377\377\377\0\0\0\0' | dd of="$out" bs=1 seek="$([ $magic = hsqs ] && echo 40 || echo 120)" conv=notrunc 2>/dev/null;;
    none) ;;
    leak) cat "$auth"; sed 's/.*auth": "//; s/".*//' "$auth" | base64 -d; make;;
    *) make; seq 30; echo "FATAL: $plan"; exit 255;;
esac
"""  # noqa: E501


class Site:
    """A folder for images, and runtimes that do what they are told."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "images"
        (root / "bin").mkdir()
        self.plan("good")
        for name in ("apptainer", "enroot"):
            (root / "bin" / name).write_text(STAND_IN)
            (root / "bin" / name).chmod(0o755)
        self.environ = {"PATH": f"{root}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "77", "TMPDIR": ""}

    def plan(self, *lines: str) -> None:
        (self.root / "plan").write_text("".join(f"{line}\n" for line in lines))

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def order(self, digits: str = HEX, **said: object) -> dict[str, object]:
        return {
            "image": f"docker://registry:5000/lab/train:1@sha256:{digits}", "digest": f"sha256:{digits}",
            "format": "sif", "folder": str(self.folder), "pause_s": 0, **said,
        }  # fmt: skip

    def start(self, digits: str = HEX, patch: str = "", python: list[str] = PYTHON, **said: object):
        words = [str(PROGRAM)]
        if patch:
            load = f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); sys.dont_write_bytecode = True"
            words = ["-c", f"{load}; import fetch\n{patch}\nsys.exit(fetch.main(sys.argv[1:]))"]
        return subprocess.Popen(
            [*python, *words, json.dumps(self.order(digits, **said))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environ, cwd="/",
        )  # fmt: skip

    def run(self, *args: object, **said: object) -> tuple[int, str, str]:
        process = self.start(*args, **said)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def image(self, digits: str = HEX, form: str = "sif") -> Path:
        return self.folder / f"{digits}.{form}"

    def label(self, digits: str = HEX) -> dict[str, object]:
        return json.loads((self.folder / f"{digits}.json").read_text())

    def put(self, digits: str, size: int, unused_s: float) -> Path:
        """An image that was brought earlier."""
        self.folder.mkdir(exist_ok=True)
        path = self.image(digits)
        path.write_bytes(b"\0" * 32 + b"SIF_MAGIC\0" + b"\0" * (size - 42))
        label = {"image": "", "digest": f"sha256:{digits}", "format": "sif", "bytes": size}
        path.with_suffix(".json").write_text(json.dumps(label))
        os.utime(path, (time.time() - unused_s,) * 2)
        return path

    def others(self) -> list[str]:
        """What is in the folder beside images, labels and locks."""
        return sorted(
            path.name for path in self.folder.iterdir()
            if path.suffix not in (".lock", ".json", ".sif", ".sqsh") or path.name.count(".") > 2
        )  # fmt: skip

    def whole(self, digits: str = HEX) -> bool:
        size = self.image(digits).stat().st_size
        return size == self.label(digits)["bytes"] == 4042 and not fetch.flaw(self.image(digits), "sif")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def until(process, text: str) -> None:
    """Read what it says up to a line."""
    late = threading.Timer(30, process.kill)
    late.start()
    said = ""
    while text not in said:
        line = process.stdout.readline()
        assert line, said + process.stderr.read()
        said += line
    late.cancel()


def gone(pid: int) -> bool:
    """Whether a process ends, or has."""
    for _ in range(500):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


# One fetch, whoever asks


def test_an_image_is_brought_with_a_label_that_says_where_it_is_from(site):
    code, out, err = site.run()
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("hpcjobs: fetching docker://registry:5000/lab/train:1@sha256:abab")
    assert out.splitlines()[-1].startswith(f"hpcjobs: image ready: {site.image()} (4042 bytes, ")
    label = site.label()
    assert label.pop("made_at") == pytest.approx(time.time(), abs=60)
    assert 0 <= label.pop("seconds") < 60
    assert label == {
        "image": f"docker://registry:5000/lab/train:1@sha256:{HEX}", "digest": f"sha256:{HEX}", "format": "sif",
        "bytes": 4042, "by": fetch.pwd.getpwuid(os.getuid()).pw_name, "node": os.uname().nodename,
        "runtime": "apptainer 9.8.7",
    }  # fmt: skip
    assert site.whole()
    assert site.others() == []
    modes = [oct(path.stat().st_mode & 0o777) for path in (site.folder, site.image())]
    assert modes == ["0o700", "0o700"]


def test_sixty_four_starts_of_one_digest_fetch_it_once_and_all_have_it(site):
    site.plan("slow")
    processes = [site.start() for _ in range(64)]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert {code for _, _, code in ended} == {0}, ended
    assert all(out.splitlines()[-1].startswith("hpcjobs: image ready: ") and not err for out, err, _ in ended)
    assert sum("hpcjobs: fetching" in out for out, _, _ in ended) == 1
    assert len(site.calls) == 1
    assert site.whole()
    assert site.others() == []


def test_an_image_that_is_there_is_used_without_a_lock_and_counts_as_used(site):
    path = site.put(HEX, 4042, unused_s=5000)
    with (site.folder / f".{HEX}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, out, _ = site.run()
    assert (code, len(out.splitlines())) == (0, 1)
    assert time.time() - path.stat().st_mtime < 60
    assert site.calls == []


def test_two_digests_are_brought_at_the_same_time(site):
    site.plan("meet", "meet")
    processes = [site.start(HEX), site.start(OTHER)]
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
    assert site.whole(HEX)
    assert site.whole(OTHER)


def test_who_waits_says_for_whom_and_not_for_ever(site):
    site.plan("hang")
    first = site.start()
    until(first, "hanging")
    code, out, err = site.run(wait_s=1, patch="fetch.TOLD_S = 0.2")
    told = site.start(patch="fetch.TOLD_S = 0.2")
    until(told, "waiting for")
    told.terminate()
    assert (told.communicate(timeout=30)[1], told.returncode) == ("", 143)
    first.kill()
    first.communicate()
    who = f"job 77 on {os.uname().nodename} (process {first.pid})"
    assert code == 1
    assert f"hpcjobs: waiting for {who}" in out
    assert err.startswith(f"hpcjobs: container: {who}")


# Killed


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_end_it_takes_its_runtime_with_it_and_leaves_nothing(site, signum, code):
    site.plan("hang")
    process = site.start()
    until(process, "hanging")
    process.send_signal(signum)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")
    assert "woken" not in out
    assert gone(int((site.root / "pid").read_text()))
    assert site.others() == []
    assert not site.image().exists()


def test_killed_in_the_middle_its_runtime_ends_and_the_next_run_brings_it_and_cleans_up(site):
    site.plan("hang", "good")
    process = site.start()
    until(process, "hanging")
    process.kill()
    process.communicate()
    assert gone(int((site.root / "pid").read_text()))
    assert len(site.others()) == 2
    assert site.run()[0] == 0
    assert site.whole()
    assert site.others() == []


def test_what_a_killed_run_left_on_the_node_is_removed_and_what_another_folder_has_there_stays(site, tmp_path):
    site.environ["TMPDIR"] = str(tmp_path / "node")
    (tmp_path / "node").mkdir()
    site.plan("hang", "hang", "good")
    processes = [site.start(), site.start(folder=str(tmp_path / "elsewhere"))]
    for process in processes:
        until(process, "hanging")
    processes[0].kill()
    processes[0].communicate()
    left = sorted(path.name for path in (tmp_path / "node").iterdir())
    assert len(left) == 2
    assert site.run()[0] == 0
    assert [path.name for path in (tmp_path / "node").iterdir()] == [
        name for name in left if f".{processes[1].pid}." in name
    ]
    processes[1].terminate()
    processes[1].communicate()
    assert list((tmp_path / "node").iterdir()) == []


def test_killed_between_image_and_label_the_image_is_not_fetched_again(site):
    code, _, _ = site.run(patch="fetch.write_label = lambda *_: fetch.os.kill(fetch.os.getpid(), 9)")
    assert (code, site.image().exists(), (site.folder / f"{HEX}.json").exists()) == (-9, True, False)
    assert site.run()[0] == 0
    assert len(site.calls) == 1
    assert site.whole()
    assert site.others() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 1}', '{"format": "sqsh", "bytes": 4042}'])
def test_a_torn_label_is_written_again_without_a_fetch(site, text):
    path = site.put(HEX, 4042, unused_s=0)
    path.with_suffix(".json").write_text(text)
    assert site.run()[0] == 0
    assert site.calls == []
    assert site.whole()


def test_an_image_that_is_not_as_long_as_its_label_says_is_fetched_again(site):
    path = site.put(HEX, 4042, unused_s=0)
    os.truncate(path, 3000)
    assert site.run()[0] == 0
    assert len(site.calls) == 1
    assert site.whole()


def test_without_a_label_an_image_whose_header_tells_of_more_is_fetched_again(site):
    path = site.put(HEX, 4042, unused_s=0)
    path.with_suffix(".json").unlink()
    with path.open("r+b") as file:
        file.seek(112)
        file.write((5000).to_bytes(8, "little"))
    assert site.run()[0] == 0
    assert len(site.calls) == 1
    assert site.whole()


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(3, 24))]
)
def test_killed_at_any_moment_the_next_run_has_it_whole_and_leaves_nothing(site, seed):
    site.plan(*["slow"] * 9)
    chance = random.Random(seed)
    for _ in range(3):
        process = site.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
    assert site.run()[0] == 0
    assert site.whole()
    assert site.others() == []


# Runtimes that fail


def test_what_passes_is_tried_three_times(site):
    site.plan("unexpected status code 503 Service Unavailable", "read tcp: connection reset by peer", "good")
    code, out, err = site.run()
    assert (code, err) == (0, "")
    assert "hpcjobs: try 1 of 3: the registry does not serve now; the next in 0 s" in out
    assert "hpcjobs: try 2 of 3: the connection broke; the next in 0 s" in out
    assert len(site.calls) == 3
    assert site.whole()


def test_what_does_not_pass_in_three_tries_fails_with_the_last_lines_of_the_runtime(site):
    site.plan(*["i/o timeout"] * 4)
    code, out, err = site.run()
    assert code == 1
    assert len(site.calls) == 3
    first, *context = err.splitlines()
    assert first == (
        f"hpcjobs: container: docker://registry:5000/lab/train:1@sha256:{HEX} is not fetched: it took too long"
        " (apptainer ended with 255, try 3 of 3)"
    )
    assert context == [*(f"  | {n}" for n in range(12, 31)), "  | FATAL: i/o timeout"]
    assert "\n1\n2\n3\n" in out
    assert site.others() == []
    assert not site.image().exists()


@pytest.mark.parametrize(
    "text",
    ["GET https://r/v2/: unexpected status code 404 Not Found", "MANIFEST_UNKNOWN: manifest unknown", "StatusCode: 403",
     "UNAUTHORIZED: authentication required", "write x: no space left on device", "disk quota exceeded", "a riddle"],
)  # fmt: skip
def test_what_does_not_pass_is_not_tried_again(site, text):
    site.plan(text, "good")
    code, _, err = site.run()
    assert code == 1
    assert err.startswith("hpcjobs: container: docker://")
    assert err.endswith(f"  | FATAL: {text}\n")
    assert len(site.calls) == 1
    assert site.others() == []


@pytest.mark.parametrize("form", ["sif", "sqsh"])
@pytest.mark.parametrize(("plan", "words"), [("bad", "it is no ."), ("short", "it ends after 4"), ("none", "no file")])
def test_what_is_no_image_never_gets_its_name(site, form, plan, words):
    site.plan(plan, "good")
    code, _, err = site.run(format=form)
    assert code == 1
    assert words in err
    assert len(site.calls) == 1
    assert sorted(path.suffix for path in site.folder.iterdir()) == [".lock"]
    assert site.run(format=form)[0] == 0


def test_a_node_without_the_runtime_says_so(site):
    site.environ["PATH"] = "/usr/bin:/bin"
    code, _, err = site.run(format="sqsh")
    assert (code, err) == (1, f"hpcjobs: container: node {os.uname().nodename} has no enroot, which makes a .sqsh\n")


def test_a_folder_that_may_not_be_made_is_one_line(site):
    site.folder.write_text("")
    code, _, err = site.run(folder=f"{site.folder}/below")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("hpcjobs: container: docker://")


# Room


def test_what_was_not_used_for_longest_goes_first_and_no_more_than_is_needed(site):
    ages = {"1": 5000, "2": 9000, "3": 7000, "4": 6000}
    for digit, age in ages.items():
        site.put(digit * 64, 4000, unused_s=age)
    (site.folder / "mine.sif").write_bytes(b"x" * 4000)
    os.utime(site.folder / "mine.sif", (0, 0))
    code, out, _ = site.run(max_bytes=5 * 4000 - 10)
    assert code == 0
    removed = [line.split()[2] for line in out.splitlines() if line.startswith("hpcjobs: removed")]
    assert removed == [str(site.image("2" * 64)), str(site.image("3" * 64))]
    assert sorted(path.stem[0] for path in site.folder.glob("*.json")) == ["1", "4", "a"]
    assert (site.folder / "mine.sif").exists()
    assert not (site.folder / f".{'2' * 64}.lock").exists()


def test_what_is_brought_held_or_was_just_used_does_not_go(site):
    for digit, age in {"1": 9000, "2": 8000, "3": 100, "4": 7000}.items():
        site.put(digit * 64, 4000, unused_s=age)
    with (site.folder / f".{'1' * 64}.lock").open("w") as bringing, site.image("2" * 64).open() as running:
        fcntl.flock(bringing, fcntl.LOCK_EX)
        fcntl.flock(running, fcntl.LOCK_SH)
        assert site.run(max_bytes=4 * 4000 + 100)[0] == 0
        assert sorted(path.stem[0] for path in site.folder.glob("*.sif")) == ["1", "2", "3", "a"]
        code, _, err = site.run(OTHER, max_bytes=4 * 4000 + 100)
    assert code == 1
    assert err.startswith(f"hpcjobs: container: no room for docker://registry:5000/lab/train:1@sha256:{OTHER} in ")
    assert "images have 16042 of 16100 bytes" in err
    assert "it needs 4042 bytes" in err
    assert f"{'3' * 64}.sif (4000 bytes, used 10" in err
    assert len(site.calls) == 2
    assert site.others() == []


def test_a_full_folder_is_told_before_anything_is_fetched_and_nothing_is_removed_in_vain(site):
    site.put("1" * 64, 4000, unused_s=10)
    assert site.run(max_bytes=4000)[0] == 1
    assert site.calls == []
    os.utime(site.image("1" * 64), (0, 0))
    code, _, err = site.run(max_bytes=4020)
    assert (code, len(site.calls)) == (1, 1)
    assert "it needs 4042 bytes; images have 4000 of 4020 bytes" in err
    assert site.image("1" * 64).exists()


def test_a_full_file_system_is_told_before_anything_is_fetched(site):
    site.put("1" * 64, 4000, unused_s=9000)
    patch = "import os; os.statvfs = lambda path: os.statvfs_result((512, 512, 9, 9, {}, 9, 9, 9, 0, 255))"
    code, _, err = site.run(patch=patch.format(1000))
    assert code == 1
    assert "the file system has 512000 left" in err
    assert site.calls == []
    assert site.run(patch=patch.format((fetch.FLOOR_BYTES - 1) // 512))[0] == 0
    assert not site.image("1" * 64).exists()


# Where there is no flock


BROKEN = "def flock(*_): raise OSError(fetch.errno.ENOLCK, '')\nfetch.fcntl.flock = flock"


def test_without_flock_eight_starts_fetch_once(site):
    site.plan("slow")
    processes = [site.start(patch=BROKEN) for _ in range(8)]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert {code for _, _, code in ended} == {0}, ended
    assert len(site.calls) == 1
    assert site.others() == []


def test_without_flock_a_holder_that_was_killed_is_waited_for_and_then_passed_over(site):
    site.plan("hang", "good")
    process = site.start(patch=BROKEN)
    until(process, "hanging")
    process.kill()
    process.communicate()
    code, _, err = site.run(patch=f"{BROKEN}\nfetch.STALE_S = 0.3")
    assert (code, err) == (0, "")
    assert site.whole()
    assert site.others() == []


def test_who_touches_what_stands_for_a_lock_keeps_it_and_who_does_not_loses_it(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOTSUP, "")

    monkeypatch.setattr(fetch.fcntl, "flock", flock)
    monkeypatch.setattr(fetch, "STALE_S", -1.0)
    holder, other = fetch.Lock(tmp_path / ".x.lock"), fetch.Lock(tmp_path / ".x.lock")
    assert holder.take()
    assert other.owner() == f"job ? on {os.uname().nodename} (process {os.getpid()})"
    for seconds in range(3):
        os.utime(other.held, (seconds, seconds))
        assert not other.take()
    assert not other.take()  # not touched since: now it is broken
    assert other.take()
    holder.release()
    assert other.held.exists()
    other.release()
    assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]


def test_a_holder_touches_what_stands_for_its_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "BEAT_S", 0.01)
    lock = fetch.Lock(tmp_path / ".x.lock")
    assert lock._hold()
    os.utime(lock.held, (0, 0))
    while lock.held.stat().st_mtime == 0:
        time.sleep(0.01)
    lock.release()


def test_a_lock_whose_file_went_with_its_image_is_not_taken_for_the_new_one(tmp_path):
    first, second = fetch.Lock(tmp_path / ".x.lock"), fetch.Lock(tmp_path / ".x.lock")
    assert first.take()
    first.path.unlink()
    assert second.take()
    assert not fetch.Lock(first.path).take()
    first.release()
    second.release()
    assert fetch.Lock(first.path).take()


# Who asks, and what is told to whom


def authfile(site: Site, **accounts: str) -> str:
    auths = {host: {"auth": base64.b64encode(account.encode()).decode()} for host, account in accounts.items()}
    path = site.root / "auth.json"
    path.write_text(json.dumps({"auths": auths}))
    return str(path)


def test_a_secret_is_in_no_words_no_output_and_no_label(site):
    site.plan("leak", "denied", "good")
    account = "alice:tr0ub4dor&3"
    path = authfile(site, **{"registry:5000": account})
    outputs = [site.run(authfile=path), site.run(OTHER, authfile=path)]
    assert [code for code, _, _ in outputs] == [0, 1]
    assert "***" in outputs[0][1]
    assert f"--authfile {path} " in site.calls[0]
    text = json.dumps([outputs, site.calls, site.label(), (site.root / "environ").read_text()])
    assert account not in text
    assert "tr0ub4dor" not in text
    assert base64.b64encode(account.encode()).decode() not in text


def test_enroot_is_told_who_asks_in_a_file_of_this_run_alone(site):
    path = authfile(site, **{"registry:5000": "alice:s3cret", "other": "bob:w0rd"})
    assert site.run(format="sqsh", authfile=path, insecure=True)[0] == 0
    assert (site.root / "credentials").read_text() == (
        "machine registry login alice password s3cret\ndefault login alice password s3cret\n"
    )
    part = site.calls[0].split()[3]
    assert site.calls == [f"enroot import --output {part} -- docker://registry:5000#lab/train:sha256:{HEX}"]
    said = dict(line.split("=", 1) for line in (site.root / "environ").read_text().splitlines() if "=" in line)
    assert said["ENROOT_ALLOW_HTTP"] == "y"
    assert said["ENROOT_CACHE_PATH"].startswith(f"{site.folder}/.{HEX}.")
    assert site.others() == []
    assert site.label()["runtime"] == "enroot 9.8.7"


@pytest.mark.parametrize("text", ["", "{", '{"auths": []}', '{"auths": {"a": {"auth": "s3cret"}}}'])
def test_an_authfile_of_another_form_is_told_without_a_word_of_it(site, text):
    path = site.root / "auth.json"
    path.write_text(text)
    code, out, err = site.run(authfile=str(path))
    assert code == 1
    assert err == f"hpcjobs: container: {path} cannot be read, or has not the form of Docker's config.json\n"
    assert "s3cret" not in out + err
    assert site.others() == []


@pytest.mark.parametrize(
    ("password", "written"),
    [("plain", "plain"), ("$(rm -r /)", '"$(rm -r /)"'), ('a "b" \\', '"a \\"b\\" \\\\"'), ("a$b", "a$b")],
)
def test_a_password_reaches_curl_as_it_is(password, written):
    assert fetch.netrc_of("docker.io", "al", password).splitlines() == [
        f"machine registry-1.docker.io login al password {written}", f"default login al password {written}",
    ]  # fmt: skip


def test_what_the_runtimes_are_told_is_pinned_by_the_digest_alone():
    order = fetch.Order(f"docker://docker.io/library/debian:sid@sha256:{HEX}", f"sha256:{HEX}", "sif", "/s")
    assert fetch.command(order, Path("/s/x")) == [
        "apptainer", "pull", "--disable-cache", "/s/x", f"docker://docker.io/library/debian@sha256:{HEX}",
    ]  # fmt: skip
    assert fetch.command(order._replace(insecure=True, authfile="/a"), Path("/s/x"))[3:6] == [
        "--no-https", "--authfile", "/a",
    ]  # fmt: skip
    assert fetch.command(order._replace(format="sqsh"), Path("/s/x")) == [
        "enroot", "import", "--output", "/s/x", "--", f"docker://registry-1.docker.io#library/debian:sha256:{HEX}",
    ]  # fmt: skip
    oras = order._replace(image="oras://ghcr.io/a/b:1")
    assert fetch.command(oras, Path("/s/x"))[-1] == f"oras://ghcr.io/a/b@sha256:{HEX}"


def test_what_would_have_a_runtime_do_something_else_is_not_passed_on(monkeypatch, tmp_path):
    for name in ("APPTAINER_SANDBOX", "SINGULARITY_PULLDIR", "APPTAINER_NOHTTPS", "APPTAINER_CONFIGDIR"):
        monkeypatch.setenv(name, "1")
    order = fetch.Order(f"docker://a.b/c@sha256:{HEX}", f"sha256:{HEX}", "sif", "/s")
    said = fetch.variables(order, tmp_path)
    assert {name for name in said if name.startswith(("APPTAINER", "SINGULARITY"))} == {
        "APPTAINER_CONFIGDIR", "APPTAINER_TMPDIR", "APPTAINER_CACHEDIR", "SINGULARITY_TMPDIR", "SINGULARITY_CACHEDIR",
    }  # fmt: skip
    assert "ENROOT_CONFIG_PATH" not in said


# The order, and what decides


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"who": 1}, "'who' is not known"),
        ({"image": f"docker://a.b/c@sha256:{OTHER}"}, "is no .sif of"),
        ({"image": "docker://a b"}, "image cannot be"),
        ({"image": "library://a/b/c"}, "image cannot be"),
        ({"image": "oras://a.b/c", "format": "sqsh"}, "is no .sqsh of"),
        ({"digest": "sha256:12"}, "digest cannot be"),
        ({"format": "qcow2"}, "format cannot be"),
        ({"folder": "images"}, "folder cannot be"),
        ({"folder": 1}, "folder cannot be"),
        ({"max_bytes": -1}, "max_bytes cannot be"),
        ({"max_bytes": True}, "max_bytes cannot be"),
        ({"insecure": 1}, "insecure cannot be"),
        ({"authfile": "auth.json"}, "authfile cannot be"),
        ({"mode": "777"}, "mode cannot be"),
    ],
)
def test_an_order_that_is_none_is_refused_and_says_why(site, said, words):
    with pytest.raises(ValueError, match=words):
        fetch.order_of(json.dumps(site.order(**said)))


@pytest.mark.parametrize("words", [[], ["{}"], ["[]"], ["{"], ["{}", "{}"]])
def test_words_that_are_no_order_end_with_two(words):
    ran = subprocess.run([*PYTHON, str(PROGRAM), *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("hpcjobs: container: this is no order: ")


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("FATAL: ... Get https://r/v2/: dial tcp 10.0.0.1:443: i/o timeout", True),
        ("net/http: TLS handshake timeout", True),
        ("context deadline exceeded", True),
        ("curl: (56) Recv failure", True),
        ("[ERROR] URL https://r/v2/ returned error code: 503 Service Unavailable", True),
        ("curl: (22) The requested URL returned error: 502", True),
        ("TOOMANYREQUESTS: You have reached your pull rate limit", True),
        ("dial tcp: lookup registry: server misbehaving", True),
        ("Checksum mismatch: ab12", True),
        ("unexpected EOF", True),
        ("[ERROR] URL https://r/v2/ returned error code: 404 Not Found", False),
        ("reading manifest 1 in r/a: manifest unknown", False),
        ("denied: requested access to the resource is denied", False),
        ("GET https://r/v2/: unexpected status code 401 Unauthorized", False),
        ("x509: certificate signed by unknown authority", False),
        ("copied 503 of 404 blobs, sha256:5030401", False),
        ("while creating squashfs: no space left on device, after a timeout", False),
        ("", False),
    ],
)
def test_a_runtime_is_understood(text, again):
    assert fetch.judge(["INFO: begun", text])[0] is again


def test_none_goes_when_all_would_not_do():
    entries = [fetch.Entry(Path(str(n)), 10, float(n), own=n != 2) for n in range(5)]
    assert [one.path.name for one in fetch.going(entries, 15, 3.0)] == ["0", "1"]
    assert [one.path.name for one in fetch.going(entries, 30, 3.0)] == ["0", "1", "3"]
    assert fetch.going(entries, 31, 3.0) == []


# By itself


@pytest.mark.parametrize("python", [sys.executable, *map(str, OLDEST)])
def test_it_needs_python_alone_wherever_it_lies(site, tmp_path, python):
    shutil.copy(PROGRAM, tmp_path / "slurm_script")
    ran = subprocess.run(
        [python, "-I", "-S", "-W", "error", "slurm_script", json.dumps(site.order())],
        cwd=tmp_path, env=site.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert site.whole()


def test_it_imports_the_standard_library_and_begins_as_a_batch_script():
    text = PROGRAM.read_text()
    assert text.startswith("#!/usr/bin/env python3\n")
    tree = ast.parse(text, feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names

"""Files over REST beside a real Slurm: alice, bob, their folders, their jobs, and processes that are killed."""

from __future__ import annotations

import hashlib
import os
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hpcjobs.client import Client, Files
from hpcjobs.client.wire import BLOCK
from tests.slurm.conftest import Stack

LARGE = 200_000_000
ROOM_KB = 64 * 1024
"""What the API process may grow by while a file of LARGE bytes goes through it: a third of it."""


def url(stack: Stack, what: str = "") -> str:
    return f"/v1/clusters/{stack.cluster}/files{what}"


@pytest.fixture
def folder(stack: Stack, name: str) -> Iterator[str]:
    """A folder of alice's own in /scratch that others can enter."""
    path = f"/scratch/{name}"
    stack.as_user("alice", f"mkdir {path}")
    yield path
    stack.run("login", f"rm -rf {path}")


@pytest.fixture
def alice(stack: Stack) -> Iterator[Files]:
    with Client(stack.url, stack.token("alice")) as client:
        yield client.files(stack.cluster)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large"
    block = os.urandom(BLOCK)
    with path.open("wb") as file:
        for number in range(LARGE // BLOCK):
            file.write(number.to_bytes(8, "big") + block[8:])
    return path


def sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_what_alice_uploads_a_job_of_hers_reads_and_what_it_writes_she_downloads(
    stack: Stack, alice: Files, folder: str, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(b"from outside\n")
    alice.upload(tmp_path / "in", f"{folder}/in".encode())
    owner = stack.as_user("alice", f"stat -c '%U %G %a' {folder}/in").split()
    assert owner == ["alice", "alice", "644"]
    job = stack.submit(f"#!/bin/bash\ntr a-z A-Z <{folder}/in >{folder}/out\n")
    assert stack.finished(job["id"])["fate"] == "COMPLETED"
    alice.download(f"{folder}/out".encode(), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"FROM OUTSIDE\n"


def test_bobs_private_files_are_403_for_alice_whatever_she_tries(stack: Stack, name: str) -> None:
    folder = f"/scratch/{name}"
    stack.as_user("bob", f"umask 077; mkdir {folder}; echo secret >{folder}/f; echo secret >{folder}-f")
    try:
        with stack.api("alice") as api:
            for path in (f"/scratch/{name}/f", f"/scratch/{name}-f"):
                for what in ("/content", "/checksum"):
                    assert code_of(api.get(url(stack, what), params={"path": path})) == (403, "not-allowed")
                assert code_of(api.delete(url(stack), params={"path": path})) == (403, "not-allowed")
                told = api.put(url(stack, "/content"), params={"path": path}, content=b"mine")
                assert code_of(told) == (403, "not-allowed")
            assert code_of(api.get(url(stack), params={"path": f"/scratch/{name}"})) == (403, "not-allowed")
            for path in ("/home/bob", "/home/bob/x", "/home/alice/../bob", "/etc/passwd", "/"):
                assert code_of(api.get(url(stack), params={"path": path})) == (403, "path-outside")
        with stack.api("bob") as api:
            assert api.get(url(stack, "/content"), params={"path": f"/scratch/{name}-f"}).content == b"secret\n"
    finally:
        stack.run("login", f"rm -rf /scratch/{name} /scratch/{name}-f")


def test_a_link_out_of_the_roots_is_refused_and_one_to_another_is_followed(
    stack: Stack, folder: str, name: str
) -> None:
    stack.as_user("alice", f"ln -s /etc/passwd {folder}/out; ln -s /etc {folder}/etc; ln -s {folder} ~/{name}; "
                           f"echo mine >{folder}/in")  # fmt: skip
    with stack.api("alice") as api:
        for path in (f"{folder}/out", f"{folder}/etc/passwd", f"/home/alice/{name}/out"):
            assert code_of(api.get(url(stack, "/content"), params={"path": path})) == (403, "path-outside")
        told = api.get(url(stack, "/content"), params={"path": f"/home/alice/{name}/in"})
        assert told.content == b"mine\n"
        assert api.delete(url(stack), params={"path": f"/home/alice/{name}"}).status_code == 204
        assert api.get(url(stack), params={"path": f"{folder}/in"}).status_code == 200


def test_a_link_that_bob_swaps_in_while_alice_writes_leads_her_nowhere(stack: Stack, name: str) -> None:
    """In a folder of bob's that all may write to, a subfolder is a link to elsewhere every other moment."""
    stack.as_user("bob", f"umask 0; mkdir -m 777 /scratch/{name} /scratch/{name}/real; ln -s /tmp /scratch/{name}/link")
    before = stack.run("hpcjobs", "ls -A /tmp")
    swap = (
        f"cd /scratch/{name}; end=$((SECONDS + 12)); mv -T real spot; while ((SECONDS < end)); do "
        "mv -T spot real; mv -T link spot; mv -T spot link; mv -T real spot; done"
    )
    racer = threading.Thread(target=stack.as_user, args=("bob", swap, False))
    racer.start()
    seen: set[tuple[int, str]] = set()
    try:
        with stack.api("alice") as api:
            turn = 0
            while racer.is_alive():
                turn += 1
                path = {"path": f"/scratch/{name}/spot/new-{turn}"}
                told = api.put(url(stack, "/content"), params=path, content=b"x")
                seen.add((told.status_code, "" if told.is_success else told.json()["code"]))
    finally:
        racer.join(60)
        stack.run("login", f"rm -rf /scratch/{name}")
    assert (201, "") in seen
    assert seen & {(403, "path-outside"), (403, "not-allowed")}, seen
    assert all(status < 500 for status, _ in seen), seen
    assert stack.run("hpcjobs", "ls -A /tmp") == before


def peak_kb(stack: Stack) -> int:
    """VmHWM of the API process."""
    return int(stack.said("hpcjobs", f"awk '/VmHWM/ {{print $2}}' /proc/{server_pid(stack)}/status"))


def server_pid(stack: Stack) -> int:
    """Of the process that runs as hpcjobs and serves."""
    out = stack.said("hpcjobs", "grep -lz 'serve' /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 | while read p; do "
                    "[ \"$(stat -c %U /proc/$p)\" = hpcjobs ] && echo $p; done; true")  # fmt: skip
    (pid,) = out.split()
    return int(pid)


def agent_pids(stack: Stack, user: str) -> list[str]:
    return stack.run("hpcjobs", f"for p in /proc/[0-9]*; do [ \"$(stat -c %U $p 2>/dev/null)\" = {user} ] && "
                     "basename $p; done; true").split()  # fmt: skip


def test_a_large_file_goes_up_and_down_without_growing_the_service(
    stack: Stack,
    alice: Files,
    folder: str,
    large: Path,
    tmp_path: Path,
) -> None:
    alice.mkdir(f"{folder}/d".encode())
    before = peak_kb(stack)
    began = time.monotonic()
    alice.upload(large, f"{folder}/large".encode())
    up = time.monotonic()
    alice.download(f"{folder}/large".encode(), tmp_path / "back")
    down = time.monotonic()
    assert sha(tmp_path / "back") == sha(large)
    put = stack.run("login", f"sha256sum {folder}/large").split()[0]
    assert put == sha(large)
    grown = peak_kb(stack) - before
    figures = f"up {up - began:.1f} s, down {down - up:.1f} s, VmHWM {before} kB + {grown} kB"
    if where := os.environ.get("HPCJOBS_FIGURES"):
        Path(where).write_text(figures)
    assert grown < ROOM_KB, figures


def test_one_put_of_a_large_file_is_streamed_too(stack: Stack, folder: str, large: Path) -> None:
    before = peak_kb(stack)
    with stack.api("alice") as api, large.open("rb") as file:
        told = api.put(url(stack, "/content"), params={"path": f"{folder}/put", "sha256": sha(large)}, content=file)
    assert told.status_code == 201, told.text
    assert stack.run("login", f"sha256sum {folder}/put").split()[0] == sha(large)
    assert peak_kb(stack) - before < ROOM_KB


def test_an_upload_goes_on_after_its_agents_are_killed_again_and_again(
    stack: Stack, alice: Files, folder: str, large: Path
) -> None:
    over = threading.Event()
    killed: list[str] = []

    def killer() -> None:
        while not over.wait(0.7) and len(killed) < 20:  # where agents begin slowly, no piece would ever be written
            for pid in agent_pids(stack, "alice"):
                stack.run("hpcjobs", f"kill -9 {pid}", check=False)
                killed.append(pid)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        alice.upload(large, f"{folder}/large".encode())
    finally:
        over.set()
        thread.join(60)
    assert killed
    assert stack.run("login", f"sha256sum {folder}/large; ls -A {folder}").split()[0::2] == [sha(large), "large"]


def test_an_upload_goes_on_after_the_service_itself_was_killed(
    stack: Stack, alice: Files, folder: str, large: Path
) -> None:
    path = f"{folder}/large"
    part = f"stat -c %s {folder}/.large.hpcjobs-* 2>/dev/null || echo 0"

    def killer() -> None:
        give_up = time.monotonic() + 90
        while int(stack.run("login", part)) < LARGE // 10 and time.monotonic() < give_up:
            time.sleep(0.05)
        reached.append(int(stack.run("login", part)))
        stack.run("hpcjobs", f"kill -9 {server_pid(stack)}")

    reached: list[int] = []
    thread = threading.Thread(target=killer)
    with stack.restarted():
        thread.start()
        try:
            alice.upload(large, path.encode())
        finally:
            thread.join(60)
    assert LARGE // 10 <= reached[0] < LARGE, "it was killed in the middle"
    assert stack.run("login", f"sha256sum {shlex.quote(path)}").split()[0] == sha(large)
    assert stack.run("login", f"ls -A {folder}").split() == ["large"]

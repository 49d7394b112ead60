"""The real spawner as a process of its own, driven through the real pool. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpcjobs.agents.pool import AgentPool, Key, SpawnRefused
from hpcjobs.agents.protocol import HEADER, MAX_FRAME, Hello, RawReply, encode, read_frame
from hpcjobs.errors import WorkerLost
from hpcjobs.spawner import Passing, Spawner, allowed_account, load_pyslurm
from tests.conftest import examples

from .builders import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534
FILES = Key("files", "nobody")


@pytest.mark.parametrize("user", ["root", "daemon", "no-such-user", "", "no\0body", "../nobody", "0", "65534"])
async def test_a_user_that_jobs_may_not_run_as_is_refused(pool, user):
    with pytest.raises(SpawnRefused):
        await pool.ready(Key("files", user))


async def test_an_agent_of_another_kind_is_refused(pool):
    with pytest.raises(SpawnRefused, match="no agent of kind 'shell'"):
        await pool.ready(Key("shell", "nobody"))


@pytest.mark.skipif(load_pyslurm() == "", reason="pyslurm is here")
async def test_without_pyslurm_its_agents_are_refused_with_the_reason(pool):
    with pytest.raises(SpawnRefused, match="pyslurm cannot be imported: No module named 'pyslurm'"):
        await pool.ready(Key("pyslurm", "nobody", "/etc/slurm/slurm.conf"))


@pytest.fixture
def small(folder):
    """A spawner of two agents; the path of its socket."""
    path = folder / "small.sock"
    command = [sys.executable, "-m", "hpcjobs.spawner", "--socket", str(path), "--owner", "root", "--max-agents", "2"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        until(path.exists)
        yield str(path)
        process.terminate()
        assert process.wait(5) == 0


async def test_a_full_spawner_makes_room_for_who_asks_and_refuses_nobody_for_ever(small):
    small = AgentPool(small)
    first, second, third = (Key("files", "nobody", number=number) for number in range(3))
    for key in (first, second, third):
        await small.ready(key)
    assert set(small._channels) == {second, third}, "the one that was idle longest has gone"
    for key in (second, third):
        small._channels[key]._calls.append(None)  # both are at work
    with pytest.raises(WorkerLost, match="2 agents are running, which is the most") as lost:
        await small.ready(first)
    assert not lost.value.sent
    small._channels[second]._calls.clear()
    await small.ready(first)
    small._channels[third]._calls.clear()
    small.close()


async def test_the_services_lowest_uid_holds_in_the_spawner_too(spawner, folder):
    strict = AgentPool(str(folder / "spawner.sock"), min_uid=NOBODY + 1)
    with pytest.raises(SpawnRefused, match="not one that jobs may run as"):
        await strict.ready(FILES)


def test_a_user_who_is_out_of_reach_for_a_while_is_not_refused_for_ever(tmp_path, monkeypatch):
    spawner = Spawner(str(tmp_path / "s.sock"), "root", max_agents=0)
    try:
        with socket.socket() as connection:
            with pytest.raises(Passing, match="0 agents"):
                spawner.handle(Hello("files", "nobody"), connection)

            def away(name):
                raise KeyError(name)

            monkeypatch.setattr("hpcjobs.spawner.pwd.getpwnam", away)
            with pytest.raises(Passing) as passing:
                spawner.handle(Hello("files", "nobody"), connection)
            assert passing.value.kind == "passing"
            with pytest.raises(ValueError, match="there is no user 'stranger'"):
                spawner.handle(Hello("files", "stranger"), connection)
    finally:
        spawner.listener.close()


def test_the_services_own_account_is_allowed_whatever_its_number_but_never_root():
    assert allowed_account("daemon", owner="daemon").pw_uid == 1
    with pytest.raises(ValueError, match="not one that jobs may run as"):
        allowed_account("root", owner="root")


async def test_without_a_spawner_nothing_was_sent(tmp_path):
    with pytest.raises(WorkerLost) as lost:
        await AgentPool(str(tmp_path / "none.sock")).ready(FILES)
    assert not lost.value.sent


def say(folder: Path, data: bytes) -> RawReply | None:
    """Send bytes to the spawner as a first frame; its answer, or None where it closed without one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(folder / "spawner.sock"))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            return msgspec.msgpack.decode(read_frame(connection), type=RawReply)
        except (EOFError, ConnectionResetError):
            return None


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_that_is_no_agent_is_not_killed(spawner, folder, bystander):
    for pid in (bystander.pid, spawner.pid, -1, 0, 1, 2**62):
        reply = say(folder, encode(Hello("kill", pid=pid)))
        assert reply is not None
        assert reply.failure is None
    assert bystander.poll() is None
    assert spawner.poll() is None


NESTED = b"\x82\xa4kind\xa5files\xa1x" + b"\x91" * 200_000 + b"\xc0"


@settings(max_examples=examples(25))
@given(st.binary(max_size=60), st.booleans())
@example(NESTED, True)
@example(msgspec.msgpack.encode({"kind": 1}), True)
@example(msgspec.msgpack.encode({"kind": "kill", "pid": "all"}), True)
@example(HEADER.pack(MAX_FRAME + 1), False)
@example(HEADER.pack(100) + b"short", False)
@example(b"", False)
def test_garbage_is_refused_and_takes_nothing_down(spawner, folder, garbage, framed):
    reply = say(folder, HEADER.pack(len(garbage)) + garbage if framed else garbage)
    assert reply is None or reply.failure is not None
    assert say(folder, encode(Hello("kill", pid=0))) == RawReply(msgspec.Raw(b"\x00"))
    assert spawner.poll() is None


async def test_a_strangers_uid_cannot_connect_even_where_the_sockets_mode_would_let_it(pool, folder):
    path = folder / "spawner.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def as_nobody() -> str:
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r}); print(s.recv(999))"
        command = ["/usr/bin/env", "-i", "/usr/bin/python3", "-c", code]
        done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False)
        return (done.stdout + done.stderr).decode()

    assert "PermissionError" in await asyncio.to_thread(as_nobody)
    path.chmod(0o666)
    try:
        assert "uid 65534 may not use the spawner" in await asyncio.to_thread(as_nobody)
    finally:
        path.chmod(0o600)

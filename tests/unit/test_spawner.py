"""The real spawner as a process of its own, driven through the real pool. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpcjobs.agents.pool import AgentPool, Key, SpawnRefused
from hpcjobs.agents.protocol import HEADER, MAX_FRAME, Hello, RawReply, encode, read_frame
from hpcjobs.errors import WorkerLost
from hpcjobs.spawner import allowed_account, load_pyslurm

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
        connection.settimeout(10)
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


@settings(max_examples=25)
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

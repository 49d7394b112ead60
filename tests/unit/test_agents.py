"""Agents made by the real spawner, driven through the real pool. Needs root, as the spawner does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from pathlib import Path

import msgspec
import pytest

from hpcjobs.agents.files import MAX_READ
from hpcjobs.agents.pool import AgentFailure, AgentPool, Key
from hpcjobs.errors import WorkerLost
from hpcjobs.files import Chunk

from .builders import gone, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534
FILES = Key("files", "nobody")


async def read(pool: AgentPool, path: Path | str, offset: int = 0, limit: int = 4096, timeout_s: float = 60.0) -> Chunk:
    told = {"roots": [b"/"], "path": os.fsencode(path), "offset": offset, "limit": limit}
    return msgspec.structs.replace(await pool.call(FILES, "read", told, Chunk, timeout_s), file=None)


def pid_of(pool: AgentPool) -> int:
    return pool._channels[FILES].pid


@pytest.fixture
def text(folder: Path) -> Path:
    path = folder / "text"
    path.write_bytes(b"0123456789")
    path.chmod(0o644)
    return path


async def test_an_agent_is_the_user_for_good(pool):
    status = (await read(pool, "/proc/self/status")).data.decode()
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert told["Uid"].split() == told["Gid"].split() == [str(NOBODY)] * 4
    assert "0" not in told["Groups"].split()
    assert (told["NoNewPrivs"], int(told["CapEff"], 16), int(told["CapPrm"], 16)) == ("1", 0, 0)


@pytest.mark.parametrize(
    ("offset", "limit", "data", "start"),
    [(0, 100, b"0123456789", 0), (4, 3, b"456", 4), (-3, 100, b"789", 7), (-99, 2, b"01", 0), (10, 5, b"", 10),
     (99, 5, b"", 99), (0, 0, b"", 0)],
)  # fmt: skip
async def test_a_range_of_a_file_is_read(pool, text, offset, limit, data, start):
    assert await read(pool, text, offset, limit) == Chunk(data, start, 10)


async def test_no_more_is_read_at_once_than_the_most(pool, folder):
    large = folder / "large"
    large.write_bytes(b"x" * (MAX_READ + 10))
    assert len((await read(pool, large, limit=MAX_READ * 4)).data) == MAX_READ


async def test_a_file_of_root_is_denied(pool, folder):
    secret = folder / "secret"
    secret.write_text("root only")
    secret.chmod(0o600)
    with pytest.raises(AgentFailure) as failed:
        await read(pool, secret)
    assert (failed.value.failure.kind, failed.value.failure.errno) == ("os", errno.EACCES)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "socket", "link to a fifo"])
async def test_what_is_no_regular_file_is_refused_without_hanging(pool, folder, kind):
    path = folder / kind
    with contextlib.suppress(FileExistsError):
        if "fifo" in kind:
            os.mkfifo(folder / "a-fifo", 0o666)
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        path = folder / "spawner.sock"
    else:
        path.symlink_to(folder / "a-fifo")
    with pytest.raises(AgentFailure) as failed:
        await read(pool, path, timeout_s=60)
    assert failed.value.failure.errno in (errno.EINVAL, errno.EISDIR, errno.EACCES)


@pytest.mark.parametrize(("path", "number"), [("/no/such/file", errno.ENOENT), ("/etc/passwd/x", errno.ENOTDIR)])
async def test_a_missing_file_is_told_in_the_systems_number(pool, path, number):
    with pytest.raises(AgentFailure) as failed:
        await read(pool, path)
    assert failed.value.failure.errno == number


@pytest.mark.parametrize(
    ("op", "args", "kind"),
    [
        ("read", {"roots": [b"/"], "path": b"etc/passwd", "offset": 0, "limit": 1}, "value"),
        ("read", {"roots": [b"/"], "path": b"/etc/pass\0wd", "offset": 0, "limit": 1}, "value"),
        ("read", {"roots": [b"/"], "path": b"/etc/passwd"}, "bug"),
        ("read", {"roots": [b"/"], "path": 3, "offset": 0, "limit": 1}, "bug"),
        ("write", {}, "bug"),
        ("__init__", {}, "bug"),
    ],
)
async def test_a_bad_call_is_answered_and_the_agent_lives_on(pool, text, op, args, kind):
    with pytest.raises(AgentFailure) as failed:
        await pool.call(FILES, op, args, Chunk, 60)
    assert failed.value.failure.kind == kind
    pid = pid_of(pool)
    assert (await read(pool, text)).size == 10
    assert pid_of(pool) == pid


async def test_a_killed_agent_is_a_lost_worker_and_the_next_call_has_a_new_one(pool, text):
    await read(pool, text)
    old = pid_of(pool)
    os.kill(old, signal.SIGKILL)
    with pytest.raises(WorkerLost) as lost:
        await read(pool, text)
    assert (lost.value.sent, lost.value.transient) == (True, True)
    assert (await read(pool, text)).data == b"0123456789"
    assert pid_of(pool) != old


async def test_a_hung_agent_is_killed_at_the_timeout(pool, text):
    await read(pool, text)
    hung = pid_of(pool)
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(WorkerLost, match=r"did not answer read within 0\.3 s") as lost:
        await read(pool, text, timeout_s=0.3)
    assert lost.value.sent
    await asyncio.to_thread(until, lambda: gone(hung))
    assert (await read(pool, text)).size == 10


async def test_of_several_calls_those_that_a_hung_agent_has_answered_are_answered(pool, text, monkeypatch):
    await read(pool, text)
    hung = pid_of(pool)
    channel = pool._channels[FILES]

    async def let_it_go_on_and_kill(pid):
        os.kill(hung, signal.SIGCONT)
        await asyncio.to_thread(until, lambda: len(channel._calls) == 0 or gone(hung))
        os.kill(hung, signal.SIGKILL)

    monkeypatch.setattr(channel, "_kill", let_it_go_on_and_kill)
    os.kill(hung, signal.SIGSTOP)
    calls = [asyncio.create_task(read(pool, text, timeout_s=0.3)) for _ in range(3)]
    assert [chunk.data for chunk in await asyncio.gather(*calls)] == [b"0123456789"] * 3


async def test_of_an_agent_that_cannot_be_ended_nobody_says_what_it_has_done(pool, text, monkeypatch):
    await read(pool, text)
    hung = pid_of(pool)

    async def spawner_is_another(pid):
        pass

    monkeypatch.setattr(pool._channels[FILES], "_kill", spawner_is_another)
    monkeypatch.setattr("hpcjobs.agents.channel.KILLED_S", 0.2)
    os.kill(hung, signal.SIGSTOP)
    calls = [asyncio.create_task(read(pool, text, timeout_s=0.3)) for _ in range(3)]
    lost = await asyncio.gather(*calls, return_exceptions=True)
    os.kill(hung, signal.SIGKILL)
    assert [(type(error), error.sent) for error in lost] == [(WorkerLost, True)] * 3


async def test_a_call_that_cannot_be_written_costs_the_others_nothing(pool, text):
    await read(pool, text)
    with pytest.raises(OverflowError):
        await pool.call(FILES, "read", {"path": str(text), "offset": 10**30, "size": 10}, Chunk, 60)
    assert (await read(pool, text)).data == b"0123456789"


async def test_the_answer_to_a_cancelled_call_does_not_meet_the_next(pool, text):
    await read(pool, text)
    old = pid_of(pool)
    os.kill(old, signal.SIGSTOP)
    call = asyncio.create_task(read(pool, "/etc/passwd"))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    os.kill(old, signal.SIGCONT)
    assert (await read(pool, text)).data == b"0123456789"
    assert pid_of(pool) == old


async def test_of_several_calls_told_to_an_agent_that_dies_only_the_first_may_have_been_done(pool, text):
    await read(pool, text)
    os.kill(pid_of(pool), signal.SIGSTOP)
    calls = [asyncio.create_task(read(pool, text)) for _ in range(3)]
    await asyncio.sleep(0.1)
    os.kill(pid_of(pool), signal.SIGKILL)
    lost = await asyncio.gather(*calls, return_exceptions=True)
    assert [(type(error), error.sent) for error in lost] == [(WorkerLost, n == 0) for n in range(3)]


async def test_a_call_cancelled_while_its_agent_is_being_made_leaves_no_agent(pool, spawner, text):
    before = children(spawner.pid)
    os.kill(spawner.pid, signal.SIGSTOP)
    call = asyncio.create_task(read(pool, text))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    os.kill(spawner.pid, signal.SIGCONT)
    assert (await read(pool, text)).data == b"0123456789"
    kept = pid_of(pool)
    await asyncio.to_thread(until, lambda: children(spawner.pid) <= before | {kept})


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def test_many_calls_at_once_each_get_their_own_answer(pool, text):
    chunks = await asyncio.gather(*(read(pool, text, offset=n % 10, limit=1) for n in range(40)))
    assert [chunk.data for chunk in chunks] == [b"%d" % (n % 10) for n in range(40)]


async def test_an_idle_agent_is_let_go_and_made_again(pool, text):
    await read(pool, text)
    old = pid_of(pool)
    pool.let_go_idle()
    assert pid_of(pool) == old
    pool.idle_s = -1
    pool.let_go_idle()
    await asyncio.to_thread(until, lambda: gone(old))
    assert (await read(pool, text)).size == 10

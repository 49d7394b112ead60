"""Transfers of both clients and the command line through a real service on a loopback port, and what breaks them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpcjobs import client as clients
from hpcjobs.agents.pool import Key
from hpcjobs.cli.main import main
from hpcjobs.client.wire import BLOCK
from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, UnrulySlurm, settings_of
from tests.api.served import served
from tests.unit.clients import KINDS, client_of, listed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534
SIZE = 3 * BLOCK + 7


@pytest.fixture
def home(folder: Path):
    path = folder / "client-home"
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def live(place, spawner, folder, home, monkeypatch):
    monkeypatch.setattr("hpcjobs.client.problems.AWAY_RETRY_S", 0.05)
    monkeypatch.setattr("hpcjobs.client.problems.BROKEN_RETRY_S", 0.05)
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    cluster = ClusterSettings("big", observe_s=NEVER, file_roots=(str(home),))
    told = settings_of(place, spawner_socket=str(folder / "spawner.sock"), clusters=(cluster,))
    async with served(told, {"big": UnrulySlurm()}) as bench:
        yield bench


@pytest.fixture
def token(live) -> str:
    return live.headers("nobody")["Authorization"].removeprefix("Bearer ")


@pytest.fixture(params=KINDS)
async def client(request, live, token):
    client = client_of(request.param, live.url, token)
    yield client
    await client.aclose()


@pytest.fixture
def there(client):
    return client.files("big")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").write_bytes(os.urandom(SIZE))
    return tmp_path / "local"


class Stopped(Exception):
    """Whoever copied went away."""


def stop_after(size: int):
    def progress(done: int, _size: int) -> None:
        if done > size:
            raise Stopped

    return progress


async def test_what_went_up_comes_down(there, home, local, tmp_path):
    made = await there.upload(local, bytes(home / "file"))
    assert (made.size_bytes, made.owner, os.listdir(home)) == (SIZE, "nobody", ["file"])
    await there.download(bytes(home / "file"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert not list(tmp_path.glob(".*part"))


async def test_an_upload_that_is_there_already_is_not_sent_again_and_another_is_not_replaced(there, home, local):
    def never(done: int, size: int) -> None:
        assert done == size, "sent again"

    await there.upload(local, home / "file")
    await there.upload(local, home / "file", progress=never)
    local.write_bytes(b"other")
    with pytest.raises(clients.Conflict) as refused:
        await there.upload(local, home / "file")
    assert (refused.value.status, refused.value.code) == (409, "file-exists")
    assert (await there.upload(local, home / "file", overwrite=True)).size_bytes == 5


async def test_an_upload_that_another_process_began_is_gone_on_with(there, home, local, monkeypatch):
    for kind in ("_sync", "_async"):
        monkeypatch.setattr(f"hpcjobs.client.{kind}.files.PIECE", BLOCK)
    with pytest.raises(Stopped):
        await there.upload(local, home / "file", progress=stop_after(0))
    went: list[int] = []
    await there.upload(local, home / "file", progress=lambda done, _size: went.append(done))
    assert went == [BLOCK, 2 * BLOCK, 3 * BLOCK, SIZE]
    assert (home / "file").read_bytes() == local.read_bytes()


async def test_an_upload_can_be_looked_at_and_given_up(there, home, local):
    status = await there.begin_upload(home / "file", SIZE, sha256="0" * 64)
    assert (await there.upload_status(status.id)).offset == status.offset == 0
    await there.abort_upload(status.id)
    with pytest.raises(clients.NotFound):
        await there.upload_status(status.id)


async def test_a_download_that_broke_off_goes_on_and_one_of_a_changed_file_begins_anew(there, home, local, tmp_path):
    await there.upload(local, home / "file")
    with pytest.raises(Stopped):
        await there.download(home / "file", tmp_path / "back", progress=stop_after(BLOCK))
    (part,) = tmp_path.glob(".back.*.part")
    had = part.stat().st_size
    assert BLOCK < had < SIZE
    went: list[int] = []
    await there.download(home / "file", tmp_path / "back", progress=lambda done, _size: went.append(done))
    assert had < went[0]
    assert went[-1] == SIZE
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    with pytest.raises(Stopped):
        await there.download(home / "file", tmp_path / "back", progress=stop_after(BLOCK))
    local.write_bytes(b"other")
    await there.upload(local, home / "file", overwrite=True)
    await there.download(home / "file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"other"


async def test_a_download_outlives_the_agent_that_serves_it(live, there, home, local, tmp_path):
    await there.upload(local, home / "file")
    killed = []

    def progress(_done: int, _all: int) -> None:
        channel = live.service.pool._channels.get(Key("files", "nobody"))
        if channel and channel.pid not in killed and len(killed) < 2:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(channel.pid, signal.SIGKILL)
            killed.append(channel.pid)

    await there.download(home / "file", tmp_path / "back", progress=progress)
    assert killed
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


async def test_a_small_file_is_written_and_read_in_one_call(there, home):
    first = await there.write(home / "a", b"0123456789", new=True)
    with pytest.raises(clients.PreconditionFailed):
        await there.write(home / "a", b"", new=True)
    assert await there.read(home / "a") == b"0123456789"
    assert [await there.read(home / "a", *part) for part in ((4,), (4, 6), (8, 99), (99,), (6, 4))] == [
        b"456789", b"45", b"89", b"", b""]  # fmt: skip
    await there.write(home / "a", b"new", if_match=first.etag)
    with pytest.raises(clients.PreconditionFailed):
        await there.write(home / "a", b"newer", if_match=first.etag)
    assert b"".join(await listed(there.content(home / "a", 1))) == b"ew"
    assert (await there.checksum(home / "a")).size_bytes == 3


async def test_a_folder_of_any_names_is_listed_to_its_end(there, client, home):
    names = [b"%03d \xff" % number for number in range(5)]
    for name in names:
        await there.write(bytes(home) + b"/" + name, b"")
    assert [entry.name for entry in await listed(client.files().ls(bytes(home)))] == [
        name.decode("utf-8", "replace") for name in names]  # fmt: skip
    page = await there.page(home, limit=2)
    assert (len(page.items), (await there.page(home, cursor=page.next_cursor)).items[0].name[:3]) == (2, "002")
    for name in names:
        await there.remove(bytes(home) + b"/" + name)
    assert await listed(there.ls()) == []
    assert (await there.mkdir(home / "d" / "e", parents=True)).type == "dir"
    assert (await there.rename(home / "d" / "e", home / "f")).quoted_path == str(home / "f")
    assert (await there.stat(home / "f")).type == "dir"
    with pytest.raises(clients.NotAllowed):
        await there.stat("/etc/passwd")


async def test_the_command_line_does_all_of_it(live, token, home, local, tmp_path):
    async def run(*args: str) -> tuple[int, str]:
        told = {"HPCJOBS_URL": live.url, "HPCJOBS_TOKEN": token}
        done = await asyncio.to_thread(CliRunner().invoke, main, ["files", *args], env=told)
        return done.exit_code, done.output

    assert await run("mkdir", "-p", f"{home}/a/b") == (0, "")
    assert await run("put", str(local), f"{home}/a/b/") == (0, "")
    code, said = await run("put", str(local.with_name("local")), f"{home}/a")
    assert (code, "it is a folder" in said) == (1, True)
    code, said = await run("ls", f"{home}/a/b")
    assert (code, said.splitlines()[1].split("\t")[0::6]) == (0, ["0644", "local"])
    assert await run("get", f"{home}/a/b/local", str(tmp_path / "back")) == (0, "")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert await run("rm", f"{home}/a/b/local", f"{home}/a/b") == (0, "")
    code, said = await run("get", f"{home}/none")
    assert (code, "No such file" in said) == (1, True)
    assert (await run("ls", "/etc"))[0] == 1

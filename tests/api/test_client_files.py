"""Transfers of the client and the command line through a real service on a loopback port, and what breaks them."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner

from hpcjobs import client_files
from hpcjobs.agents.pool import Key
from hpcjobs.api.app import create_app
from hpcjobs.cli.main import main
from hpcjobs.client import ApiProblem, Client
from hpcjobs.client_files import BLOCK, ClientFiles
from hpcjobs.identity import make_token
from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings
from tests.api.bench import NEVER, UnrulySlurm, settings_of
from tests.unit.builders import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534


@pytest.fixture
def home(folder: Path):
    path = folder / "client-home"
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def served(place, spawner, folder, home):
    import threading

    cluster = ClusterSettings("big", observe_s=NEVER, file_roots=(str(home),))
    told = settings_of(place, spawner_socket=str(folder / "spawner.sock"), clusters=(cluster,))
    service = Service(told, {"big": UnrulySlurm()})
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield service, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def token(served) -> str:
    import time

    return make_token(served[0].token_key, "nobody", time.time(), 600)


@pytest.fixture
def there(served, token):
    client = Client(served[1], token)
    yield ClientFiles(client, "big")
    client.close()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").write_bytes(os.urandom(3 * BLOCK + 7))
    return tmp_path / "local"


def test_what_went_up_comes_down(there, home, local, tmp_path):
    made = there.upload(local, bytes(home / "file"))
    assert (made.size_bytes, made.owner, os.listdir(home)) == (3 * BLOCK + 7, "nobody", ["file"])
    there.download(bytes(home / "file"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert sorted(os.listdir(tmp_path)).count("back") == 1
    assert not list(tmp_path.glob(".*part"))


def test_an_upload_that_is_there_already_is_not_sent_again_and_another_is_not_replaced(there, home, local, monkeypatch):
    there.upload(local, bytes(home / "file"))
    monkeypatch.setattr(ClientFiles, "_send", lambda *_: pytest.fail("sent again"))
    there.upload(local, bytes(home / "file"))
    local.write_bytes(b"other")
    with pytest.raises(ApiProblem) as refused:
        there.upload(local, bytes(home / "file"))
    assert (refused.value.status, refused.value.code) == (409, "file-exists")


def test_an_upload_that_another_process_began_is_gone_on_with(there, home, local, monkeypatch):
    monkeypatch.setattr(client_files, "PIECE", BLOCK)
    real, sent = ClientFiles._send, []

    def send(self, file, status):
        sent.append(status.offset)
        if len(sent) == 2:
            raise KeyboardInterrupt
        return real(self, file, status)

    monkeypatch.setattr(ClientFiles, "_send", send)
    with pytest.raises(KeyboardInterrupt):
        there.upload(local, bytes(home / "file"))
    there.upload(local, bytes(home / "file"))
    assert sent == [0, BLOCK, BLOCK, 2 * BLOCK, 3 * BLOCK]
    assert (home / "file").read_bytes() == local.read_bytes()


def test_a_download_that_broke_off_goes_on_and_one_of_a_changed_file_begins_anew(there, home, local, tmp_path):
    there.upload(local, bytes(home / "file"))
    asked: list[str] = []
    real = there._client.stream

    def stream(method, url, **more):
        asked.append(more["headers"]["Range"])
        return real(method, url, **more)

    there._client.stream = stream
    whole = there.stat(bytes(home / "file"))
    there._progress = lambda done, _: done > BLOCK and stop()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        there.download(bytes(home / "file"), tmp_path / "back")
    (part,) = tmp_path.glob(".back.*.part")
    had = part.stat().st_size
    assert BLOCK < had < whole.size_bytes
    there._progress = lambda *_: None
    there.download(bytes(home / "file"), tmp_path / "back")
    assert asked == ["bytes=0-", f"bytes={had}-"]
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


def test_a_download_outlives_the_agent_that_serves_it(served, there, home, local, tmp_path):
    import signal

    there.upload(local, bytes(home / "file"))
    killed = []

    def progress(_done: int, _all: int) -> None:
        channel = served[0].pool._channels.get(Key("files", "nobody"))
        if channel and channel.pid not in killed and len(killed) < 2:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(channel.pid, signal.SIGKILL)
            killed.append(channel.pid)

    there._progress = progress
    there.download(bytes(home / "file"), tmp_path / "back")
    assert killed
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


def test_a_folder_of_any_names_is_listed_to_its_end(there, home):
    names = [b"%03d \xff" % number for number in range(5)]
    for name in names:
        Path(os.fsdecode(bytes(home) + b"/" + name)).touch()
    assert [entry.name for entry in there.ls(bytes(home))] == [name.decode("utf-8", "replace") for name in names]
    for name in names:
        there.rm(bytes(home) + b"/" + name)
    assert list(there.ls()) == []


def test_the_command_line_does_all_of_it(served, token, home, local, tmp_path):
    def run(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["files", *args], env={"HPCJOBS_URL": served[1], "HPCJOBS_TOKEN": token})
        return done.exit_code, done.output

    assert run("mkdir", "-p", f"{home}/a/b") == (0, "")
    assert run("put", str(local), f"{home}/a/b/") == (0, "")
    code, said = run("put", str(local.with_name("local")), f"{home}/a")
    assert (code, "it is a folder" in said) == (1, True)
    code, said = run("ls", f"{home}/a/b")
    assert (code, said.splitlines()[1].split("\t")[0::6]) == (0, ["0644", "local"])
    assert run("get", f"{home}/a/b/local", str(tmp_path / "back")) == (0, "")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert run("rm", f"{home}/a/b/local", f"{home}/a/b") == (0, "")
    code, said = run("get", f"{home}/none")
    assert (code, "No such file" in said) == (1, True)
    assert run("ls", "/etc")[0] == 1

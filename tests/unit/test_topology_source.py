from __future__ import annotations

import contextlib
import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hpcjobs_plugins.topology.fabric import FabricError
from hpcjobs_plugins.topology.providers.source import SourceSettings, Ssh, fetch, fetched


def test_a_file_is_fetched_as_it_stands(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"abc\r\n\xff")
    assert fetch(SourceSettings(path=str(tmp_path / "x.txt"))) == b"abc\r\n\xff"


@pytest.mark.parametrize("members", [1, 3])
def test_gzip_is_known_by_its_first_bytes_whatever_the_name(tmp_path, members):
    (tmp_path / "x.txt").write_bytes(gzip.compress(b"abc") * members)
    assert fetch(SourceSettings(path=str(tmp_path / "x.txt"))) == b"abc" * members


def test_what_expands_beyond_the_limit_is_not_expanded(tmp_path):
    (tmp_path / "bomb").write_bytes(gzip.compress(b"0" * 10_000_000))
    with pytest.raises(FabricError, match="decompressed it is longer than 50000 bytes"):
        fetch(SourceSettings(path=str(tmp_path / "bomb"), most_bytes=50_000))


@pytest.mark.parametrize("cut", [5, -4])
def test_a_gzip_that_is_cut_is_refused(tmp_path, cut):
    (tmp_path / "x.gz").write_bytes(gzip.compress(os.urandom(5000))[:cut])
    with pytest.raises(FabricError, match="gzip"):
        fetch(SourceSettings(path=str(tmp_path / "x.gz")))


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"12345")
    for path, words in (
        ("none", "No such file"),
        (".", "no regular file|Is a directory"),
        ("pipe", "no regular"),
        ("long", "longer than 4"),
    ):
        with pytest.raises(FabricError, match=words) as refused:
            fetch(SourceSettings(path=str(tmp_path / path), most_bytes=4))
        assert refused.value.source == str(tmp_path / path)


def test_a_commands_output_and_its_complaints_are_kept_apart():
    got = fetched(SourceSettings(command=("sh", "-c", "echo out; echo complaint >&2")))
    assert got == (b"out\n", "complaint")
    assert [(notice.code, "complaint" in notice.text) for notice in got.notices] == [("tool-complained", True)]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sh", "-c", "echo 'no such port' >&2; exit 3"), "ended with 3: no such port"),
        (("sh", "-c", "exit 1"), "ended with 1, and says nothing"),
        (("sh", "-c", "kill -9 $$"), "signal 9"),
        (("/no/such/program",), "cannot be run"),
        (("yes",), "output is longer than 1000000 bytes"),
    ],
)
def test_a_command_that_fails_is_refused_with_what_it_said(command, words):
    with pytest.raises(FabricError, match=words) as refused:
        fetch(SourceSettings(command=command, most_bytes=1_000_000))
    assert refused.value.source.startswith(command[0])


def test_a_command_that_hangs_is_ended_with_all_that_it_has_started(tmp_path):
    script = f"sleep 600 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(FabricError, match=r"not at its end after 0.3 s"):
        fetch(SourceSettings(command=("sh", "-c", script), timeout_s=0.3))
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the child is still there")


@pytest.mark.parametrize("fields", [{}, {"path": "x", "command": ("y",)}, {"path": "x", "timeout_s": 0}])
def test_settings_that_say_no_source_or_two_are_refused(fields):
    with pytest.raises(ValueError, match=r"source|timeout"):
        SourceSettings(**fields)


class Machine(paramiko.ServerInterface):
    """Lets one key in and runs what it is told."""

    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key

    def check_auth_publickey(self, username, key):
        right = username == "admin" and key == self.key
        return paramiko.common.AUTH_SUCCESSFUL if right else paramiko.common.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.run, args=(channel, command.decode()), daemon=True).start()
        return True

    def run(self, channel, command):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # who asked may have hung up
            channel.sendall(done.stdout)
            channel.sendall_stderr(done.stderr)
            channel.send_exit_status(done.returncode)
            channel.close()


def new_key(path: Path) -> paramiko.PKey:
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.write_bytes(private)
    return paramiko.PKey.from_path(path)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    """A machine that answers on the loop-back interface."""
    host_key, user_key = new_key(tmp_path / "host"), new_key(tmp_path / "id")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transports.append(transport)
            transport.add_server_key(host_key)
            # A caller may hang up at any moment: those who refuse our key do, and the kernel then says "reset".
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=Machine(user_key))

    server = threading.Thread(target=serve)
    server.start()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n")
    yield Ssh("127.0.0.1", "admin", str(tmp_path / "id"), str(known), port)
    listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() alone does not
    listener.close()
    server.join(60)
    assert not server.is_alive()
    for transport in transports:
        transport.close()


def by_ssh(ssh: Ssh, *command: str, **fields) -> SourceSettings:
    return SourceSettings(command=command, ssh=ssh, **fields)


def test_a_command_by_ssh_gives_its_output_and_its_complaints(ssh):
    got = fetched(by_ssh(ssh, "sh", "-c", "echo 'it is $HOME'; echo complaint >&2"))
    assert got == (b"it is $HOME\n", "complaint")


def test_a_long_output_by_ssh_comes_whole(ssh):
    script = "import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('y' * 3_000_000)"
    got = fetched(by_ssh(ssh, sys.executable, "-c", script))
    assert (len(got.data), len(got.words)) == (3_000_000, 64 << 10)


def test_by_ssh_gzip_is_decompressed_and_the_limit_holds(ssh, tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"abc"))
    assert fetch(by_ssh(ssh, "cat", str(tmp_path / "x.gz"))) == b"abc"
    with pytest.raises(FabricError, match=r"^admin@127.0.0.1: head -c 5000 /dev/zero: its output is longer than 1000"):
        fetch(by_ssh(ssh, "head", "-c", "5000", "/dev/zero", most_bytes=1000))


def test_a_command_by_ssh_that_fails_is_refused_with_what_it_said(ssh):
    with pytest.raises(FabricError, match=r"^admin@127.0.0.1: .*ended with 3: no adapter"):
        fetch(by_ssh(ssh, "sh", "-c", "echo no adapter >&2; exit 3"))


def test_a_command_by_ssh_that_hangs_is_given_up(ssh):
    with pytest.raises(FabricError, match=r"not at its end after 0.3 s"):
        fetch(by_ssh(ssh, "sleep", "5", timeout_s=0.3))


def test_another_host_key_is_refused(ssh, tmp_path):
    other = new_key(tmp_path / "other")
    Path(ssh.known_hosts).write_text(f"[127.0.0.1]:{ssh.port} {other.get_name()} {other.get_base64()}\n")
    with pytest.raises(FabricError, match=r"by ssh: .*key"):
        fetch(by_ssh(ssh, "true"))


def test_an_unknown_host_is_refused(ssh):
    Path(ssh.known_hosts).write_text("")
    with pytest.raises(FabricError, match=r"by ssh: .*known_hosts"):
        fetch(by_ssh(ssh, "true"))


def test_another_users_key_is_refused(ssh, tmp_path):
    new_key(tmp_path / "id")
    with pytest.raises(FabricError, match="by ssh: Authentication"):
        fetch(by_ssh(ssh, "true"))


def test_missing_and_broken_keys_are_named(ssh, tmp_path):
    (tmp_path / "id").write_text("no key")
    with pytest.raises(FabricError, match="by ssh: "):
        fetch(by_ssh(ssh, "true"))
    (tmp_path / "id").unlink()
    with pytest.raises(FabricError, match=f"by ssh: there is no {tmp_path}/id"):
        fetch(by_ssh(ssh, "true"))


def test_a_machine_that_does_not_listen_is_said(ssh):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
        port = holder.getsockname()[1]
        away = Ssh(ssh.host, ssh.user, ssh.key, ssh.known_hosts, port)
        with pytest.raises(FabricError, match=f"by ssh: .*{port}"):
            fetch(by_ssh(away, "true"))

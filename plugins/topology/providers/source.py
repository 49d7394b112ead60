"""The only I/O of discovery: bytes of a file, of a command, or of a command on another machine."""

from __future__ import annotations

import os
import selectors
import shlex
import socket
import stat
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import paramiko

from hpcjobs_plugins.topology.fabric import FabricError, Notice
from hpcjobs_plugins.topology.providers.text import Oddities

CONNECT_S: Final = 10.0
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 18
_PAUSE_S: Final = 0.002
"""A channel that is at its end is always ready, before its command's status has come."""

MOST_WORDS: Final = 64 << 10
"""As many bytes of a command's standard error are kept."""


class Ssh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another machine that the command runs on.

    Attributes:
        host: Its name as it stands in ``known_hosts``.
        user: As whom.
        key: File with the private key; no agent and no other key is tried.
        known_hosts: File with the machine's host key; another one, or none, is refused.
        port: Of sshd.
    """

    host: str
    user: str
    key: str
    known_hosts: str
    port: int = 22


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where bytes come from: a path, or a command, here or by ssh.

    Attributes:
        path: Of a file, which may be compressed with gzip.
        command: Words of a command; no shell reads them here.
        ssh: Where the command runs; None: here.
        timeout_s: When to give up, in seconds.
        most_bytes: Longest output, after decompression.
    """

    path: str = ""
    command: tuple[str, ...] = ()
    ssh: Ssh | None = None
    timeout_s: float = 120.0
    most_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        """One of both, and a command for ssh."""
        if bool(self.path) == bool(self.command) or (self.ssh is not None and not self.command):
            raise ValueError("a source is a path or a command, by ssh a command")
        if self.timeout_s <= 0 or self.most_bytes <= 0:
            raise ValueError("timeout_s and most_bytes are greater than 0")

    @property
    def name(self) -> str:
        """What the source is called in messages."""
        if self.ssh is not None:
            return f"{self.ssh.user}@{self.ssh.host}: {shlex.join(self.command)}"
        return self.path or shlex.join(self.command)


class Fetched(NamedTuple):
    """What came.

    Attributes:
        data: The bytes, decompressed.
        words: What a command said on its standard error.
    """

    data: bytes
    words: str = ""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What the command said besides, a notice a line: what it could not reach is missing from its output."""
        odd = Oddities()
        for line in filter(None, map(str.strip, self.words.splitlines())):
            odd.add("tool-complained", f"what it could not reach is missing: {line[:200]!r}")
        return odd.notices()


def fetch(source: SourceSettings) -> bytes:
    """The bytes of a source.

    Raises:
        FabricError: They cannot be had; it says what was tried.
    """
    return fetched(source).data


def fetched(source: SourceSettings) -> Fetched:
    """The bytes of a source, and what its command said besides: ibnetdiscover complains there and goes on.

    Raises:
        FabricError: They cannot be had; it says what was tried.
    """
    if source.path:
        got = Fetched(_of_file(source))
    elif source.ssh is None:
        got = _of_command(source)
    else:
        got = _of_ssh(source, source.ssh)
    return got._replace(data=_decompressed(got.data, source))


def of_stream(stream: BinaryIO, source: SourceSettings) -> Fetched:
    """The bytes of what is open already, as standard input or a pipe, to its end.

    Args:
        stream: What is read.
        source: What it is called, and how long it may be.

    Raises:
        FabricError: It is too long, or compressed in no way that can be read.
    """
    return Fetched(_decompressed(_not_too_long(stream.read(source.most_bytes + 1), source), source))


def _of_file(source: SourceSettings) -> bytes:
    try:
        # Not to wait for a writer if it is a pipe.
        with open(os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FabricError("it is no regular file", source.name)
            data = file.read(source.most_bytes + 1)
    except OSError as error:
        raise FabricError(f"cannot be read: {error.strerror}", source.name) from error
    return _not_too_long(data, source)


def _not_too_long(data: bytes, source: SourceSettings) -> bytes:
    if len(data) > source.most_bytes:
        raise FabricError(f"it is longer than {source.most_bytes} bytes", source.name)
    return data


def _decompressed(data: bytes, source: SourceSettings) -> bytes:
    parts: list[bytes] = []
    left = source.most_bytes
    while data.startswith(_GZIP):
        inflate = zlib.decompressobj(wbits=31)
        try:
            part = inflate.decompress(data, left + 1)
        except zlib.error as error:
            raise FabricError(f"it is no gzip that can be read: {error}", source.name) from error
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise FabricError(f"decompressed it is longer than {source.most_bytes} bytes", source.name)
        if not inflate.eof:
            raise FabricError("the gzip ends in the middle", source.name)
        data = inflate.unused_data
    return b"".join(parts) if parts else data


def _of_command(source: SourceSettings) -> Fetched:
    deadline = time.monotonic() + source.timeout_s
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                source.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise FabricError(f"cannot be run: {error}", source.name) from error
        try:
            data = _output(process, source, deadline)
            status = process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired as error:
            raise FabricError(f"not at its end after {source.timeout_s:g} s", source.name) from error
        finally:
            _end(process)
        errors.seek(0)
        words = errors.read(MOST_WORDS).decode(errors="replace").strip()
    _succeeded(status, words, source)
    return Fetched(data, words)


def _output(process: subprocess.Popen[bytes], source: SourceSettings, deadline: float) -> bytes:
    if process.stdout is None:
        raise AssertionError
    chunks: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while ready.select(max(deadline - time.monotonic(), 0.0)):
            chunk = os.read(process.stdout.fileno(), _CHUNK)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
            if size > source.most_bytes:
                raise FabricError(f"its output is longer than {source.most_bytes} bytes", source.name)
    raise subprocess.TimeoutExpired(source.command, source.timeout_s)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of a command is left, whatever it has started."""
    if process.stdout is not None:
        process.stdout.close()
    if process.returncode is None:
        os.killpg(process.pid, 9)
        process.wait()


def _succeeded(status: int, words: str, source: SourceSettings) -> None:
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with {status}"
        said = f": {words[-500:]}" if words else ", and says nothing of why"
        raise FabricError(f"it {how}{said}", source.name)


def _of_ssh(source: SourceSettings, ssh: Ssh) -> Fetched:
    deadline = time.monotonic() + source.timeout_s
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.load_host_keys(str(Path(ssh.known_hosts).expanduser()))
        key = paramiko.PKey.from_path(Path(ssh.key).expanduser())
        client.connect(
            ssh.host,
            ssh.port,
            username=ssh.user,
            pkey=key,
            timeout=CONNECT_S,
            banner_timeout=CONNECT_S,
            auth_timeout=CONNECT_S,
            allow_agent=False,
            look_for_keys=False,
        )
        return _run(client, source, deadline)
    except FabricError:
        raise
    except (OSError, EOFError, paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError, TypeError) as error:
        raise FabricError(f"by ssh: {_why(error, ssh)}", source.name) from error
    finally:
        client.close()


def _why(error: Exception, ssh: Ssh) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no {error.filename}"
    if isinstance(error, TimeoutError | socket.timeout):
        return f"{ssh.host}:{ssh.port} did not answer in time"
    return str(error) or type(error).__name__


def _run(client: paramiko.SSHClient, source: SourceSettings, deadline: float) -> Fetched:
    transport = client.get_transport()
    if transport is None:
        raise paramiko.SSHException("the connection was closed")
    channel = transport.open_session(timeout=CONNECT_S)
    channel.settimeout(CONNECT_S)
    channel.exec_command(shlex.join(source.command))
    channel.shutdown_write()
    chunks: list[bytes] = []
    words = bytearray()
    size = 0
    with selectors.DefaultSelector() as ready:
        ready.register(channel, selectors.EVENT_READ)
        while True:
            moved = False
            while channel.recv_ready():
                chunks.append(channel.recv(_CHUNK))
                moved = True
                size += len(chunks[-1])
                if size > source.most_bytes:
                    raise FabricError(f"its output is longer than {source.most_bytes} bytes", source.name)
            while channel.recv_stderr_ready():
                words += channel.recv_stderr(_CHUNK)[: MOST_WORDS - len(words)]
                moved = True
            if moved:
                continue
            if channel.eof_received and channel.exit_status_ready():
                break
            if not transport.is_active():
                raise paramiko.SSHException("the connection broke before the command had ended")
            left = deadline - time.monotonic()
            if left <= 0:
                raise FabricError(f"not at its end after {source.timeout_s:g} s", source.name)
            if ready.select(min(left, 1.0)):
                time.sleep(_PAUSE_S)
    said = words.decode(errors="replace").strip()
    status = channel.recv_exit_status()
    if status < 0:
        raise paramiko.SSHException("the command was ended, or the connection")
    _succeeded(status, said, source)
    return Fetched(b"".join(chunks), said)

"""Shell scripts run on a login node, each user's as that user. paramiko and threads; nothing here knows of Slurm."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import paramiko

from hpcjobs.slurm.ssh_keys import Keys, checked_name

CHANNELS: Final = 8
"""Sessions of one connection at a time; sshd allows 10 (MaxSessions)."""

CONNECT_S: Final = 10.0
KEEPALIVE_S: Final = 15
IDLE_S: Final = 120.0
MOST_CONNECTIONS: Final = 200
MOST_THREADS: Final = 64
SHELL: Final = "/bin/sh"

_BROKEN: Final = (OSError, EOFError, paramiko.SSHException)


class NotSent(Exception):
    """No connection could be made, or it broke before the shell had all it would run: nothing was run."""


class AnswerLost(Exception):
    """It was sent and no whole answer came back in time: it may have run."""


class Ran(msgspec.Struct, frozen=True):
    """What a script did.

    Attributes:
        status: Its exit status.
        out: Its standard output.
        err: Its standard error.
    """

    status: int
    out: bytes
    err: str


def wrapped(script: str, nonce: str) -> tuple[bytes, bytes]:
    """A script as the shell reads it.

    All of it stands between braces, so that a shell that does not get the last brace runs nothing; and behind a word
    that tells its output from what login scripts print.

    Returns:
        All but the end, and the end.
    """
    begin = f"{{\nprintf '%s\\n' {nonce}\nprintf '%s\\n' {nonce} >&2\n"
    return (begin + script).encode(errors="surrogateescape"), b"\nexit\n}\n"


def _exchange(transport: paramiko.Transport, script: str, timeout_s: float, most_bytes: int) -> Ran:
    """One script on one channel; runs in a thread."""
    deadline = time.monotonic() + timeout_s
    nonce = secrets.token_hex(16)
    body, end = wrapped(script, nonce)
    try:
        channel = transport.open_session(timeout=CONNECT_S)
    except _BROKEN as error:
        raise NotSent(f"no session: {error!r}") from error
    with contextlib.closing(channel):
        channel.settimeout(max(deadline - time.monotonic(), 0.1))
        try:
            channel.exec_command(SHELL)
            channel.sendall(body)
        except _BROKEN as error:
            if not transport.is_active() or not channel.exit_status_ready():
                raise NotSent(f"the connection broke: {error!r}") from error
            end = b""  # whoever answers there is no shell; it has ended and may say why
        try:
            with contextlib.suppress(OSError):  # closed already: the answer says why
                channel.sendall(end)
                channel.shutdown_write()
            out = _read(channel, channel.recv, deadline, most_bytes)
            err = _read(channel, channel.recv_stderr, deadline, most_bytes)
            if not channel.status_event.wait(max(deadline - time.monotonic(), 0.1)) or channel.exit_status < 0:
                raise AnswerLost("the connection broke before the command had ended")
        except _BROKEN as error:
            raise AnswerLost(f"no answer: {error!r}") from error
        mark = f"{nonce}\n".encode()
        _, there, answer = out.partition(mark)
        _, _, said = err.partition(mark)
        if not there:
            words = (err or out)[:300].decode(errors="replace").strip()
            raise NotSent(f"the login node starts no shell there (status {channel.exit_status}): {words}")
        return Ran(channel.exit_status, answer, said.decode(errors="replace"))


def _read(channel: paramiko.Channel, receive: Callable[[int], bytes], deadline: float, most_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        channel.settimeout(max(deadline - time.monotonic(), 0.1))
        chunk = receive(1 << 18)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > most_bytes:
            raise AnswerLost(f"the answer is longer than {most_bytes} bytes")


class _Line:
    """One user's connection and the scripts that are on it."""

    def __init__(self) -> None:
        self.client: paramiko.SSHClient | None = None
        self.connecting = asyncio.Lock()
        self.slots = asyncio.Semaphore(CHANNELS)
        self.busy = 0
        self.used_at = time.monotonic()

    def let_go(self) -> None:
        """Close the connection, if there is one."""
        if self.client is not None:
            self.client.close()
            self.client = None


class SshPool:
    """Connections to one login node, one a user, made on demand.

    Args:
        host: Name of the login node, as it stands in ``known_hosts``.
        port: Of its sshd.
        known_hosts: File with its host key; another key, or none, is refused.
        keys: What users are let in with.
        idle_s: A connection unused for that long is closed.
    """

    def __init__(self, host: str, port: int, known_hosts: Path, keys: Keys, idle_s: float = IDLE_S) -> None:
        self.host = host
        self.port = port
        self.known_hosts = known_hosts
        self.keys = keys
        self.idle_s = idle_s
        self._lines: dict[str, _Line] = {}
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="ssh")
        self._tidying: asyncio.TimerHandle | None = None

    async def run(self, user: str, script: str, timeout_s: float, most_bytes: int = 1 << 20) -> Ran:
        """Run a script of a POSIX shell as a user.

        A connection that turns out to be broken before anything was sent is made again, once.

        Args:
            user: As whom.
            script: What; it must read nothing from standard input.
            timeout_s: When to give up waiting, in seconds.
            most_bytes: Longest output that is taken.

        Raises:
            NotSent: Nothing was run.
            AnswerLost: It may have run.
            NotAllowed: There is no key for this user.
        """
        line = self._lines.setdefault(checked_name(user), _Line())
        loop = asyncio.get_running_loop()
        line.busy += 1
        try:
            async with line.slots:
                for attempt in (1, 2):
                    client = await self._connected(user, line)
                    transport = client.get_transport()
                    try:
                        if transport is None:
                            raise NotSent("the connection was closed")  # noqa: TRY301
                        return await loop.run_in_executor(
                            self._threads, _exchange, transport, script, timeout_s, most_bytes
                        )
                    except NotSent:
                        if line.client is client and (transport is None or not transport.is_active()):
                            line.client = None
                            client.close()
                        if attempt == 2:
                            raise
                raise AssertionError
        finally:
            line.busy -= 1
            line.used_at = time.monotonic()
            self._tidy_later(loop)

    async def _connected(self, user: str, line: _Line) -> paramiko.SSHClient:
        async with line.connecting:
            transport = line.client.get_transport() if line.client else None
            if line.client is not None and transport is not None and transport.is_active():
                return line.client
            line.let_go()
            self._make_room()
            loop = asyncio.get_running_loop()
            line.client = await loop.run_in_executor(self._threads, self._connect, user)
            return line.client

    def _connect(self, user: str) -> paramiko.SSHClient:
        key = self.keys.key_of(user)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        connection = None
        try:
            client.load_system_host_keys(str(self.known_hosts))
            connection = socket.create_connection((self.host, self.port), timeout=CONNECT_S)
            client.connect(
                self.host,
                self.port,
                username=user,
                pkey=key,
                sock=connection,
                timeout=CONNECT_S,
                banner_timeout=CONNECT_S,
                auth_timeout=CONNECT_S,
                allow_agent=False,
                look_for_keys=False,
            )
        except _BROKEN as error:
            client.close()
            if connection is not None:
                connection.close()
            raise NotSent(f"no connection to {self.host}:{self.port} as {user}: {error}") from error
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE_S)
        return client

    def _make_room(self) -> None:
        held = [line for line in self._lines.values() if line.client is not None]
        if len(held) < MOST_CONNECTIONS:
            return
        idle = min((line for line in held if not line.busy), key=lambda line: line.used_at, default=None)
        if idle is None:
            raise NotSent(f"{MOST_CONNECTIONS} connections to {self.host} are in use, which is the most")
        idle.let_go()

    def _tidy_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._tidying is None:
            self._tidying = loop.call_later(self.idle_s, self._tidy, loop)

    def _tidy(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what nobody has used for a while."""
        self._tidying = None
        horizon = time.monotonic() - self.idle_s
        for user, line in list(self._lines.items()):
            if not line.busy and line.used_at <= horizon:
                line.let_go()
                del self._lines[user]
        if self._lines:
            self._tidy_later(loop)

    async def close(self) -> None:
        """Close every connection."""
        if self._tidying is not None:
            self._tidying.cancel()
        for line in self._lines.values():
            line.let_go()
        self._lines.clear()
        await asyncio.to_thread(self._threads.shutdown)

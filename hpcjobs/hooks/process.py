"""Our side of the process that plugins run in: started, asked, killed where it hangs, started anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from hpcjobs.agents.channel import Channel, Lost
from hpcjobs.agents.protocol import RawReply, Request
from hpcjobs.hooks.frames import Brought
from hpcjobs.settings import PluginSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

LOAD_S: Final = 30.0
"""How long the plugins of a generation may take to load together, in seconds."""
REMEMBER_S: Final = 30.0
"""How long a plugin may take to read what its discovery kept, in seconds."""
TRIES: Final = 4
"""How often a call is told again that another call's process took with it."""


class HookFailed(Exception):
    """A hook did not do what it was asked: it raised, was too late, or took its process with it."""


class PluginProcess:
    """The process of one generation. Made anew, with all that it had been told to know, when it has died.

    Args:
        plugins: What it loads.
    """

    def __init__(self, plugins: Sequence[PluginSettings]) -> None:
        self.plugins = tuple(plugins)
        self.starts = 0
        self._known: dict[tuple[str, ...], Request] = {}
        """What every process is told after it has loaded: views, and what discoveries kept."""
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> list[Brought]:
        """Start it and load the plugins.

        Returns:
            What came of each.

        Raises:
            HookFailed: They took it with them.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                # -B: what is compiled of a plugin would be taken for new code that was written within the same second.
                sys.executable, "-B", "-m", "hpcjobs.hooks.worker", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        self.starts += 1
        self._channel = Channel(*await asyncio.open_connection(sock=ours), self._kill)
        self._channel.pid = self._process.pid
        request = Request("load", {"plugins": msgspec.msgpack.encode(self.plugins)})
        try:
            return self._read(await self._channel.ask(request, LOAD_S), list[Brought])
        except Lost as error:
            await self.close()
            raise HookFailed(f"the process {error}") from error

    async def _kill(self, _pid: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    @staticmethod
    def _read(reply: RawReply, kind: type[T]) -> T:
        if reply.failure is not None:
            raise HookFailed(reply.failure.message)
        return msgspec.msgpack.decode(reply.result, type=kind)

    async def _alive(self) -> Channel:
        """The process that is there, or a new one."""
        async with self._lock:
            if self._channel is None or self._channel.lost:
                await self.close()
                await self.start()
                for request in list(self._known.values()):
                    await self._tell(request)
            if self._channel is None:
                raise HookFailed("the process is gone")
            return self._channel

    async def _tell(self, request: Request) -> None:
        if self._channel is None:
            raise HookFailed("the process is gone")
        try:
            self._read(await self._channel.ask(request, REMEMBER_S), type(None))
        except Lost as error:
            raise HookFailed(f"the process {error}") from error

    async def know(self, op: str, args: dict[str, Any], *what: str) -> None:
        """Tell the process something that it and each that follows it must know.

        Args:
            op: Name of the operation.
            args: Its arguments.
            what: What it is about: the latest about the same counts.

        Raises:
            HookFailed: It does not take it.
        """
        request = Request(op, args)
        await self._alive()
        await self._tell(request)
        self._known[op, *what] = request

    async def ask(self, op: str, args: dict[str, Any], kind: type[T], timeout_s: float) -> T:
        """Have a hook called.

        Args:
            op: Name of the operation.
            args: Its arguments.
            kind: Type of the result.
            timeout_s: How long it may take from when its turn comes; then the process is killed.

        Raises:
            HookFailed: It raised, was too late or took the process with it.
        """
        died = False
        for _ in range(TRIES):
            channel = await self._alive()
            try:
                return self._read(await channel.ask(Request(op, args), timeout_s), kind)
            except Lost as error:
                # Hooks change nothing, so they can be asked twice: the process may have been dead before.
                if error.hung or (died and error.sent):
                    raise HookFailed(f"it {error}") from error
                died = died or error.sent
        raise HookFailed("other plugins took the process with them again and again")

    async def close(self) -> None:
        """End it."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        await self._kill(0)
        self._process = None

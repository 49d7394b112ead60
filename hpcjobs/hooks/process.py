"""Our side of the process that plugins run in: started, asked, killed where it hangs, started anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from hpcjobs.agents.channel import AHEAD, Channel, Lost, Turn
from hpcjobs.agents.protocol import RawReply, Request
from hpcjobs.hooks.frames import Brought
from hpcjobs.settings import PluginSettings

log = logging.getLogger(__name__)
T = TypeVar("T")

LOAD_S: Final = 30.0
"""How long the plugins of a generation may take to load together, in seconds."""
REMEMBER_S: Final = 30.0
"""How long a plugin may take to read what its discovery kept, in seconds."""
TRIES: Final = 10
"""How many processes are made in a row for one call, beside those that are lost while they are told what to know."""


class HookFailed(Exception):
    """A hook did not do what it was asked: it raised, was too late, or took its process with it.

    Args:
        why: In words, for operators: it may quote what an exception says, and so what a plugin was given.
        shown: The same for everybody; ``""``: ``why`` quotes nothing.
        blameless: Whether it was none of its plugin's doing.
    """

    def __init__(self, why: str, *, shown: str = "", blameless: bool = False) -> None:
        super().__init__(why)
        self.shown = shown or why
        self.blameless = blameless


class PluginProcess:
    """The process of one generation. Made anew, with all that it had been told to know, when it has died.

    Args:
        plugins: What it loads.
        first: What came of loading them in another process of their generation, where there is one.
    """

    def __init__(self, plugins: Sequence[PluginSettings], first: Sequence[Brought] = ()) -> None:
        self.plugins = tuple(plugins)
        self.starts = 0
        self.room = asyncio.Semaphore(AHEAD)
        """For those who ask: with more calls ahead it would be told of what nobody waits for any more."""
        self._known: dict[tuple[str, ...], Request] = {}
        """What every process is told after it has loaded: views, and what discoveries kept."""
        self._suspects: set[tuple[str, ...]] = set()
        """Of that: during what a process was lost."""
        self._first = {one.name: one for one in first}
        """What came of loading the plugins at first: the generation is made of that code and no other."""
        self._faults: dict[str, str] = {}
        """What keeps a plugin from being asked in the present process."""
        self._process: asyncio.subprocess.Process | None = None
        self._watching: set[asyncio.Task[None]] = set()
        self._channel: Channel | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    async def start(self) -> list[Brought]:
        """Start it and load the plugins.

        Returns:
            What came of each.

        Raises:
            HookFailed: They took it with them, or no process can be started.
        """
        brought = await self._load()
        self._first = {one.name: one for one in brought}
        return brought

    async def _load(self) -> list[Brought]:
        self._channel = channel = await self._new()
        request = Request("load", {"plugins": msgspec.json.encode(self.plugins)})
        try:
            return self._read(await channel.ask(request, LOAD_S), list[Brought])
        except Lost as error:
            await self._let_go()
            raise HookFailed(f"the process {error}") from error

    async def _new(self) -> Channel:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    # -B: what is compiled of a plugin would be taken for new code, written within the same second.
                    sys.executable, "-B", "-m", "hpcjobs.hooks.worker", str(theirs.fileno()),
                    pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
            self.starts += 1
            watching = asyncio.create_task(_end_with(self._process))
            self._watching.add(watching)
            watching.add_done_callback(self._watching.discard)
            channel = Channel(*await asyncio.open_connection(sock=ours), self._kill)
        except OSError as error:
            ours.close()
            raise HookFailed(f"no process can be started: {error}", blameless=True) from error
        channel.pid = self._process.pid
        return channel

    async def _kill(self, _pid: int) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                _kill_group(self._process.pid)
            await self._process.wait()

    @staticmethod
    def _read(reply: RawReply, kind: type[T]) -> T:
        if reply.failure is not None:
            raise HookFailed(reply.failure.message, shown="it failed; the log of the service says how")
        try:
            return msgspec.msgpack.decode(reply.result, type=kind)
        except msgspec.MsgspecError as error:
            raise HookFailed(f"its answer is none: {error}") from error

    async def _alive(self) -> Channel:
        """The process that is there, or a new one."""
        async with self._lock:
            for _ in range(TRIES + 2 * len(self._known)):
                if self._closed:
                    break
                if self._channel is not None and not self._channel.lost:
                    return self._channel
                if self._channel is not None:
                    await self._channel.over()
                await self._let_go()
                await self._again()
        raise HookFailed("the process is gone", blameless=True)

    async def _again(self) -> None:
        """A new process in place of one that died: with the code of the first, and with what that one knew."""
        self._faults = {one.name: fault for one in await self._load() if (fault := self._change(one))}
        for what, request in list(self._known.items()):
            if self._channel is None or self._channel.lost:
                return
            try:
                self._read(await self._channel.ask(request, REMEMBER_S), type(None))
            except HookFailed as error:
                log.warning("a new process of plugins does not take %s: %s", " ".join(what), error)
                del self._known[what]
            except Lost as error:
                log.warning("a new process of plugins was lost with %s: it %s", " ".join(what), error)
                if what in self._suspects:
                    del self._known[what]
                self._suspects.add(what)

    def _change(self, now: Brought) -> str:
        """Why a plugin that has been loaded anew is not the one of this generation, or ``""``."""
        first = self._first.get(now.name)
        if first is None or first.fault or (now.version, now.digest, now.fault) == (first.version, first.digest, ""):
            return ""
        return "its code has changed on disk: reload the plugins" + (f". {now.fault}" if now.fault else "")

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
        self._read(await self._asked(request, REMEMBER_S), type(None))
        self._known[op, *what] = request
        self._suspects.discard((op, *what))

    async def ask(
        self, op: str, args: dict[str, Any], kind: type[T], timeout_s: float, off: Callable[[], str] = lambda: ""
    ) -> T:
        """Have a hook called.

        Args:
            op: Name of the operation.
            args: Its arguments.
            kind: Type of the result.
            timeout_s: How long it may take from when its turn comes; then the process is killed.
            off: Why its plugin is asked no more, or ``""``; this can come to be while the call waits.

        Raises:
            HookFailed: It raised, was too late, took the process with it, or is switched off.
        """
        return self._read(await self._asked(Request(op, args), timeout_s, off), kind)

    async def _asked(self, request: Request, timeout_s: float, off: Callable[[], str] = lambda: "") -> RawReply:
        """The answer, of as many processes as it takes.

        Hooks change nothing, so they can be asked twice: a process may have been dead before. Where another call took
        it, this one is asked again however often that was. That has an end: each process is lost to one of the calls
        under way, which loses two at most, and a plugin that does so too often is switched off.
        """
        died = False
        while True:
            channel = await self._alive()
            if why := off():
                raise HookFailed(why, shown="it is switched off", blameless=True)
            if fault := self._faults.get(request.args.get("plugin", "")):
                raise HookFailed(fault, shown="its code has changed on disk")
            try:
                return await channel.ask(request, timeout_s)
            except Lost as error:
                if error.turn is Turn.HUNG or (died and error.turn is Turn.DIED):
                    raise HookFailed(f"it {error}") from error
                died = died or error.turn is Turn.DIED

    async def _let_go(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        await self._kill(0)
        self._process = None

    async def close(self) -> None:
        """End it for good."""
        self._closed = True
        await self._let_go()
        await asyncio.gather(*self._watching)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _end_with(process: asyncio.subprocess.Process) -> None:
    """End what a process has started and left behind, as soon as it is dead: later its number may be another's."""
    await process.wait()
    _kill_group(process.pid)

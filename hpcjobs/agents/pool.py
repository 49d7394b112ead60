"""The API's side: agents by user, one call at a time each, ended when they hang, forgotten when they idle."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hpcjobs.agents.protocol import HEADER, MAX_FRAME, Failure, Hello, RawReply, Request, encode
from hpcjobs.errors import Unavailable, WorkerLost

T = TypeVar("T")
SPAWN_TIMEOUT_S: Final = 10.0


class AgentFailure(Exception):
    """An agent did the call and it failed; ``failure`` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class SpawnRefused(Exception):
    """The spawner will not make such an agent: no such user, no pyslurm."""


class Key(NamedTuple):
    """Which agent: what it can do, as whom, for which cluster."""

    kind: str
    user: str
    slurm_conf: str = ""


class _Channel:
    """One connection to the spawner, and after its answer to the agent that was forked for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.pid = 0
        self.used_at = time.monotonic()

    async def exchange(self, message: msgspec.Struct) -> RawReply:
        """Send one frame and wait for the answer."""
        self.writer.write(encode(message))
        await self.writer.drain()
        (size,) = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if size > MAX_FRAME:
            raise ConnectionError(f"a frame of {size} bytes")
        self.used_at = time.monotonic()
        return msgspec.msgpack.decode(await self.reader.readexactly(size), type=RawReply)

    def close(self) -> None:
        """Let the agent go: it ends when it sees the closed connection."""
        self.writer.close()


class AgentPool:
    """Agents made on demand.

    Args:
        path: The spawner's Unix socket.
        idle_s: An agent unused for that long is let go.
    """

    def __init__(self, path: str, idle_s: float = 300.0) -> None:
        self.path = path
        self.idle_s = idle_s
        self._channels: dict[Key, _Channel] = {}
        self._locks: dict[Key, asyncio.Lock] = {}

    async def call(self, key: Key, op: str, args: dict[str, Any], result: type[T], timeout_s: float) -> T:
        """Have an agent do one call.

        Args:
            key: Which agent; it is made where there is none.
            op: Name of the operation.
            args: Its arguments.
            result: Type of the result.
            timeout_s: An agent that has not answered by then is killed.

        Returns:
            The result.

        Raises:
            AgentFailure: The call was done and failed.
            SpawnRefused: No such agent can be had.
            WorkerLost: The agent died or hung; ``sent`` says whether it had the call.
        """
        async with self._locks.setdefault(key, asyncio.Lock()):
            channel = self._alive(key) or await self._spawn(key)
            answered = False
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await channel.exchange(Request(op, args))
                answered = True
            except TimeoutError:  # an OSError too: it must come first
                await self._kill(channel.pid)
                raise WorkerLost(
                    f"The {key.kind} worker of {key.user} did not answer {op} within {timeout_s:g} s.",
                    sent=True,
                ) from None
            except (EOFError, OSError) as error:
                raise WorkerLost(f"The {key.kind} worker of {key.user} died during {op}.", sent=True) from error
            finally:
                # Also on cancellation: an answer still to come must not meet the next call.
                if answered:
                    self._channels[key] = channel
                else:
                    channel.close()
        if reply.failure is not None:
            raise AgentFailure(reply.failure)
        return msgspec.msgpack.decode(reply.result, type=result)

    def _alive(self, key: Key) -> _Channel | None:
        """Take the agent out, if it is there and has not died since its last call."""
        channel = self._channels.pop(key, None)
        if channel is not None and channel.reader.at_eof():
            channel.close()
            return None
        return channel

    async def ready(self, key: Key) -> None:
        """Make sure that such an agent can be had.

        Raises:
            SpawnRefused: It cannot; the message says why.
            WorkerLost: The spawner does not answer.
        """
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._channels:
                self._channels[key] = await self._spawn(key)

    async def _connect(self) -> _Channel:
        try:
            return _Channel(*await asyncio.open_unix_connection(self.path))
        except OSError as error:
            raise WorkerLost(f"The spawner does not answer: {error}.", sent=False) from error

    async def _spawn(self, key: Key) -> _Channel:
        channel = await self._connect()
        try:
            async with asyncio.timeout(SPAWN_TIMEOUT_S):
                reply = await channel.exchange(Hello(key.kind, key.user, key.slurm_conf))
            if reply.failure is not None:
                raise SpawnRefused(reply.failure.message)
            channel.pid = msgspec.msgpack.decode(reply.result, type=int)
        except (EOFError, OSError) as error:
            raise WorkerLost(f"No {key.kind} worker for {key.user} came up.", sent=False) from error
        finally:
            if not channel.pid:
                channel.close()
        return channel

    async def _kill(self, pid: int) -> None:
        try:
            channel = await self._connect()
            try:
                async with asyncio.timeout(SPAWN_TIMEOUT_S):
                    await channel.exchange(Hello("kill", pid=pid))
            finally:
                channel.close()
        except (Unavailable, EOFError, OSError):
            return  # the spawner is away; the agent goes when it sees its closed connection

    def let_go_idle(self) -> None:
        """Let go of the agents that nobody has used for a while."""
        horizon = time.monotonic() - self.idle_s
        for key, channel in list(self._channels.items()):
            if channel.used_at < horizon:
                del self._channels[key]
                channel.close()

    def close(self) -> None:
        """Let go of every agent."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

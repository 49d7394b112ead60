"""The API's side: agents by user, calls in order, ended when they hang, forgotten when they idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hpcjobs.agents.channel import Channel, Lost
from hpcjobs.agents.protocol import Failure, Hello, Request
from hpcjobs.errors import Unavailable, WorkerLost

log = logging.getLogger(__name__)

T = TypeVar("T")
SPAWN_TIMEOUT_S: Final = 10.0
ROOM_TRIES: Final = 5
ROOM_PAUSE_S: Final = 0.1
"""How long an agent that is let go may take to make room, for each of so many tries."""


class AgentFailure(Exception):
    """An agent did the call and it failed; ``failure`` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class SpawnRefused(Exception):
    """The spawner will not make such an agent: no such user, no pyslurm."""


class Key(NamedTuple):
    """Which agent: what it can do, as whom, for which cluster, and which of several alike."""

    kind: str
    user: str
    slurm_conf: str = ""
    number: int = 0


class _NoRoom(Exception):
    """The spawner makes no more agents now."""


class AgentPool:
    """Agents made on demand.

    Args:
        path: The spawner's Unix socket.
        idle_s: An agent unused for that long is let go.
        min_uid: No agent becomes a user with a lower number.
    """

    def __init__(self, path: str, idle_s: float = 300.0, min_uid: int = 0) -> None:
        self.path = path
        self.min_uid = min_uid
        self.idle_s = idle_s
        self._channels: dict[Key, Channel] = {}
        self._locks: dict[Key, asyncio.Lock] = {}
        self._load: Counter[Key] = Counter()

    def load(self, key: Key) -> int:
        """How many calls an agent has before it."""
        return self._load[key]

    @property
    def agents(self) -> int:
        """How many there are."""
        return len(self._channels)

    async def call(self, key: Key, op: str, args: dict[str, Any], result: type[T], timeout_s: float) -> T:
        """Have an agent do one call.

        Args:
            key: Which agent; it is made where there is none.
            op: Name of the operation.
            args: Its arguments.
            result: Type of the result.
            timeout_s: An agent that has not answered so long after its turn came is killed.

        Returns:
            The result.

        Raises:
            AgentFailure: The call was done and failed.
            SpawnRefused: No such agent can be had.
            WorkerLost: The agent died or hung; ``sent`` says whether it had begun the call.
        """
        reply = None
        self._load[key] += 1
        try:
            while reply is None:
                channel = await self._channel(key)
                async with channel.room:
                    if not channel.lost:  # while this call waited for room
                        reply = await channel.ask(Request(op, args), timeout_s)
        except Lost as error:
            raise WorkerLost(f"The {key.kind} worker of {key.user} {error}.", sent=error.sent) from None
        finally:
            self._load[key] -= 1
        if reply.failure is not None:
            raise AgentFailure(reply.failure)
        return msgspec.msgpack.decode(reply.result, type=result)

    async def _channel(self, key: Key) -> Channel:
        """The agent that is there, or a new one."""
        there = self._channels.get(key)
        if there is not None and not there.lost:
            return there
        async with self._locks.setdefault(key, asyncio.Lock()):
            channel = self._channels.get(key)
            if channel is not None and channel.lost:
                channel.close()
                channel = None
            if channel is None:
                self._channels[key] = channel = await self._spawn(key)
            return channel

    async def ready(self, key: Key) -> None:
        """Make sure that such an agent can be had.

        Raises:
            SpawnRefused: It cannot; the message says why.
            WorkerLost: The spawner does not answer.
        """
        await self._channel(key)

    async def _connect(self) -> Channel:
        try:
            return Channel(*await asyncio.open_unix_connection(self.path), self._kill)
        except OSError as error:
            raise WorkerLost(f"The spawner does not answer: {error}.", sent=False) from error

    async def _spawn(self, key: Key) -> Channel:
        """A new agent; where there is no room, in place of the one that has been idle longest."""
        why = ""
        for _ in range(ROOM_TRIES):
            try:
                return await self._spawn_once(key)
            except _NoRoom as error:
                why = str(error)
            if not self._let_go_longest_idle():
                break
            await asyncio.sleep(ROOM_PAUSE_S)
        raise WorkerLost(f"No {key.kind} worker for {key.user} can be had now: {why}.", sent=False)

    def _let_go_longest_idle(self) -> bool:
        idle = [key for key, channel in self._channels.items() if channel.idle]
        if idle:
            self._channels.pop(min(idle, key=lambda key: self._channels[key].used_at)).close()
        return bool(idle)

    async def _spawn_once(self, key: Key) -> Channel:
        channel = await self._connect()
        try:
            async with asyncio.timeout(SPAWN_TIMEOUT_S):
                reply = await channel.exchange(Hello(key.kind, key.user, key.slurm_conf, min_uid=self.min_uid))
            if reply.failure is not None:
                kinds = {"full": _NoRoom, "passing": ConnectionError}
                raise kinds.get(reply.failure.kind, SpawnRefused)(reply.failure.message)
            channel.pid = msgspec.msgpack.decode(reply.result, type=int)
        except (EOFError, OSError) as error:
            raise WorkerLost(f"No {key.kind} worker for {key.user} came up: {error}.", sent=False) from error
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
            if channel.idle and channel.used_at < horizon:
                del self._channels[key]
                channel.close()

    def close(self) -> None:
        """Let go of every agent."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

"""The API's side: agents by user, calls in order, ended when they hang, forgotten when they idle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from hpcjobs.agents.protocol import HEADER, MAX_FRAME, Failure, Hello, RawReply, Request, encode
from hpcjobs.errors import Unavailable, WorkerLost

log = logging.getLogger(__name__)

T = TypeVar("T")
SPAWN_TIMEOUT_S: Final = 10.0
KILLED_S: Final = 5.0
"""How long a killed agent may take to go."""
ROOM_TRIES: Final = 5
ROOM_PAUSE_S: Final = 0.1
"""How long an agent that is let go may take to make room, for each of so many tries."""
AHEAD: Final = 8
"""How many calls an agent is told of at once."""


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


class _Lost(Exception):
    """An agent that answers no more; ``sent`` says whether it had begun the call."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class _Call(NamedTuple):
    """A call that an agent has been told of."""

    op: str
    timeout_s: float
    answer: asyncio.Future[RawReply]


class _Channel:
    """One connection to the spawner, and after its answer to the agent that was forked for it.

    An agent does one call after the other; it is told of the next few meanwhile, so that it never waits for us.

    Args:
        reader: Of the connection.
        writer: Of the connection.
        kill: What ends the agent when it hangs.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kill: Callable[[int], Awaitable[None]],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.pid = 0
        self.used_at = time.monotonic()
        self.room = asyncio.Semaphore(AHEAD)
        self._kill = kill
        self._calls: deque[_Call] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._size = 0
        """Of the answer that is being read."""
        self._ending = False

    async def exchange(self, message: msgspec.Struct) -> RawReply:
        """Send one frame and wait for the answer; nothing else may be under way."""
        self.writer.write(encode(message))
        await self.writer.drain()
        return await self._answer()

    async def _answer(self) -> RawReply:
        """The next answer; after a cancellation it is read on from where it was left."""
        if not self._size:
            (self._size,) = HEADER.unpack(await self.reader.readexactly(HEADER.size))
        if self._size > MAX_FRAME:
            raise ValueError(f"a frame of {self._size} bytes")
        body = await self.reader.readexactly(self._size)
        self._size = 0
        self.used_at = time.monotonic()
        return msgspec.msgpack.decode(body, type=RawReply)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._calls

    @property
    def lost(self) -> bool:
        """Whether no call can be made any more, as far as one can see from here."""
        return self._ending or self.writer.is_closing() or (self.idle and self.reader.at_eof())

    async def ask(self, request: Request, timeout_s: float) -> RawReply:
        """One call, after those before it.

        Args:
            request: The call.
            timeout_s: How long it may take, from when its turn comes.

        Raises:
            _Lost: The agent died or hung.
        """
        frame = encode(request)  # what cannot be written must not wait for an answer
        call = _Call(request.op, timeout_s, asyncio.get_running_loop().create_future())
        self._calls.append(call)
        self.writer.write(frame)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await call.answer

    async def _read(self) -> None:
        """Hand the answers to those who wait for them, until nobody does or no more can come."""
        while self._calls:
            call = self._calls[0]
            try:
                async with asyncio.timeout(call.timeout_s):
                    reply = await self._answer()
            except TimeoutError:  # an OSError too: it must come first
                await self._end(f"did not answer {call.op} within {call.timeout_s:g} s")
            except (EOFError, OSError):
                self._fail(f"died during {call.op}")
            except ValueError as error:
                await self._end(f"said what cannot be read: {error}")
            else:
                self._hand_over(reply)

    def _hand_over(self, reply: RawReply) -> None:
        answer = self._calls.popleft().answer
        if not answer.done():  # whoever asked may have gone
            answer.set_result(reply)

    async def _end(self, why: str) -> None:
        """Kill the agent, and hear what it still says: it may have gone on to later calls meanwhile."""
        self._ending = True
        killing = asyncio.ensure_future(self._kill(self.pid))
        dead = False
        try:
            async with asyncio.timeout(KILLED_S):
                while self._calls:
                    self._hand_over(await self._answer())
        except TimeoutError:
            log.warning("agent %d does not end", self.pid)
        except (EOFError, OSError):
            dead = True
        except ValueError as error:
            log.warning("agent %d says what cannot be read: %s", self.pid, error)
        self._fail(why, known=dead)
        await killing

    def _fail(self, why: str, *, known: bool = True) -> None:
        """No call is answered any more.

        Args:
            why: In words.
            known: Whether everything that the agent said has been heard: then only the first call was begun, and the
                others can be told to another agent.
        """
        self.writer.close()
        calls, self._calls = self._calls, deque()
        for index, call in enumerate(calls):
            if not call.answer.done():
                call.answer.set_exception(_Lost(why, sent=index == 0 or not known))

    def close(self) -> None:
        """Let the agent go: it ends when it sees the closed connection."""
        if self._reading is not None:
            self._reading.cancel()
        self._fail("was let go", known=False)


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
        self._channels: dict[Key, _Channel] = {}
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
        except _Lost as error:
            raise WorkerLost(f"The {key.kind} worker of {key.user} {error}.", sent=error.sent) from None
        finally:
            self._load[key] -= 1
        if reply.failure is not None:
            raise AgentFailure(reply.failure)
        return msgspec.msgpack.decode(reply.result, type=result)

    async def _channel(self, key: Key) -> _Channel:
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

    async def _connect(self) -> _Channel:
        try:
            return _Channel(*await asyncio.open_unix_connection(self.path), self._kill)
        except OSError as error:
            raise WorkerLost(f"The spawner does not answer: {error}.", sent=False) from error

    async def _spawn(self, key: Key) -> _Channel:
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

    async def _spawn_once(self, key: Key) -> _Channel:
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

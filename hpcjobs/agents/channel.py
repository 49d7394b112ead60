"""One process that does one call after the other, at the other end of a connection; known to be lost when it is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from hpcjobs.agents.protocol import HEADER, MAX_FRAME, RawReply, Request, encode

log = logging.getLogger(__name__)

KILLED_S: Final = 5.0
"""How long a killed process may take to go."""
AHEAD: Final = 8
"""How many calls a process is told of at once."""


class Turn(Enum):
    """What a call was to a process that is lost."""

    OTHER = "other"  # its turn had not come, or it was ended in it for what another did
    DIED = "died"  # it died in it
    HUNG = "hung"  # it was ended for not answering it in time, or with what cannot be read


class Lost(Exception):
    """A process that answers no more.

    Args:
        why: In words.
        sent: Whether it may have begun the call.
        turn: What the call was to it.
    """

    def __init__(self, why: str, *, sent: bool, turn: Turn = Turn.OTHER) -> None:
        super().__init__(why)
        self.sent = sent
        self.turn = turn


class _Call(NamedTuple):
    """A call that an agent has been told of."""

    op: str
    timeout_s: float
    answer: asyncio.Future[RawReply]


class Channel:
    """One connection to an agent, or to the spawner until it has forked one; or to the process that runs plugins.

    It does one call after the other; it is told of the next few meanwhile, so that it never waits for us.

    Args:
        reader: Of the connection.
        writer: Of the connection.
        kill: What ends the process when it hangs.
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
            Lost: The agent died or hung.
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
                self._fail(f"died during {call.op}", Turn.DIED)
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
        first = self._calls[0]
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
        still = self._calls and self._calls[0] is first  # else it was late, and another's turn had come
        self._fail(why, Turn.HUNG if still else Turn.OTHER, known=dead)
        await killing

    def _fail(self, why: str, turn: Turn = Turn.OTHER, *, known: bool = True) -> None:
        """No call is answered any more.

        Args:
            why: In words.
            turn: What the first call was to the agent; the others were none.
            known: Whether everything that the agent said has been heard: then only the first call was begun, and the
                others can be told to another agent.
        """
        self.writer.close()
        calls, self._calls = self._calls, deque()
        for index, call in enumerate(calls):
            if not call.answer.done():
                first = index == 0
                lost = Lost(why, sent=first or not known, turn=turn if first else Turn.OTHER)
                call.answer.set_exception(lost)

    async def over(self) -> None:
        """Wait until everybody who asked an agent that is lost has heard of it."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    def close(self) -> None:
        """Let the agent go: it ends when it sees the closed connection."""
        if self._reading is not None:
            self._reading.cancel()
        self._fail("was let go", known=False)

"""One reader of the events table for everybody who listens.

A subscription begins by reading the table from where its listener left off; when it has come to the end it is live:
the hub reads what each transaction appended, once, and hands it to every live subscription that wants it. One whose
listener is too slow is live no more: it is told so, and reads the table again from its own place. Going live and
handing out both happen between two awaits, so that nothing falls between them and nothing comes twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final, Self

import msgspec

from hpcjobs.errors import HpcjobsError
from hpcjobs.identity.policy import Visibility
from hpcjobs.identity.streams import Admission, Streams
from hpcjobs.model.event import Event
from hpcjobs.model.event import Gap as Gap
from hpcjobs.store import events
from hpcjobs.store.events import EventFilter, Stretch
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

CHUNK: Final = 500
"""Events that are read at once."""
QUEUE: Final = 1_000
"""Events that wait for one listener; with more it is too slow."""
LOOK_S: Final = 5.0
"""How often the table is looked at without a commit of this process: another may write to it too."""
RETRY_S: Final = 1.0


class Lost(msgspec.Struct, frozen=True):
    """The listener was too slow; nothing is lost yet: what follows ``after`` is read from the table."""

    after: int


Item = Event | Gap | Lost


class Subscription:
    """What one listener gets. Use it in a ``with``, or close() it.

    Args:
        hub: Of the process.
        wanted: Which events.
        after: Those after this ``seq``; None: those that come from now on.
        visible: What the listener may see at the moment; None: what ``wanted`` says.
        chunk: Most events of one answer.
    """

    def __init__(
        self,
        hub: EventHub,
        wanted: EventFilter,
        after: int | None,
        visible: Callable[[], Visibility] | None,
        chunk: int,
    ) -> None:
        self.live = False
        self.admission: Admission | None = None
        """Set where it counts as one of a user's streams; see EventHub.admit."""
        self._hub = hub
        self._wanted = wanted
        self._visible = visible
        self._chunk = chunk
        self._after = after
        """Where it stands: everything up to here has been handed over, or waits in the queue, or is not wanted."""
        self._queue: deque[Item] = deque()
        self._wake = asyncio.Event()

    @property
    def position(self) -> int:
        """Everything up to this ``seq`` has been handed over: where to go on."""
        if not self._queue:
            return self._after or 0
        first = self._queue[0]
        return first.seq - 1 if isinstance(first, Event) else first.after

    @property
    def settled(self) -> bool:
        """Whether everything that there was has been handed over."""
        return self.live and not self._queue

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._hub.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self.live = False
        self._hub.forget(self)

    def wanted(self) -> EventFilter:
        """Which events, by what the listener may see now."""
        if self._visible is None:
            return self._wanted
        return msgspec.structs.replace(self._wanted, visible=self._visible())

    async def next(self, timeout_s: float) -> list[Item]:
        """What comes next, in order.

        Args:
            timeout_s: How long to wait for it; with 0 the table is read, once.

        Returns:
            At least one item; nothing where none came in this time, or where the hub was closed.

        Raises:
            Unavailable: The database does not answer.
        """
        end = time.monotonic() + timeout_s
        looked = False
        while True:
            if self._queue:
                return [self._queue.popleft() for _ in range(min(self._chunk, len(self._queue)))]
            left_s = end - time.monotonic()
            if self.closed or (looked and left_s <= 0):
                return []
            looked = True
            if not self.live:
                await self._read()
                continue
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left_s, 0.0)):  # wait_for of 3.11 can lose a cancellation
                    await self._wake.wait()

    async def _read(self) -> None:
        """Read a piece of the table; live when it was the last."""
        piece = await self._hub.read(self.wanted(), self._after, self._chunk)
        if self._after is None:
            self._after = piece.newest
        elif self._after > piece.newest:  # another database, or an older copy of it
            self._queue.append(Gap(self._after, piece.newest + 1))
            self._after = piece.newest
        else:
            if self._after < piece.oldest - 1:
                self._queue.append(Gap(self._after, piece.oldest))
            self._queue.extend(piece.events)
            self._after = piece.upto
        if self._after >= piece.newest:
            self._hub.go_live(self, self._after)

    def offer(self, piece: list[Event], upto: int) -> bool:
        """Take from what was appended what is wanted.

        Args:
            piece: All events that were, in order.
            upto: They are everything up to here.

        Returns:
            Whether the listener keeps up.
        """
        wanted = self.wanted()
        for event in piece:
            if event.seq > (self._after or 0) and wanted.covers(event):
                if len(self._queue) >= QUEUE:
                    self._after = event.seq - 1
                    self._queue.append(Lost(self._after))
                    self.live = False
                    return False
                self._queue.append(event)
        self._after = max(self._after or 0, upto)
        if self._queue:
            self._wake.set()
        return True

    def wake(self) -> None:
        """Look again."""
        self._wake.set()


class EventHub:
    """Everybody who listens to this process.

    Args:
        store: Where the events are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.closed = False
        self._live: set[Subscription] = set()
        self._head = 0
        """Everything up to here has been handed to the live subscriptions."""
        self.streams = Streams()
        self._streams: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read after each commit."""
        self.store.committed.append(self._wake.set)
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """Tell every listener that nothing comes any more."""
        self.closed = True
        self._wake.set()
        for subscription in self._live:
            subscription.wake()

    async def stop(self) -> None:
        """Close, and end."""
        self.close()
        if self._task is not None:
            self.store.committed.remove(self._wake.set)
            await self._task

    def subscribe(
        self,
        wanted: EventFilter,
        after: int | None,
        visible: Callable[[], Visibility] | None = None,
        chunk: int = CHUNK,
    ) -> Subscription:
        """Listen; see Subscription."""
        return Subscription(self, wanted, after, visible, chunk)

    def admit(self, user: str, subscription: Subscription, most: int) -> None:
        """Count a subscription as one of a user's streams.

        Args:
            user: Whose.
            subscription: It counts until it is closed, or nobody has it any more.
            most: How many a user may have.

        Raises:
            RateLimited: They have as many already.
        """
        subscription.admission = self.streams.admit(user, most)
        self._streams.add(subscription)

    def forget(self, subscription: Subscription) -> None:
        """Hand it nothing any more; see Subscription.close."""
        self._live.discard(subscription)
        self._streams.discard(subscription)
        if subscription.admission is not None:
            subscription.admission.close()

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def go_live(self, subscription: Subscription, upto: int) -> None:
        """Hand it from now on what comes after ``upto``, if that is all that was handed out.

        Args:
            subscription: It has everything up to ``upto``.
            upto: A ``seq``.
        """
        if not self._live:  # nobody listened, and nobody read
            self._head = upto
            self._wake.set()  # for what was appended since
        if upto >= self._head:
            subscription.live = True
            self._live.add(subscription)

    async def read(self, wanted: EventFilter, after: int | None, limit: int) -> Stretch:
        """A piece of the table for one subscription.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self.store.read(events.stretch, wanted, after, limit)

    async def _run(self) -> None:
        in_trouble = False
        while not self.closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._hand_out()
            except Exception as error:
                if not in_trouble:
                    bug = None if isinstance(error, HpcjobsError) else error
                    log.warning("events cannot be read, listeners wait: %s", error, exc_info=bug)
                in_trouble = True
                await asyncio.sleep(RETRY_S)
                self._wake.set()
            else:
                in_trouble = False

    async def _hand_out(self) -> None:
        """Read what was appended, once, and hand it to all."""
        while self._live and not self.closed:
            after = self._head
            piece = await self.read(EventFilter(), after, CHUNK)
            if self._head != after:  # all had left, and somebody else came
                continue
            if piece.newest < after:  # another database: who listens reads again from where they stand
                for subscription in self._live:
                    subscription.live = False
                    subscription.wake()
                self._live.clear()
                return
            for subscription in list(self._live):
                if not subscription.offer(piece.events, piece.upto):
                    self._live.discard(subscription)
                    subscription.wake()
            self._head = piece.upto
            if piece.upto >= piece.newest:
                return

"""The audit log's writer: gathers what happens, writes it in batches, and never lets a refusal wait for the disk.

An answer to a request that changes something waits until its entry is on disk; while one batch is being written the
next gathers, so that many callers share a transaction. Refused requests are noted and not waited for, and alike ones
that follow each other closely become one entry with a count: nobody fills the log by being refused. While the
database is away entries are kept here; when too many are, requests that change something are refused before they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

import msgspec

from hpcjobs.errors import Unavailable
from hpcjobs.model.audit import AuditEvent
from hpcjobs.store import audit
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

FOLD_S: Final = 10.0
"""Alike refusals within so many seconds after the first are one entry."""
MOST_FOLDS: Final = 5_000
"""Kinds of refusals that are told apart; beyond that their callers' addresses are not."""
BATCH: Final = 500
MOST_WAITING: Final = 10_000
RETRY_S: Final = 1.0
ANSWER_WAIT_S: Final = 5.0
"""An answer waits no longer for its entry: what was done is done, and the entry is kept until it is written."""


class AuditLog:
    """The log of one process.

    Args:
        store: Where it is written.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: list[tuple[AuditEvent, asyncio.Future[None] | None]] = []
        self._folds: dict[tuple[str, str, str, int, str], AuditEvent] = {}
        """Refusals that followed an entry of their kind; a count of 0 says that none did."""
        self._end: audit.Place | None = None
        """Where the log ended when this process last wrote to it."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._in_trouble = False

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, once, and end."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def check_room(self) -> None:
        """Refuse to change anything that could not be written down.

        Raises:
            Unavailable: Too much waits for the database already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("The audit log cannot be written, so nothing may be changed now.")

    async def write(self, event: AuditEvent) -> None:
        """Write an entry; returns when it is on disk, or when waiting longer would help nobody."""
        if self._task is None or self._task.done():
            log.error("not in the audit log, which is closed: %s", msgspec.json.encode(event).decode())
            return
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WAIT_S):
                await written

    def note(self, event: AuditEvent) -> None:
        """Note a refusal: it is written soon, together with those that are like it."""
        key = (event.user, event.client, event.action, event.status, event.code)
        if key not in self._folds and len(self._folds) >= MOST_FOLDS:
            event = msgspec.structs.replace(event, client="*")
            key = (event.user, event.client, event.action, event.status, event.code)
        before = self._folds.get(key)
        if before is None and len(self._waiting) < MOST_WAITING:
            self._folds[key] = msgspec.structs.replace(event, count=0)
            self._waiting.append((event, None))
            self._wake.set()
        else:
            self._folds[key] = msgspec.structs.replace(event, count=(before.count if before else 0) + 1)

    def unfold(self, now: float) -> None:
        """Make entries of the refusals that were folded long enough.

        Args:
            now: Unix seconds.
        """
        for key, event in list(self._folds.items()):
            if event.count == 0 and event.at + FOLD_S > now:
                continue
            if event.count and len(self._waiting) >= MOST_WAITING:
                continue
            del self._folds[key]
            if event.count:
                self._waiting.append((event, None))

    async def _run(self) -> None:
        unfold_at = time.monotonic() + FOLD_S
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(unfold_at - time.monotonic(), 0.0))
            self._wake.clear()
            if self._stopping or time.monotonic() >= unfold_at:
                self.unfold(time.time() + (FOLD_S if self._stopping else 0.0))
                unfold_at = time.monotonic() + FOLD_S
            while self._waiting:
                if await self._write_batch():
                    continue
                if self._stopping:
                    self._give_up()
                    return
                await asyncio.sleep(RETRY_S)
            if self._stopping:
                return

    async def _write_batch(self) -> bool:
        """Write the oldest entries that wait.

        Returns:
            Whether to go on at once.
        """
        batch = self._waiting[:BATCH]
        try:
            self._end = await self.store.write(audit.append, [event for event, _ in batch], self._end)
        except audit.Overtaken:
            self._end = None
            return True  # the chain goes on behind the entries of another process
        except Unavailable as error:
            self._end = None
            if not self._in_trouble:
                log.warning("the audit log cannot be written, %d entries wait: %s", len(self._waiting), error.detail)
            self._in_trouble = True
            return False
        except Exception:
            self._end = None
            # An entry that cannot be written must not stop those behind it; the service's log keeps it.
            log.exception("entries of the audit log are lost: %s", [event for event, _ in batch])
        else:
            self._in_trouble = False
        del self._waiting[: len(batch)]
        for _, written in batch:
            if written is not None and not written.done():
                written.set_result(None)
        return True

    def _give_up(self) -> None:
        for event, written in self._waiting:
            log.error("not in the audit log: %s", msgspec.json.encode(event).decode())
            if written is not None and not written.done():
                written.set_result(None)
        self._waiting.clear()

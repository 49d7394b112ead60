"""The audit log's writer: writes down what happens, and never lets a refusal wait for the disk.

An answer to a request that changes something waits until its entry is on disk. Refused requests are noted and not
waited for, and alike ones that follow each other closely become one entry with a count: nobody fills the log by being
refused. While the database is away entries are kept here; when too many are, requests that change something are
refused before they do.
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
BATCH: Final = 100
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
        """Refusals, and what could not be written at once; what comes later waits behind it."""
        self._folds: dict[tuple[str, str, str, int, str], AuditEvent] = {}
        """Refusals that followed an entry of their kind; a count of 0 says that none did."""
        self._writing: set[asyncio.Task[None]] = set()
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
        while self._writing and not self._waiting:
            await asyncio.wait(self._writing, return_when=asyncio.FIRST_COMPLETED)
        self._wake.set()
        if self._task is not None:
            await self._task
        if self._writing:
            await asyncio.wait(self._writing)

    def check_room(self) -> None:
        """Refuse to change anything that could not be written down.

        Raises:
            Unavailable: Too much waits for the database already.
        """
        if max(len(self._waiting), len(self._writing)) >= MOST_WAITING:
            raise Unavailable("The audit log cannot be written, so nothing may be changed now.")

    async def write(self, event: AuditEvent) -> None:
        """Write an entry; returns when it is on disk, or when waiting longer would help nobody."""
        if self._task is None or self._task.done():
            log.error("not in the audit log, which is closed: %s", msgspec.json.encode(event).decode())
            return
        task = asyncio.create_task(self._write(event))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        await asyncio.wait([task], timeout=ANSWER_WAIT_S)

    async def _write(self, event: AuditEvent) -> None:
        """Write an entry in the next transaction, or behind what waits."""
        if not self._waiting and await self._append(event):
            return
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((event, written))
        self._wake.set()
        await written

    async def _append(self, event: AuditEvent) -> bool:
        """Append an entry to the log.

        Returns:
            Whether nothing is left to be done; False: the database does not answer.
        """
        while True:
            try:
                await self.store.write_each(audit.append, event)
            except audit.Overtaken:
                continue  # the chain goes on behind the entries of another process
            except Unavailable as error:
                if not self._in_trouble:
                    log.warning("the audit log cannot be written, its entries wait: %s", error.detail)
                self._in_trouble = True
                return False
            except Exception:
                # An entry that cannot be written must not stop those behind it; the service's log keeps it.
                log.exception("an entry of the audit log is lost: %s", event)
            else:
                self._in_trouble = False
            return True

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
        done = await asyncio.gather(*(self._append(event) for event, _ in batch))
        left = [entry for entry, is_done in zip(batch, done, strict=True) if not is_done]
        for (_, written), is_done in zip(batch, done, strict=True):
            if is_done and written is not None and not written.done():
                written.set_result(None)
        self._waiting[: len(batch)] = left
        return not left

    def _give_up(self) -> None:
        for event, written in self._waiting:
            log.error("not in the audit log: %s", msgspec.json.encode(event).decode())
            if written is not None and not written.done():
                written.set_result(None)
        self._waiting.clear()

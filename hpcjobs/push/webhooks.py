"""Delivers events to webhooks: each at least once, in order, signed, until the receiver takes it or a day has passed.

One task for each webhook listens to the hub from the webhook's cursor on. The cursor moves in the database after the
receiver has answered, so that a process that dies at any point leaves out nothing; what it sent last may come twice,
with the same webhook-id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx
import msgspec

from hpcjobs.errors import Conflict, HpcjobsError, WebhookUnknown
from hpcjobs.identity.absent import Absent
from hpcjobs.identity.policy import Visibility, visibility
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.webhook import Delivery, Webhook, WebhookFilter, WebhookState
from hpcjobs.push import outbound, posting, signing
from hpcjobs.push.hub import EventHub, Gap
from hpcjobs.push.posting import Poster
from hpcjobs.settings import Settings
from hpcjobs.store import webhooks
from hpcjobs.store.events import EventFilter
from hpcjobs.store.store import Store, new_id
from hpcjobs.store.webhooks import Kept

log = logging.getLogger(__name__)
T = TypeVar("T")

IDLE_S: Final = 600.0
STORE_RETRY_S: Final = 1.0


class Webhooks:
    """The webhooks of one process.

    Args:
        settings: Which hosts may be reached, how many webhooks a user may have.
        store: Where they are.
        hub: Who tells of events.
        absent: What their users may see.
        lookup: Finds the addresses of a name.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        hub: EventHub,
        absent: Absent,
        lookup: outbound.Resolve = outbound.resolve,
    ) -> None:
        self.settings = settings
        self.store = store
        self.hub = hub
        self.absent = absent
        self._poster = Poster(settings, lookup)
        self._sealer = signing.Sealer(b"")
        self._changing = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places: dict[str, int] = {}
        """How far each has come, where the database does not know it yet."""

    async def start(self, key: bytes) -> None:
        """Go on where each webhook's cursor stands.

        Args:
            key: Of the service.
        """
        self._sealer = signing.Sealer(key)
        for kept in await self.store.read(webhooks.active):
            self._begin(kept)

    async def stop(self) -> None:
        """End every task; what a receiver was being told it is told again."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.save(time.time())

    async def save(self, _now: float) -> None:
        """Write down how far each has come, so that what nobody waits for can be forgotten."""
        places, self._places = self._places, {}
        if places:
            try:
                await self.store.write(webhooks.advance, places)
            except HpcjobsError as error:
                log.warning("how far webhooks have come is not written down: %s", error.detail)
                self._places = places | self._places

    async def add(self, user: str, url: str, filters: WebhookFilter) -> tuple[Webhook, str]:
        """Tell an address of what happens from now on.

        Args:
            user: Whose webhook it is.
            url: Where events are POSTed to.
            filters: Which events.

        Returns:
            The webhook and its secret, which is never shown again.

        Raises:
            Refused: The address can never be reached.
            Conflict: The user has as many webhooks as one may.
        """
        self._poster.check(url)
        secret, now = signing.new_secret(), time.time()
        wanted = Webhook(new_id(), user, url, filters, WebhookState.ACTIVE, 0, now, now)
        sealed = self._sealer.seal(secret)
        made = await self.store.write(webhooks.add, wanted, sealed, self.settings.webhooks_per_user)
        if made is None:
            raise Conflict(f"{user} has {self.settings.webhooks_per_user} webhooks already; delete one.")
        self._begin(Kept(made, sealed))
        return made, secret

    async def find(self, webhook_id: str, user: str | None) -> Kept:
        """A webhook.

        Args:
            webhook_id: Which.
            user: Whose it must be; None: anybody's.

        Raises:
            WebhookUnknown: There is none, or it is somebody else's: the two look alike.
        """
        kept = await self.store.read(webhooks.by_id, webhook_id)
        if kept is None or (user is not None and kept.webhook.user != user):
            raise WebhookUnknown(f"There is no webhook {webhook_id!r}.")
        return kept

    async def pause(self, webhook_id: str, detail: str) -> Webhook:
        """Tell it nothing until resume(); what happens meanwhile waits, as long as events are kept.

        Raises:
            WebhookUnknown: There is none.
        """
        async with self._changing:
            await self._end(webhook_id)
            return await self._set(webhook_id, WebhookState.PAUSED, detail)

    async def resume(self, webhook_id: str) -> Webhook:
        """Go on where it was paused, at once.

        Raises:
            WebhookUnknown: There is none.
        """
        async with self._changing:
            await self._end(webhook_id)
            webhook = await self._set(webhook_id, WebhookState.ACTIVE, "")
            self._begin(await self.find(webhook_id, None))
            return webhook

    async def remove(self, webhook_id: str) -> None:
        """Forget it.

        Raises:
            WebhookUnknown: There is none.
        """
        async with self._changing:
            await self._end(webhook_id)
            there = await self.store.write(webhooks.remove, webhook_id, "deleted on request", time.time())
        if not there:
            raise WebhookUnknown(f"There is no webhook {webhook_id!r}.")

    async def test(self, kept: Kept) -> Delivery:
        """Send an event that nobody else gets, once; the webhook's cursor and state stay as they are."""
        webhook = kept.webhook
        event = Event(0, time.time(), EventKind.WEBHOOK_TEST, "", user=webhook.user, data={"webhook": webhook.id})
        secret = self._sealer.open(kept.secret)
        async with self._poster.client() as http:
            return await self._send(http, webhook.url, secret, f"test_{new_id()}", event, 1)

    async def _set(self, webhook_id: str, state: WebhookState, detail: str) -> Webhook:
        webhook = await self.store.write(webhooks.set_state, webhook_id, state, detail, time.time())
        if webhook is None:
            raise WebhookUnknown(f"There is no webhook {webhook_id!r}.")
        return webhook

    def _begin(self, kept: Kept) -> None:
        self._tasks[kept.webhook.id] = asyncio.create_task(self._run(kept))

    async def _end(self, webhook_id: str) -> None:
        task = self._tasks.pop(webhook_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, kept: Kept) -> None:
        webhook = kept.webhook
        try:
            secret = self._sealer.open(kept.secret)
        except HpcjobsError as error:
            await self._surely(webhooks.set_state, webhook.id, WebhookState.PAUSED, error.detail, time.time())
            return
        wanted = EventFilter(**msgspec.structs.asdict(webhook.filters))

        def sees() -> Visibility:
            return visibility(self.absent.identity(webhook.user))

        try:
            async with self._poster.client() as http:
                with self.hub.subscribe(wanted, webhook.cursor, sees, chunk=50) as listener:
                    while not listener.closed:
                        try:
                            items = await listener.next(IDLE_S)
                        except HpcjobsError:
                            await asyncio.sleep(STORE_RETRY_S)
                            continue
                        for item in items:
                            if isinstance(item, Event) and not await self._deliver(http, webhook, secret, item):
                                return
                            if isinstance(item, Gap):
                                gone = {"missed_after": item.after, "oldest": item.oldest}
                                await self._surely(webhooks.tell, webhook, time.time(), **gone)
                            # Of the next events the row knows nothing yet.
                            webhook = msgspec.structs.replace(webhook, attempts=0, failing_since=None, next_at=None)
                        self._places[webhook.id] = listener.position
        except Exception:
            log.exception("webhook %s is told nothing until the service starts again", webhook.id)

    async def _deliver(self, http: httpx.AsyncClient, webhook: Webhook, secret: str, event: Event) -> bool:
        """Deliver one event, however often it takes.

        Returns:
            Whether the next may follow: the webhook is neither paused nor deleted.
        """
        attempts, since, next_at = webhook.attempts, webhook.failing_since, webhook.next_at
        while True:
            await asyncio.sleep(max((next_at or 0.0) - time.time(), 0.0))
            message_id = f"evt_{webhook.id}_{event.seq}"
            delivery = await self._send(http, webhook.url, secret, message_id, event, attempts + 1)
            now = time.time()
            if delivery.delivered:
                return await self._surely(webhooks.note, webhook.id, delivery, None, None)
            attempts, since = delivery.attempt, since or now
            next_at = now + posting.retry_in_s(attempts, random.random())  # noqa: S311  only spreads the load
            if not await self._surely(webhooks.note, webhook.id, delivery, since, next_at):
                return False
            if delivery.status == posting.GONE:
                await self._surely(webhooks.remove, webhook.id, "the receiver says that it is gone (410)", now)
                return False
            if now - since >= posting.GIVE_UP_S:
                why = f"Nothing was delivered for {posting.GIVE_UP_S / 3600:g} hours: {delivery.detail}"
                await self._surely(webhooks.set_state, webhook.id, WebhookState.PAUSED, why, now)
                return False

    async def _send(
        self, http: httpx.AsyncClient, url: str, secret: str, message_id: str, event: Event, attempt: int
    ) -> Delivery:
        """One try."""
        at = time.time()
        posted = await self._poster.post(http, url, secret, message_id, msgspec.json.encode(event))
        status, detail, took_s = posted
        return Delivery(message_id, event.seq, at, attempt, not detail, status, detail, took_s)

    async def _surely(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401  as Store.write
        """Write, however long the database is away."""
        while True:
            try:
                return await self.store.write(work, *args, **kwargs)
            except HpcjobsError:
                await asyncio.sleep(STORE_RETRY_S)

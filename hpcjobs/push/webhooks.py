"""Delivers events to webhooks: each at least once, in order, signed, until the receiver takes it or a day has passed.

One task for each webhook listens to the hub from the webhook's cursor on. The cursor moves in the database after the
receiver has answered, so that a process that dies at any point leaves out nothing; what it sent last may come twice,
with the same webhook-id.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec

from hpcjobs import __version__
from hpcjobs.errors import Conflict, HpcjobsError, SettingsError, WebhookUnknown
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.webhook import Delivery, Webhook, WebhookFilter, WebhookState
from hpcjobs.push import outbound, signing
from hpcjobs.push.hub import EventHub, Gap
from hpcjobs.settings import Settings
from hpcjobs.store import webhooks
from hpcjobs.store.events import EventFilter
from hpcjobs.store.store import Store, new_id
from hpcjobs.store.webhooks import Kept

log = logging.getLogger(__name__)
T = TypeVar("T")

TIMEOUT_S: Final = 10.0
"""For a whole try, from the name's resolution to the answer."""
BODY_BYTES: Final = 1024
"""More of an answer is not read."""
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 3600.0
GIVE_UP_S: Final = 86_400.0
IDLE_S: Final = 600.0
STORE_RETRY_S: Final = 1.0
GONE: Final = 410


def retry_in_s(attempt: int, chance: float) -> float:
    """Seconds until the next try: twice as long each time, up to an hour, less up to half by chance.

    Args:
        attempt: How many have failed.
        chance: From 0 to 1.
    """
    return min(FIRST_RETRY_S * 2.0 ** min(attempt - 1, 30), LONGEST_RETRY_S) * (1.0 - chance / 2.0)


def _believing(ca_file: Path) -> ssl.SSLContext:
    """A context that believes the certificates of one file.

    Raises:
        SettingsError: It cannot be read or holds none.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"webhook_ca_file {ca_file}: {error}") from error


class Webhooks:
    """The webhooks of one process.

    Args:
        settings: Which hosts may be reached, who sees all.
        store: Where they are.
        hub: Who tells of events.
        directory: Who manages which project.
        lookup: Finds the addresses of a name.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        hub: EventHub,
        directory: Directory,
        lookup: outbound.Resolve = outbound.resolve,
    ) -> None:
        self.settings = settings
        self.store = store
        self.hub = hub
        self.directory = directory
        self._lookup = lookup
        self._networks = [ipaddress.ip_network(text) for text in settings.webhook_networks]
        self._sealer = signing.Sealer(b"")
        ca_file = settings.webhook_ca_file
        self._context = None if ca_file is None else _believing(ca_file)
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
        outbound.check_url(url, self.settings.webhook_http_hosts, self._networks)
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
        async with self._client() as http:
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

    def _client(self) -> httpx.AsyncClient:
        self._context = self._context or ssl.create_default_context()
        transport = outbound.CheckedTransport(self._networks, self._context, self._lookup)
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=TIMEOUT_S)

    def _sees(self, user: str) -> Visibility:
        everything = user in {*self.settings.operators, *self.settings.admins}
        return Visibility(user, self.directory.managed_by(user), everything)

    async def _run(self, kept: Kept) -> None:
        webhook = kept.webhook
        try:
            secret = self._sealer.open(kept.secret)
        except HpcjobsError as error:
            await self._surely(webhooks.set_state, webhook.id, WebhookState.PAUSED, error.detail, time.time())
            return
        wanted = EventFilter(**msgspec.structs.asdict(webhook.filters))
        try:
            async with self._client() as http:
                with self.hub.subscribe(wanted, webhook.cursor, lambda: self._sees(webhook.user), chunk=50) as listener:
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
            next_at = now + retry_in_s(attempts, random.random())  # noqa: S311  only spreads the load
            if not await self._surely(webhooks.note, webhook.id, delivery, since, next_at):
                return False
            if delivery.status == GONE:
                await self._surely(webhooks.remove, webhook.id, "the receiver says that it is gone (410)", now)
                return False
            if now - since >= GIVE_UP_S:
                why = f"Nothing was delivered for {GIVE_UP_S / 3600:g} hours: {delivery.detail}"
                await self._surely(webhooks.set_state, webhook.id, WebhookState.PAUSED, why, now)
                return False

    async def _send(
        self, http: httpx.AsyncClient, url: str, secret: str, message_id: str, event: Event, attempt: int
    ) -> Delivery:
        """One try."""
        begun, at, body = time.monotonic(), time.time(), msgspec.json.encode(event)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"hpcjobs/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": signing.signature(secret, message_id, int(at), body),
        }
        status: int | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S), http.stream("POST", url, content=body, headers=headers) as answer:
                status = answer.status_code
                detail = "" if answer.is_success else f"{status} {answer.reason_phrase}: {await _beginning(answer)}"
        except TimeoutError:
            detail = f"No answer within {TIMEOUT_S:g} s."
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            detail = f"{type(error).__name__}: {error}"
        took_s = round(time.monotonic() - begun, 3)
        return Delivery(message_id, event.seq, at, attempt, not detail, status, detail.rstrip(": "), took_s)

    async def _surely(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401  as Store.write
        """Write, however long the database is away."""
        while True:
            try:
                return await self.store.write(work, *args, **kwargs)
            except HpcjobsError:
                await asyncio.sleep(STORE_RETRY_S)


async def _beginning(answer: httpx.Response) -> str:
    """What an answer begins with, in printable characters."""
    data = b""
    async for part in answer.aiter_raw(BODY_BYTES):
        data += part
        if len(data) >= BODY_BYTES:
            break
    text = data[:BODY_BYTES].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()

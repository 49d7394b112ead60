"""Letters go out: each is tried until somebody has taken it, it never will be, or a day has passed.

A try is counted in the database before it is made, and what came of it is written after. A process that dies between
the two leaves a letter that is tried again, with the same Message-ID or webhook-id: only so something comes twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from hpcjobs.errors import HpcjobsError, Unavailable
from hpcjobs.identity.absent import Absent
from hpcjobs.identity.policy import Identity
from hpcjobs.model.letter import Letter, Subscription, SubscriptionKind
from hpcjobs.push import posting, signing
from hpcjobs.push.posting import Poster
from hpcjobs.sending import mail
from hpcjobs.sending.mail import NotSent
from hpcjobs.sending.message import Message, as_mail
from hpcjobs.sending.recipients import is_url
from hpcjobs.settings import MailSettings
from hpcjobs.store import letters
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

Make = Callable[[Subscription, Letter, Identity], Awaitable[Message]]
"""Makes what a letter says, of what its owner may see now."""
AT_A_TIME: Final = 4
"""Letters that are made and sent together."""
DYING_S: Final = 300.0
"""After so many seconds a try that nothing was written of is taken for over."""
KEEP_S: Final = 90 * 86_400.0
"""How long it is known what became of letters."""
LARGEST_POST: Final = 10_000_000
"""Bytes."""


class Courier:
    """Sends what waits.

    Args:
        store: Where letters are.
        absent: Who their owners are.
        poster: Who posts.
        mail_settings: Where mail goes out; None: nowhere.
        makers: What makes messages, by kind of subscription.
    """

    def __init__(
        self,
        store: Store,
        absent: Absent,
        poster: Poster,
        mail_settings: MailSettings | None,
        makers: Mapping[SubscriptionKind, Make],
    ) -> None:
        self.store = store
        self.absent = absent
        self._poster = poster
        self._mail = mail_settings
        self._makers = makers
        self._sealer = signing.Sealer(b"")

    def start(self, key: bytes) -> None:
        """Be able to sign.

        Args:
            key: Of the service.
        """
        self._sealer = signing.Sealer(key)

    def secret(self) -> tuple[str, str]:
        """A new secret, and as it is kept."""
        secret = signing.new_secret()
        return secret, self._sealer.seal(secret)

    def owner(self, of: Subscription) -> Identity:
        """Whose it is, with all that they may see now.

        Raises:
            Unavailable: That is not known yet: less would look like all.
        """
        if not self.absent.is_known(of.user):
            raise Unavailable(f"What {of.user} may see is not known before each cluster's accounting has answered.")
        return self.absent.identity(of.user)

    async def tick(self, now: float) -> None:
        """Try what waits, several at a time.

        Args:
            now: Unix seconds.
        """
        turn = asyncio.Semaphore(AT_A_TIME)

        async def one(letter: Letter, of: Subscription) -> None:
            async with turn:
                try:
                    await self._try(letter, of)
                except HpcjobsError as error:  # of the database: what was claimed is tried again
                    log.warning("letter %s waits: %s", letter.id, error.detail)

        try:
            waiting = await self.store.read(letters.waiting, now)
        except HpcjobsError as error:
            log.warning("letters wait: %s", error.detail)
            return
        await asyncio.gather(*(one(letter, of) for letter, of in waiting))

    async def forget(self, now: float) -> None:
        """Forget what became of old letters.

        Args:
            now: Unix seconds.
        """
        try:
            await self.store.write(letters.forget, now - KEEP_S)
        except HpcjobsError as error:
            log.warning("old letters are not forgotten now: %s", error.detail)

    async def _try(self, letter: Letter, of: Subscription) -> None:
        begun = time.time()
        if self.absent.is_gone(of.user):
            await self.store.write(letters.stop, of, gone(of.user), begun)
            return
        if not await self.store.write(letters.claim, letter, begun + DYING_S):
            return
        try:
            message = await self._makers[of.kind](of, letter, self.owner(of))
            await self._send(letter, of, message)
        except NotSent as error:
            await self._note(letter, of, error.detail, error.final)
        except HpcjobsError as error:
            await self._note(letter, of, error.detail, not error.transient)
        except Exception as error:  # a letter that cannot be made must not keep others back
            log.exception("letter %s of %s", letter.id, of.id)
            await self._note(letter, of, f"{type(error).__name__}; the service's log has more.", final=False)
        else:
            await self.store.write(letters.sent, letter, time.time())

    async def _send(self, letter: Letter, of: Subscription, message: Message) -> None:
        if is_url(letter.recipient):
            await self._post(letter, of, message)
            return
        if self._mail is None:
            raise NotSent("This service sends no mail ([mail] in its settings).")
        made = as_mail(message, letter, self._mail.sender, time.time(), self._mail.max_bytes)
        await mail.send(self._mail, letter.recipient, made)

    async def _post(self, letter: Letter, of: Subscription, message: Message) -> None:
        file = message.posted
        if len(file.body) > LARGEST_POST:
            why = f"{file.name} has {len(file.body):,} bytes, and at most {LARGEST_POST:,} are sent."
            raise NotSent(why, final=True)
        headers = {"Content-Type": file.media_type, "Content-Disposition": f'attachment; filename="{file.name}"'}
        async with self._poster.client() as http:
            secret = self._sealer.open(of.secret)
            done = await self._poster.post(http, letter.recipient, secret, f"let_{letter.id}", file.body, headers)
        if done.detail:
            raise NotSent(done.detail, final=done.status == posting.GONE)

    async def _note(self, letter: Letter, of: Subscription, why: str, final: bool) -> None:
        now = time.time()
        since = now if letter.failing_since is None else letter.failing_since
        over = final or now - since >= posting.GIVE_UP_S
        wait = posting.retry_in_s(letter.attempts + 1, random.random())  # noqa: S311  only spreads the load
        await self.store.write(letters.failed, letter, of, why, None if over else now + wait, now)


def gone(user: str) -> str:
    """Why a subscription stops."""
    return f"{user} belongs to no project any more."

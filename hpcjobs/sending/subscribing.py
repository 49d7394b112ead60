"""Subscriptions of one kind: kept, found, ended, and seen to one by one. What reports and alerts have in common."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError, NotFound
from hpcjobs.identity.policy import Identity
from hpcjobs.model.letter import Letter, Subscription, SubscriptionKind, SubscriptionState
from hpcjobs.sending.courier import Courier, gone
from hpcjobs.store import letters
from hpcjobs.store.store import Store, new_id

log = logging.getLogger(__name__)

SHOWN: Final = 100
"""Letters of a subscription that are shown."""

Find = Callable[[], Awaitable[list[Subscription]]]
SeeTo = Callable[[Subscription, float], Awaitable[None]]


class Subscribing:
    """All of one kind.

    Args:
        kind: Which.
        store: Where they are.
        courier: Who keeps secrets and knows who their owners are.
        most: How many a user may have.
    """

    def __init__(self, kind: SubscriptionKind, store: Store, courier: Courier, most: int) -> None:
        self.kind = kind
        self.store = store
        self.courier = courier
        self._most = most

    async def keep(
        self, who: Identity, name: str, asked: msgspec.Struct, now: float, next_at: int | None = None
    ) -> tuple[Subscription, str]:
        """Keep what somebody wants from now on.

        Args:
            who: Whoever wants it.
            name: What they call it.
            asked: What it is.
            now: Unix seconds.
            next_at: When it is due first.

        Returns:
            It, and the secret of its POSTs.

        Raises:
            Conflict: They have one of this name, or as many as one may.
        """
        secret, sealed = self.courier.secret()
        document = msgspec.json.encode(asked).decode()
        wanted = Subscription(
            new_id(), self.kind, who.user, name, document, sealed, SubscriptionState.ACTIVE, now, next_at=next_at
        )
        await self.store.write(letters.add, wanted, self._most)
        return wanted, secret

    async def every(self, who: Identity) -> list[Subscription]:
        """One's own; for operators everybody's."""
        return await self.store.read(letters.every, self.kind, None if who.sees_all else who.user)

    async def find(self, who: Identity, name: str, user: str | None) -> Subscription:
        """One by its name.

        Args:
            who: The caller.
            name: Of it.
            user: Whose; None: the caller's own. Operators find everybody's.

        Raises:
            NotFound: There is none, or it is somebody else's: the two look alike.
        """
        owner = user or who.user
        mine = who.sees_all or owner == who.user
        kept = await self.store.read(letters.find, self.kind, owner, name) if mine else None
        if kept is None:
            raise NotFound(f"{owner} has no {self.kind.value} {name[:64]!r}.")
        return kept

    async def letters(self, of: Subscription) -> list[Letter]:
        """Its last letters."""
        return await self.store.read(letters.letters, of.id, SHOWN)

    async def remove(self, who: Identity, name: str, user: str | None) -> None:
        """End one; what waits to be sent is not sent.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        await self.store.write(letters.remove, (await self.find(who, name, user)).id)

    async def one_by_one(self, find: Find, see_to: SeeTo, now: float) -> None:
        """See to some; one that fails waits and keeps no other back, and one whose owner is gone stops.

        Args:
            find: Which.
            see_to: Sees to one.
            now: Unix seconds.
        """
        try:
            found = await find()
        except HpcjobsError as error:
            log.warning("every %s waits: %s", self.kind.value, error.detail)
            return
        for one in found:
            try:
                if self.courier.absent.is_gone(one.user):
                    await self.store.write(letters.stop, one, gone(one.user), now)
                else:
                    await see_to(one, now)
            except HpcjobsError as error:
                log.warning("%s %s of %s waits: %s", self.kind.value, one.name, one.user, error.detail)
            except Exception:  # one that cannot be read any more must not keep others back
                log.exception("%s %s of %s", self.kind.value, one.name, one.user)

"""Alerts, for callers; and the clock, which looks how what they watch stands and makes letters of what has changed."""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity.policy import Identity
from hpcjobs.model.alert import Alert, AlertKind, AlertRequest, AlertScope, AlertShown, Fact, News
from hpcjobs.model.letter import Letter, Subscription, SubscriptionKind
from hpcjobs.push.posting import Poster
from hpcjobs.sending import recipients
from hpcjobs.sending.courier import Courier
from hpcjobs.sending.mail import NotSent
from hpcjobs.sending.message import File, Message
from hpcjobs.sending.stands import for_s_of
from hpcjobs.sending.subscribing import Subscribing
from hpcjobs.sending.turn import Watched, turn
from hpcjobs.sending.watching import Watching
from hpcjobs.settings import Settings
from hpcjobs.store import alerts as rows
from hpcjobs.store import letters
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

ALERT: Final = SubscriptionKind.ALERT
FACTS_IN_MAIL: Final = 100
"""Facts that stand in a mail; a POST has all."""


class Alerts:
    """All of them.

    Args:
        settings: Where mail may go, how many one may have.
        store: Where they are.
        courier: Who sends, and keeps secrets.
        poster: Who posts.
        watching: Finds how things stand.
    """

    def __init__(self, settings: Settings, store: Store, courier: Courier, poster: Poster, watching: Watching) -> None:
        self.settings = settings
        self.store = store
        self.courier = courier
        self._poster = poster
        self._watching = watching
        self.kept = Subscribing(ALERT, store, courier, settings.subscriptions_per_user)

    async def add(self, who: Identity, asked: AlertRequest) -> tuple[Alert, str]:
        """Watch something from now on.

        Returns:
            The alert, and the secret of its POSTs.

        Raises:
            Refused: Every fault of it.
            Conflict: The caller has one of this name, or as many as one may.
        """
        faults = recipients.check(asked.to, self.settings.mail, self._poster)
        faults += _faults(asked, [cluster.name for cluster in self.settings.clusters])
        if faults:
            raise Refused(faults)
        kept, secret = await self.kept.keep(who, asked.name, asked, time.time())
        return shown(kept), secret

    async def every(self, who: Identity) -> list[Alert]:
        """One's own; for operators everybody's."""
        return [shown(one) for one in await self.kept.every(who)]

    async def show(self, who: Identity, name: str, user: str | None) -> AlertShown:
        """One, with what is so now and its last letters.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        kept = await self.kept.find(who, name, user)
        known = await self.store.read(rows.watched, kept.id)
        seen = self.courier.absent.identity(kept.user) if kept.user != who.user else who
        told = [fact for fact, told in known if told and await self._watching.may_know(seen, fact)]
        return AlertShown(shown(kept), told, await self.kept.letters(kept))

    async def remove(self, who: Identity, name: str, user: str | None) -> None:
        """Watch it no more; what waits to be sent is not sent.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        await self.kept.remove(who, name, user)

    async def tick(self, now: float) -> None:
        """Look how everything stands. An alert of which that cannot be found now stays as it was.

        Args:
            now: Unix seconds.
        """
        await self.kept.one_by_one(lambda: self.store.read(letters.active, ALERT), self._look, now)

    async def _look(self, one: Subscription, now: float) -> None:
        asked = msgspec.json.decode(one.document, type=AlertRequest)
        found = await self._watching.find(asked, self.courier.owner(one), now)
        kept = await self.store.read(rows.watched, one.id)
        known = {fact.about: Watched(fact, told) for fact, told in kept}
        # Idle jobs have been so for long enough when they are found: their samples say since when.
        done = turn(known, found, 0 if asked.kind is AlertKind.IDLE else for_s_of(asked), now)
        if any(done):
            await self.store.write(rows.turned, one, done.new, done.begun, done.over, done.forgotten, now)


class NewsMaker:
    """Makes the message of an alert's letter.

    Args:
        watching: Who may know what.
    """

    def __init__(self, watching: Watching) -> None:
        self._watching = watching

    async def __call__(self, of: Subscription, letter: Letter, who: Identity) -> Message:
        """What has begun and what is over, as far as its owner may still know of it.

        Raises:
            NotSent: Nothing is left of it.
            HpcjobsError: It cannot be found now.
        """
        news = msgspec.json.decode(letter.said, type=News)
        begun, over = [[fact for fact in facts if await self._watching.may_know(who, fact)]
                       for facts in (news.begun, news.over)]  # fmt: skip
        if not begun and not over:
            raise NotSent(f"{of.user} may know of it no more.", final=True)
        return message(of.user, msgspec.structs.replace(news, begun=tuple(begun), over=tuple(over)))


def message(user: str, news: News) -> Message:
    """News in words, and as JSON. Pure."""
    facts = (*news.begun, *news.over)
    lines = [*_lines("", news.begun), *_lines("Over: ", news.over)]
    more = [f"And {len(lines) - FACTS_IN_MAIL} more."] if len(lines) > FACTS_IN_MAIL else []
    why = f"hpcjobs sends this for {user}; `hpcjobs alert remove {news.alert}` ends it."
    text = "\n".join([*lines[:FACTS_IN_MAIL], *more, "", "-- ", why, ""])
    subject = lines[0] if len(facts) == 1 else f"{len(news.begun)} begun, {len(news.over)} over"
    file = File(f"{news.alert}.json", "application/json", msgspec.json.encode(news))
    return Message(f"{news.alert}: {subject}", text, "", file, attached=False)


def _lines(before: str, facts: tuple[Fact, ...]) -> list[str]:
    return [f"{before}{fact.text}" for fact in facts]


def shown(kept: Subscription) -> Alert:
    """A kept alert as people see it."""
    return Alert(
        user=kept.user,
        asked=msgspec.json.decode(kept.document, type=AlertRequest),
        state=kept.state,
        created_at=kept.created_at,
        sent_at=kept.sent_at,
        last_error=kept.last_error,
        detail=kept.detail,
    )


def _faults(asked: AlertRequest, clusters: list[str]) -> list[Refusal]:
    found = []
    if (asked.scope is AlertScope.PROJECT) != bool(asked.project):
        found.append(Refusal("project", "It goes with the scope project, and the scope with it."))
    if asked.cluster and asked.cluster not in clusters:
        found.append(Refusal("cluster", f"There is no cluster {asked.cluster!r}; there are {', '.join(clusters)}."))
    if asked.kind is AlertKind.IDLE and asked.threshold is not None and asked.threshold > 1:
        found.append(Refusal("threshold", "Of idle it is a share: 0.05 is 5 %."))
    return found

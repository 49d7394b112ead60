"""Reports by the clock, for callers; and the clock, which makes letters of moments that have come."""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, Refusal, Refused, ReportUnknown
from hpcjobs.identity.policy import Identity
from hpcjobs.model.letter import Letter, Subscription, SubscriptionKind, SubscriptionState
from hpcjobs.model.schedule import ReportSchedule, ReportScheduleRequest, ReportScheduleShown, shown
from hpcjobs.push.posting import Poster
from hpcjobs.reporting import Reporting
from hpcjobs.reports.formats import FORMATS
from hpcjobs.sending import recipients
from hpcjobs.sending.courier import Courier
from hpcjobs.sending.cron import Cron
from hpcjobs.sending.report import late_note, question
from hpcjobs.sending.subscribing import Subscribing
from hpcjobs.settings import Settings
from hpcjobs.store import letters
from hpcjobs.store.store import Store, new_id

log = logging.getLogger(__name__)

LATE_S: Final = 300.0
"""What is sent later than this after its moment says so."""
BY_HAND: Final = "by hand"
MINUTE_S: Final = 60
REPORT: Final = SubscriptionKind.REPORT


class Schedules:
    """All of them.

    Args:
        settings: Where mail may go, whose calendar counts, how many one may have.
        store: Where they are.
        courier: Who sends, and keeps secrets.
        poster: Who posts.
        reporting: Makes the reports.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        courier: Courier,
        poster: Poster,
        reporting: Reporting,
    ) -> None:
        self.settings = settings
        self.store = store
        self._poster = poster
        self._reporting = reporting
        self.kept = Subscribing(REPORT, store, courier, settings.subscriptions_per_user)

    @property
    def _timezone(self) -> str:
        return self.settings.usage.timezone

    async def add(self, who: Identity, asked: ReportScheduleRequest) -> tuple[ReportSchedule, str]:
        """Send a report by the clock from now on.

        Returns:
            It, and the secret of its POSTs.

        Raises:
            Refused: Every fault of it.
            Conflict: The caller has one of this name, or as many as one may.
        """
        now = time.time()
        faults = recipients.check(asked.to, self.settings.mail, self._poster)
        cron = None
        try:
            cron = Cron(asked.cron, asked.timezone or self._timezone)
        except Refused as error:
            faults += error.refusals
        if asked.format not in FORMATS:
            text = f"{asked.format[:80]!r} is none of {', '.join(FORMATS)}."
            faults.append(Refusal("format", text, "format-unknown"))
        known = asked if cron is not None else msgspec.structs.replace(asked, timezone="")  # what is wrong is told once
        try:
            await self._reporting.check(asked.report, question(known), now)
        except ReportUnknown as error:
            faults.append(Refusal("report", error.detail, error.code))
        except Refused as error:
            faults += [msgspec.structs.replace(fault, field=f"query.{fault.field}") for fault in error.refusals]
        if faults or cron is None:
            raise Refused(faults)
        kept, secret = await self.kept.keep(who, asked.name, asked, now, cron.after(now))
        return shown(kept), secret

    async def every(self, who: Identity) -> list[ReportSchedule]:
        """One's own; for operators everybody's."""
        return [shown(one) for one in await self.kept.every(who)]

    async def show(self, who: Identity, name: str, user: str | None) -> ReportScheduleShown:
        """One, with its last letters.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        kept = await self.kept.find(who, name, user)
        return ReportScheduleShown(shown(kept), await self.kept.letters(kept))

    async def remove(self, who: Identity, name: str, user: str | None) -> None:
        """End one; what waits to be sent is not sent.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        await self.kept.remove(who, name, user)

    async def run(self, who: Identity, name: str, user: str | None) -> ReportScheduleShown:
        """Have it sent now, too, once a minute at most; its next moment stays.

        Raises:
            NotFound: There is none, or it is somebody else's.
            Conflict: It has stopped.
        """
        kept = await self.kept.find(who, name, user)
        if kept.state is not SubscriptionState.ACTIVE:
            raise Conflict(f"It has stopped: {kept.detail}")
        await self.store.write(letters.put, _letters(kept, int(time.time()) // MINUTE_S * MINUTE_S, BY_HAND, ""))
        return await self.show(who, name, user)

    async def tick(self, now: float) -> None:
        """Make letters of the moments that have come: of one schedule only the last, however many have passed.

        Args:
            now: Unix seconds.
        """
        await self.kept.one_by_one(lambda: self.store.read(letters.due, now), self._come, now)

    async def _come(self, one: Subscription, now: float) -> None:
        asked = msgspec.json.decode(one.document, type=ReportScheduleRequest)
        cron, first = Cron(asked.cron, asked.timezone or self._timezone), one.next_at or 0
        last = cron.last(first, now)
        late = first < last or now - last > LATE_S
        made = _letters(one, last, "", late_note(first, last) if late else "")
        await self.store.write(letters.advance, one, cron.after(now), made)


def _letters(of: Subscription, due_at: int, about: str, said: str) -> list[Letter]:
    """One to each recipient."""
    asked = msgspec.json.decode(of.document, type=ReportScheduleRequest)
    return [Letter(new_id(), of.id, due_at, about, to, said) for to in asked.to]

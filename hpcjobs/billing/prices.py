"""The price list for callers: who enters what, and when that holds."""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity.policy import Identity
from hpcjobs.model.money import MICRO_DIGITS, parsed, text_of
from hpcjobs.model.price import Price, PriceAsked, PriceEnd, PriceList
from hpcjobs.reports.periods import instant
from hpcjobs.settings import BillingSettings
from hpcjobs.store import prices as rows
from hpcjobs.store.store import Store


class Prices:
    """All of them.

    Args:
        store: Where they are kept.
        settings: In which currency they are entered.
        zone: Whose midnight a date begins at.
    """

    def __init__(self, store: Store, settings: BillingSettings, zone: ZoneInfo) -> None:
        self.store = store
        self.settings = settings
        self.zone = zone

    async def every(self) -> PriceList:
        """All prices that ever were."""
        return PriceList(self.settings.currency, self.settings.basis, await self.store.read(rows.prices))

    async def add(self, who: Identity, asked: PriceAsked) -> Price:
        """Enter a price.

        Raises:
            Refused: A date is none, it ends before it begins, or there is a price of the same at that time.
        """
        return await self.store.write(
            rows.add, entered(asked, self.zone, self.settings.currency, who.user, time.time())
        )

    async def end(self, who: Identity, number: int, asked: PriceEnd) -> Price:
        """End a price.

        Raises:
            NotFound: There is none of this number.
            Refused: The date is none, is before it begins, or after it ends.
        """
        until = _moments({"until": asked.until}, self.zone)["until"]
        return await self.store.write(rows.end, number, until, who.user, time.time())


def entered(asked: PriceAsked, zone: ZoneInfo, currency: str, by: str, at: float) -> Price:
    """A price as it is kept, of no number yet. Pure.

    Raises:
        Refused: A date is none, or it ends before it begins.
    """
    told = _moments({"since": asked.since, "until": asked.until} if asked.until else {"since": asked.since}, zone)
    since, until = told["since"], told.get("until")
    if until is not None and until <= since:
        raise Refused([Refusal("until", "A price ends after it begins.", "price-end")])
    return Price(
        id=0, resource=asked.resource, amount=text_of(parsed(asked.amount, MICRO_DIGITS), MICRO_DIGITS),
        currency=currency, since=since, until=until, cluster=asked.cluster, project=asked.project,
        partition=asked.partition, qos=asked.qos, entered_by=by, entered_at=at,
    )  # fmt: skip


def _moments(told: dict[str, str], zone: ZoneInfo) -> dict[str, int]:
    """Unix seconds by field."""
    found, faults = {}, []
    for field, text in told.items():
        try:
            found[field] = instant(text.strip(), zone)
        except (ValueError, OverflowError):
            detail = f"{text!r} is no date; one looks like 2026-10-01, or 2026-10-01T06:00 for an instant."
            faults.append(Refusal(field, detail, "date-unknown"))
    if faults:
        raise Refused(faults)
    return found

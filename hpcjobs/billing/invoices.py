"""Invoices for callers: who sees them, who issues them, and how one is put right."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hpcjobs.billing.drafts import drafted
from hpcjobs.billing.prices import Prices
from hpcjobs.errors import InvoiceUnknown, NotFound, Refusal, Refused
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.policy import Identity
from hpcjobs.model.invoice import Invoice, InvoiceAsked
from hpcjobs.reports.periods import Period, period_of
from hpcjobs.store import invoices as rows
from hpcjobs.store.store import Store
from hpcjobs.usage.store import UsageStore


class Invoices:
    """All of them.

    Args:
        store: Where they are kept.
        usage: What was used.
        prices: What it costs.
        directory: Whose projects are whose.
    """

    def __init__(self, store: Store, usage: UsageStore, prices: Prices, directory: Directory) -> None:
        self.store = store
        self.usage = usage
        self.prices = prices
        self.directory = directory
        self._issuing = asyncio.Lock()
        """From the look at usage until it is written: a later look is never overruled by an earlier one."""

    async def every(self, who: Identity, cluster: str | None, project: str | None) -> list[Invoice]:
        """Those of the projects that a caller manages; for operators all; the newest first."""
        return await self.store.read(rows.every, cluster, project, None if who.sees_all else who.manages)

    async def one(self, who: Identity, number: str) -> Invoice:
        """One by its number.

        Raises:
            InvoiceUnknown: None has it, or none that the caller may see.
        """
        found = await self.store.read(rows.one, number)
        if not _sees(who, found.cluster, found.project):
            raise InvoiceUnknown(f"There is no invoice {number}.")
        return found

    async def draft(self, who: Identity, cluster: str, asked: InvoiceAsked) -> Invoice:
        """What an invoice would come to, also of a period that goes on. Nothing is kept.

        Raises:
            NotFound: There is no such project, or none that the caller manages.
            Refused: The period is none.
        """
        if not _sees(who, cluster, asked.project):
            raise _no_project(cluster, asked.project)
        period = period_of(asked.period, self.prices.zone, time.time())
        prices = await self.prices.every()
        made = await self.usage.read(drafted, cluster, asked.project, period, self.prices.zone, prices)
        if not made.lines and not made.unpriced and not self.directory.knows(cluster, asked.project):
            raise _no_project(cluster, asked.project)
        return made

    async def issue(self, who: Identity, cluster: str, asked: InvoiceAsked) -> Invoice:
        """Issue an invoice; where there is one for the project and period, it is the answer.

        Raises:
            NotFound: There is no such project.
            Refused: The period is none or not over, or accounting has not been read to its end.
            Conflict: Another invoice of the project charges a part of the period.
        """
        period = period_of(asked.period, self.prices.zone, time.time())
        async with self._issuing:
            there = await self.store.read(rows.family, cluster, asked.project, period.since, period.until)
            if there:
                return there[0]
            return await self.store.write(rows.issue, *self._issued(await self.draft(who, cluster, asked), who))

    async def correct(self, who: Identity, number: str) -> Invoice:
        """Put an invoice right: charge or give back what it comes to more or less today than was charged.

        Args:
            who: The caller.
            number: Of the invoice, or of what was put right of it.

        Returns:
            The supplement or credit note; where there is nothing to put right, the last document there is.

        Raises:
            InvoiceUnknown: None has this number.
            Refused: Accounting has not been read to the end of the period.
        """
        async with self._issuing:
            first = await self.one(who, number)
            if first.corrects:
                first = await self.one(who, first.corrects)
            period = Period(first.period, first.since, first.until)
            zone = ZoneInfo(first.timezone)
            now = await self.prices.every()
            prices = msgspec.structs.replace(now, currency=first.currency, basis=first.basis)
            today = await self.usage.read(drafted, first.cluster, first.project, period, zone, prices)
            return await self.store.write(rows.correct, *self._issued(today, who))

    def _issued(self, draft: Invoice, who: Identity) -> tuple[Invoice, int]:
        """A draft as it is issued now, and in which year that is.

        Raises:
            Refused: Its period is not over, or not known to its end.
        """
        now = time.time()
        if fault := unready(draft, now):
            raise Refused([Refusal("period", fault, "period-open")])
        issued = msgspec.structs.replace(draft, issued_at=now, issued_by=who.user)
        return issued, datetime.fromtimestamp(now, self.prices.zone).year


def _sees(who: Identity, cluster: str, project: str) -> bool:
    return who.sees_all or (cluster, project) in who.manages


def _no_project(cluster: str, project: str) -> NotFound:
    return NotFound(f"There is no project {project!r} on cluster {cluster!r}.")


def unready(draft: Invoice, now: float) -> str:
    """Why a draft cannot be issued yet, or ``""``. Pure."""
    if draft.until > now:
        return f"{draft.period} is not over."
    if draft.as_of < draft.until:
        return f"Accounting has not been read to the end of {draft.period} yet; what is charged would be too little."
    return ""

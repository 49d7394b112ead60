"""What use costs, and who is charged for it."""

from __future__ import annotations

import msgspec

from hpcjobs.client._async.caller import AsyncCaller
from hpcjobs.client.wire import segment
from hpcjobs.model.invoice import Invoice, InvoiceAsked
from hpcjobs.model.price import Price, PriceAsked, PriceEnd, PriceList


class AsyncBilling(AsyncCaller):
    """Prices and invoices."""

    async def prices(self) -> PriceList:
        """All prices that ever were."""
        return await self.ask(PriceList, "GET", "/v1/prices")

    async def add_price(self, asked: PriceAsked) -> Price:
        """Enter a price; for admins.

        Raises:
            Refused: A date is none, or there is a price of the same at that time.
        """
        return await self.ask(Price, "POST", "/v1/prices", body=msgspec.json.encode(asked), repeatable=False)

    async def end_price(self, number: int, until: str) -> Price:
        """End a price; for admins.

        Args:
            number: Its ``id``.
            until: The date (or instant, ISO 8601) before which it still holds; where it begins: it never held.

        Raises:
            Refused: The date is none, is before the price begins, or after it ends.
        """
        return await self.ask(Price, "POST", f"/v1/prices/{number}/end", body=msgspec.json.encode(PriceEnd(until)))

    async def invoices(self, *, cluster: str | None = None, project: str | None = None) -> list[Invoice]:
        """Invoices of the projects that one manages, and what put them right, the newest first; for operators all."""
        return await self.ask(list[Invoice], "GET", "/v1/invoices", {"cluster": cluster, "project": project})

    async def invoice(self, number: str) -> Invoice:
        """One invoice, or what put one right, by its number."""
        return await self.ask(Invoice, "GET", f"/v1/invoices/{segment(number)}")

    async def invoice_file(self, form: str, number: str) -> bytes:
        """The same as a file.

        Args:
            form: ``pdf``, ``html``, ``xlsx``, ``csv``, ``parquet`` or ``json``.
            number: Which.
        """
        response = await self.request("GET", f"/v1/invoices/{segment(number)}", {"format": form})
        return response.content

    async def draft_invoice(self, project: str, period: str, *, cluster: str | None = None) -> Invoice:
        """What an invoice comes to now, also of a period that goes on; nothing is kept.

        Args:
            project: Who is charged.
            period: ``2026-10``, ``last-month``, in the service's time zone.
            cluster: Where; None: on the default cluster.
        """
        body = msgspec.json.encode(InvoiceAsked(project, period))
        return await self.ask(Invoice, "POST", "/v1/invoices/draft", {"cluster": cluster}, body=body)

    async def issue_invoice(self, project: str, period: str, *, cluster: str | None = None) -> Invoice:
        """Issue an invoice; for admins. Where the project has one for the period, it is the answer.

        Args:
            project: Who is charged.
            period: ``2026-10``, ``last-month``, in the service's time zone.
            cluster: Where; None: on the default cluster.

        Raises:
            Refused: The period is not over, or accounting has not been read to its end.
            Conflict: Another invoice charges a part of the period.
        """
        body = msgspec.json.encode(InvoiceAsked(project, period))
        return await self.ask(Invoice, "POST", "/v1/invoices", {"cluster": cluster}, body=body)

    async def correct_invoice(self, number: str) -> Invoice:
        """Put an invoice right; for admins.

        Returns:
            The supplement or credit note with the differences; where there are none, the last document there is.
        """
        return await self.ask(Invoice, "POST", f"/v1/invoices/{segment(number)}/correct")

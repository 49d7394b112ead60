"""An invoice as a table, of which all forms are made. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hpcjobs.model.invoice import Invoice, InvoiceKind
from hpcjobs.model.money import CENT_DIGITS
from hpcjobs.model.report import Column, Table

TITLES: Final = {
    InvoiceKind.INVOICE: "Invoice", InvoiceKind.SUPPLEMENT: "Supplement", InvoiceKind.CREDIT_NOTE: "Credit note",
}  # fmt: skip
BASES: Final = {
    "held": "Charged is what jobs kept from others: whole GPUs and nodes, with time suspended.",
    "used": "Charged is what jobs used, without time suspended.",
}


CHARGED: Final = "Hours times price, to a cent, half to even"
CORRECTED: Final = "What the period comes to now at this price, to a cent, without what was charged before"


def table_of(invoice: Invoice) -> Table:
    """One row each line, and the total."""
    named = f"{TITLES[invoice.kind]} {invoice.number}" if invoice.number else "Draft of an invoice"
    money, comes = invoice.currency, CORRECTED if invoice.corrects else CHARGED
    columns = (
        Column("resource", "resource", "", "What was used; gpu: GPUs whose kind nobody knows.", text=True),
        Column("quantity_h", "hours", "h", "Of one of it: a GPU, a CPU, a GiB of memory, a node.",
               digits=_digits(line.quantity_h for line in invoice.lines)),
        Column("unit_price", "price", f"{money}/h", "For one of it, an hour.",
               digits=_digits(line.unit_price for line in invoice.lines)),
        Column("amount", "amount", money, f"{comes}; the total is the sum of these."),
    )  # fmt: skip
    rows = tuple(
        (line.resource, float(line.quantity_h), float(line.unit_price), float(line.amount)) for line in invoice.lines
    )
    return Table(
        title=f"{named} for {invoice.project} on {invoice.cluster}",
        period=f"{invoice.period} ({invoice.timezone})",
        since=invoice.since,
        until=invoice.until,
        columns=columns,
        rows=rows,
        total=("", None, None, float(invoice.total)),
        as_of=invoice.as_of or None,
        notes=tuple(_notes(invoice)),
        picture=False,
    )


def _digits(decimals: Iterable[str]) -> int:
    """How many digits behind the point the longest has."""
    return max((len(text.partition(".")[2]) for text in decimals), default=CENT_DIGITS)


def _notes(invoice: Invoice) -> Iterable[str]:
    if invoice.issued_at is not None:
        at = datetime.fromtimestamp(invoice.issued_at, ZoneInfo(invoice.timezone))
        yield f"Issued on {at.day} {at:%B %Y} by {invoice.issued_by}."
    if invoice.corrects:
        yield (
            f"Puts invoice {invoice.corrects} right: its lines are the differences between what the period comes to "
            "now and what was charged before."
        )
    yield BASES[invoice.basis]
    if invoice.unpriced:
        told = ", ".join(f"{one.quantity_h} h of {one.resource}" for one in invoice.unpriced)
        yield f"Without a price, and not charged: {told}."

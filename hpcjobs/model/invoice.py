"""Invoices: what a project is charged for a period, and what is put right of it later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from hpcjobs.model.money import CENT_DIGITS, MICRO_DIGITS, parsed, text_of
from hpcjobs.model.price import Basis
from hpcjobs.model.tenant import Name

NUMBER: Final = "^20[0-9]{2}-[0-9]{4,6}$"
"""Of an invoice: the year in which it was issued, and its place in that."""


class InvoiceKind(StrEnum):
    """What a document is."""

    INVOICE = "invoice"
    SUPPLEMENT = "supplement"  # to an invoice: what came to more
    CREDIT_NOTE = "credit_note"  # to an invoice: what came to less


class InvoiceAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be charged.

    Attributes:
        project: To whom.
        period: Of what time, in the service's time zone: ``2026-10``, ``2026-Q4``, ``last-month``.
    """

    project: Name
    period: Annotated[str, msgspec.Meta(max_length=80)]


class Line(msgspec.Struct, frozen=True):
    """One line. Decimals are text: exact.

    Attributes:
        resource: What was used: ``gpu:a100``, ``cpu``; ``gpu``: GPUs whose kind nobody knows.
        unit_price: For one of it, an hour.
        quantity_h: So many hours, to a millionth.
        amount: What that comes to, to a cent.
    """

    resource: str
    unit_price: str
    quantity_h: str
    amount: str


class Unpriced(msgspec.Struct, frozen=True):
    """What was used and has no price, so that nothing is charged for it.

    Attributes:
        resource: What.
        quantity_h: So many hours, to a millionth.
    """

    resource: str
    quantity_h: str


class Invoice(msgspec.Struct, frozen=True):
    """An invoice, or what puts one right; once issued it never changes.

    Attributes:
        number: ``2026-0001``, without gaps; ``""``: a draft, which is kept nowhere.
        kind: What it is.
        corrects: Of a supplement or credit note: the number of the invoice; else ``""``.
        cluster: Where.
        project: Who is charged.
        period: In words: ``2026-10``.
        timezone: Whose calendar that is of.
        since: Unix seconds at which it begins.
        until: Unix seconds before which it ends.
        currency: Of what money (ISO 4217).
        basis: Whether what was held is charged, or what was used.
        lines: What for; of a supplement or credit note the differences.
        total: The sum of the lines.
        unpriced: What is not charged because it has no price.
        as_of: Unix seconds: accounting had been read until then.
        issued_at: Unix seconds; None: a draft.
        issued_by: Who issued it.
    """

    number: str
    kind: InvoiceKind
    corrects: str
    cluster: str
    project: str
    period: str
    timezone: str
    since: int
    until: int
    currency: str
    basis: Basis
    lines: tuple[Line, ...]
    total: str
    unpriced: tuple[Unpriced, ...] = ()
    as_of: int = 0
    issued_at: float | None = None
    issued_by: str = ""


def total_of(lines: Iterable[Line]) -> str:
    """What lines come to."""
    return text_of(sum(parsed(line.amount, CENT_DIGITS) for line in lines), CENT_DIGITS)


def differences(charged: Sequence[Invoice], today: Invoice) -> tuple[Line, ...]:
    """What has to be charged or given back for all together to be what it comes to today. Pure.

    Args:
        charged: An invoice and all that was put right of it.
        today: The same drafted anew.

    Returns:
        One line for each resource and price of which hours or amount differ: charged with it, the sums are today's.
    """
    hours: defaultdict[tuple[str, str], int] = defaultdict(int)
    cents: defaultdict[tuple[str, str], int] = defaultdict(int)
    for invoice, sign in [(today, 1), *((one, -1) for one in charged)]:
        for line in invoice.lines:
            hours[line.resource, line.unit_price] += sign * parsed(line.quantity_h, MICRO_DIGITS)
            cents[line.resource, line.unit_price] += sign * parsed(line.amount, CENT_DIGITS)
    return tuple(
        Line(*key, text_of(hours[key], MICRO_DIGITS), text_of(cents[key], CENT_DIGITS))
        for key in sorted(hours, key=lambda key: (key[0], parsed(key[1], MICRO_DIGITS)))
        if hours[key] or cents[key]
    )


def correction(charged: Sequence[Invoice], today: Invoice) -> Invoice | None:
    """The document that puts an invoice right; None: there is nothing to put right. Pure.

    Args:
        charged: The invoice and all that was put right of it, the oldest first.
        today: The same drafted anew.
    """
    lines = differences(charged, today)
    if not lines:
        return None
    total = total_of(lines)
    kind = InvoiceKind.CREDIT_NOTE if total.startswith("-") else InvoiceKind.SUPPLEMENT
    return msgspec.structs.replace(today, kind=kind, corrects=charged[0].number, lines=lines, total=total)

"""What an invoice comes to: of usage and prices, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.invoice import Invoice, InvoiceKind, Line, Unpriced, total_of
from hpcjobs.model.money import CENT_DIGITS, MICRO_DIGITS, MICROS, text_of
from hpcjobs.model.price import PriceList
from hpcjobs.model.report import ReportQuery
from hpcjobs.reports.asked import check
from hpcjobs.reports.costs import Charge, charges_of
from hpcjobs.reports.made import MADE
from hpcjobs.reports.periods import Period
from hpcjobs.usage import intake
from hpcjobs.usage.charges import HOUR, TARIFF

ALL: Final = Visibility("", everything=True)
CENT: Final = 10 ** (2 * MICRO_DIGITS - CENT_DIGITS)
"""Millionths of an hour times millionths of the currency in a cent."""


def hours_of(charge: Charge) -> int:
    """What was used, in millionths of an hour, rounded to the nearest, half to even. Pure."""
    return round(Fraction(charge.part_s) * MICROS / HOUR)


def lines_of(charges: Iterable[Charge]) -> tuple[Line, ...]:
    """Lines of an invoice: what is charged at one price is one. Pure.

    Hours are rounded to a millionth, and the amount of what stands there as hours and price to a cent, half to even
    (IEEE 754, roundTiesToEven): so a reader can compute it again.

    Args:
        charges: Each resource and price once.
    """
    return tuple(
        Line(
            charge.name,
            text_of(charge.micros, MICRO_DIGITS),
            text_of(hours_of(charge), MICRO_DIGITS),
            text_of(round(Fraction(hours_of(charge) * charge.micros, CENT)), CENT_DIGITS),
        )
        for charge in charges
        if charge.micros is not None
    )


def unpriced_of(charges: Iterable[Charge]) -> tuple[Unpriced, ...]:
    """What of it has no price. Pure."""
    lacking = (charge for charge in charges if charge.micros is None)
    return tuple(Unpriced(charge.name, text_of(hours_of(charge), MICRO_DIGITS)) for charge in lacking)


def drafted(
    connection: duckdb.DuckDBPyConnection, cluster: str, project: str, period: Period, zone: ZoneInfo, prices: PriceList
) -> Invoice:
    """An invoice of no number, of one state of usage.

    Args:
        connection: To usage.
        cluster: Where.
        project: Who is charged.
        period: For what.
        zone: Whose calendar the period is of.
        prices: What things cost, in which currency, and on what basis.
    """
    where: dict[str, tuple[str, ...]] = {"cluster": (cluster,), "project": (project,)}
    query = ReportQuery(f"{period.since}..{period.until}", measures=("cost",), where=where)
    asked = check(query, zone.key, period.until, prices)
    MADE[TARIFF](connection, asked, ALL)
    charges = charges_of(connection, asked, ALL)
    read_until = intake.read_until(connection, cluster) or 0
    lines = lines_of(charges)
    return Invoice(
        number="", kind=InvoiceKind.INVOICE, corrects="", cluster=cluster, project=project, period=period.label,
        timezone=zone.key, since=period.since, until=period.until, currency=prices.currency, basis=prices.basis,
        lines=lines, total=total_of(lines), unpriced=unpriced_of(charges), as_of=read_until,
    )  # fmt: skip

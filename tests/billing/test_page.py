"""The example of docs/BILLING.md, computed as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from hpcjobs.billing.drafts import drafted
from hpcjobs.billing.shown import table_of
from hpcjobs.devices.worth import worth
from hpcjobs.model.invoice import Invoice
from hpcjobs.model.price import Price, PriceList
from hpcjobs.reports.periods import instant, period_of
from hpcjobs.store import invoices as rows
from tests.reports.usage import Usage

PAGE = (Path(__file__).parents[2] / "docs" / "BILLING.md").read_text().partition("## An example")[2]
ZONE = ZoneInfo("Europe/Berlin")
OCTOBER = period_of("2026-10", ZONE, 1_798_000_000)


def at(text: str) -> int:
    return instant(text, ZONE)


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]


def as_page(invoice: Invoice) -> list[list[str]]:
    lines = [list(msgspec.structs.astuple(line)) for line in invoice.lines]
    return [[line[0], line[2], line[1], line[3]] for line in lines] + [["total", "", "", invoice.total]]


def test_the_example_is_what_comes_out(make_engine):
    runs, charged, credited = (cells(table) for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE))
    usage = Usage()
    for _, first, last, gpus, cpus in runs:
        count, _, kind = gpus.partition(" x ")
        whole = float(int(count) * worth(kind))
        usage.run(at(first), at(last), (kind, int(count), whole, whole), cpus=int(cpus))
    prices = (
        Price(1, "gpu:a100", "2.00", "EUR", at("2026-01-01"), at("2026-10-15")),
        Price(2, "gpu:a100", "2.50", "EUR", at("2026-10-15")),
        Price(3, "cpu", "0.0125", "EUR", at("2026-10-01")),
    )

    def draft(more: tuple[Price, ...] = ()) -> Invoice:
        listed = PriceList("EUR", "held", prices + more)
        return drafted(usage.connection, "north", "vision", OCTOBER, ZONE, listed)

    engine = make_engine()
    with engine.begin() as connection:
        first = rows.issue(connection, draft(), 2026)
    assert as_page(first) == charged
    assert f'"{table_of(first).notes[-1]}"' in PAGE
    usage.connection.execute("UPDATE runs SET end_time = ? WHERE run = 2", [at("2026-10-25T12:00")])
    today = draft((Price(4, "gpu:h100", "4.00", "EUR", at("2026-10-01")),))
    with engine.begin() as connection:
        note = rows.correct(connection, today, 2026)
    assert as_page(note) == credited
    assert "without what was charged before" in table_of(note).columns[-1].definition
    assert f"= {today.total} is what October comes to then" in PAGE

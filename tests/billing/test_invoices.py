"""Invoices: what they come to, that they never change, and that together they come to what it is today."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from hpcjobs.billing.drafts import drafted, lines_of
from hpcjobs.billing.invoices import unready
from hpcjobs.errors import Conflict
from hpcjobs.model.invoice import Invoice, InvoiceKind
from hpcjobs.model.price import Price, PriceList
from hpcjobs.reports.costs import Charge
from hpcjobs.reports.periods import Period, period_of
from hpcjobs.store import invoices as rows
from hpcjobs.usage.charges import HOUR
from tests.reports.usage import Usage

ZONE = ZoneInfo("Europe/Berlin")
MONTH = period_of("2026-10", ZONE, 1_798_000_000)
GPU = ("a100", 8, 8.0, 8.0)
LIST = PriceList("EUR", "held", (Price(1, "gpu:a100", "2.00", "EUR", 0), Price(2, "cpu", "0.0125", "EUR", 0)))


def draft(usage: Usage, prices: PriceList = LIST, project: str = "vision", period: Period = MONTH) -> Invoice:
    return drafted(usage.connection, "north", project, period, ZONE, prices)


def sums(invoices: list[Invoice]) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
    """Hours and amounts by resource and price, of several together; what comes to nothing is left out."""
    found: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for line in (line for invoice in invoices for line in invoice.lines):
        hours, amount = found.get((line.resource, line.unit_price), (Decimal(0), Decimal(0)))
        found[line.resource, line.unit_price] = hours + Decimal(line.quantity_h), amount + Decimal(line.amount)
    return {key: pair for key, pair in found.items() if any(pair)}


@given(st.integers(0, 10**12), st.integers(0, 10**9))
def test_an_amount_is_hours_times_price_to_a_cent_half_to_even_as_the_line_has_them(seconds, micros):
    (line,) = lines_of([Charge("gpu", "a100", micros, seconds * HOUR // 3600)])
    hours = (Decimal(seconds) / 3600).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    assert Decimal(line.quantity_h) == hours
    cents = (hours * Decimal(line.unit_price)).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert Decimal(line.amount) == cents
    assert Decimal(line.unit_price) == Decimal(micros) / 10**6


def test_an_invoice_has_a_line_for_each_resource_and_price_and_what_has_none_beside_them():
    usage = Usage()
    usage.run(MONTH.since - 3600, MONTH.since + 3600, GPU, cpus=16)
    usage.run(MONTH.until - 3600, MONTH.until + 7200, GPU, ("h100", 1, 1.0, 1.0), cpus=16)
    usage.run(MONTH.since, MONTH.since + 3600, GPU, account="nlp")
    usage.run(MONTH.since, MONTH.since + 3600, GPU, cluster="south")
    later = Price(3, "gpu:a100", "3.00", "EUR", MONTH.until - 1800)
    until = msgspec.structs.replace(LIST.prices[0], until=MONTH.until - 1800)
    made = draft(usage, PriceList("EUR", "held", (until, LIST.prices[1], later)))
    assert [msgspec.structs.astuple(line) for line in made.lines] == [
        ("cpu", "0.0125", "32.00", "0.40"), ("gpu:a100", "2.00", "12.00", "24.00"),
        ("gpu:a100", "3.00", "4.00", "12.00"),
    ]  # fmt: skip
    assert (made.total, made.period, made.number) == ("36.40", "2026-10", "")
    assert [(one.resource, one.quantity_h) for one in made.unpriced] == [("gpu:h100", "1.00")]


def test_a_draft_is_ready_when_the_period_is_over_and_accounting_was_read_to_its_end():
    usage = Usage(read_until=MONTH.until)
    assert "is not over" in unready(draft(usage), MONTH.until - 1)
    assert unready(draft(usage), MONTH.until) == ""
    assert "read to the end of 2026-10" in unready(draft(Usage(read_until=MONTH.until - 1)), MONTH.until + 9)


def write(engine: Engine, how: Any, invoice: Invoice, year: int = 2026) -> Invoice:
    with engine.begin() as connection:
        return how(connection, invoice, year)


def kept(engine: Engine) -> list[Invoice]:
    with engine.connect() as connection:
        return rows.every(connection, None, None, None)[::-1]


def test_the_same_project_and_period_has_one_invoice_and_a_part_of_it_none(make_engine):
    engine, usage = make_engine(), Usage()
    usage.run(MONTH.since, MONTH.since + 3600, GPU)
    first = write(engine, rows.issue, draft(usage))
    usage.run(MONTH.since, MONTH.since + 3600, GPU)
    assert write(engine, rows.issue, draft(usage)) == first
    year = period_of("2026", ZONE, 1_798_000_000)
    with pytest.raises(Conflict, match="2026-0001 of vision charges a part of 2026 already"):
        write(engine, rows.issue, draft(usage, period=year))
    assert write(engine, rows.issue, draft(usage, project="nlp")).number == "2026-0002"
    after = period_of("2026-11", ZONE, 1_798_000_000)
    assert write(engine, rows.issue, draft(usage, period=after), 2027).number == "2027-0001"


def test_a_price_that_was_wrong_gives_back_what_was_charged_by_it(make_engine):
    engine, usage = make_engine(), Usage()
    usage.run(MONTH.since, MONTH.since + 3600, GPU)
    first = write(engine, rows.issue, draft(usage))
    right = PriceList("EUR", "held", (Price(4, "gpu:a100", "1.50", "EUR", 0), LIST.prices[1]))
    note = write(engine, rows.correct, draft(usage, right))
    assert [msgspec.structs.astuple(line) for line in note.lines] == [
        ("gpu:a100", "1.50", "8.00", "12.00"), ("gpu:a100", "2.00", "-8.00", "-16.00"),
    ]  # fmt: skip
    assert (note.kind, note.total, note.corrects) == (InvoiceKind.CREDIT_NOTE, "-4.00", first.number)
    assert write(engine, rows.correct, draft(usage, right)) == note
    assert kept(engine) == [first, note]


class Killed(Exception):
    """The service ends here."""


def killed(engine: Engine, how: Any, invoice: Invoice) -> None:
    """Write all of it, and end before it is kept."""
    with engine.begin() as connection:
        how(connection, invoice, 2026)
        raise Killed


corrections = st.lists(
    st.tuples(st.just("run"), st.integers(-7200, 7200), st.integers(1, 9000), st.integers(1, 64))
    | st.tuples(st.just("price"), st.sampled_from(["2.00", "0.333333", "7.77", "0"]))
    | st.tuples(st.just("shorten"), st.integers(0, 5000))
    | st.tuples(st.sampled_from(["charge", "killed", "read"]), st.sampled_from(["vision", "nlp"])),
    max_size=25,
)


@given(corrections)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_comes_late_and_is_killed_where_all_invoices_together_are_what_it_comes_to_today(make_engine, acts):
    engine, usage, prices = make_engine(), Usage(), LIST
    usage.run(MONTH.since, MONTH.since + 3600, GPU)
    seen: dict[str, Invoice] = {}
    for act in acts:
        if act[0] == "run":
            _, start, lasts, cpus = act
            first = MONTH.until + start
            usage.run(first, first + lasts, ("a100_1g.5gb", 1, 1 / 7, 1 / 7), GPU, cpus=cpus)
        elif act[0] == "price":
            prices = PriceList("EUR", "held", (Price(9, "gpu:a100", act[1], "EUR", 0), LIST.prices[1]))
        elif act[0] == "shorten":
            usage.connection.execute("UPDATE runs SET end_time = greatest(start_time, end_time - ?)", [act[1]])
        else:
            verb, project = act
            today = draft(usage, prices, project)
            begun = any(one.project == project for one in seen.values())
            how = rows.correct if begun else rows.issue
            if verb == "killed":
                with pytest.raises(Killed):
                    killed(engine, how, today)
            else:
                made = write(engine, how, today)
                seen[made.number] = made
                family = [one for one in kept(engine) if one.project == project]
                assert sums(family) == sums([today])
                assert sum(Decimal(one.total) for one in family) == Decimal(today.total)
                assert (made.kind is InvoiceKind.CREDIT_NOTE) == made.total.startswith("-")
                assert all(one.corrects == family[0].number for one in family[1:])
    there = kept(engine)
    assert {one.number: one for one in there} == seen
    assert [one.number for one in there] == [f"2026-{place:04d}" for place in range(1, len(there) + 1)]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE invoices SET document = '{}'", "DELETE FROM invoices",
     "INSERT OR REPLACE INTO invoices SELECT * FROM invoices"],
)  # fmt: skip
def test_the_database_itself_refuses_to_change_an_invoice(make_engine, statement):
    engine = make_engine()
    write(engine, rows.issue, draft(Usage()))
    with engine.connect() as connection, pytest.raises(IntegrityError, match="never changed"):
        connection.execute(text(statement))


def test_lists_are_of_those_that_one_may_see(make_engine):
    engine = make_engine()
    for project in ("vision", "nlp"):
        write(engine, rows.issue, draft(Usage(), project=project))
    with engine.connect() as connection:

        def told(*asked: Any) -> list[str]:
            return [one.project for one in rows.every(connection, *asked)]

        assert told(None, None, None) == ["nlp", "vision"]
        assert told("north", "vision", None) == ["vision"]
        assert told(None, None, frozenset({("north", "nlp"), ("south", "vision")})) == ["nlp"]
        assert told(None, None, frozenset()) == []
        assert told("south", None, None) == []

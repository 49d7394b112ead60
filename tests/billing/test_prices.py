"""Prices: entered and ended, and never changed."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from hpcjobs.billing.prices import entered
from hpcjobs.errors import Refused
from hpcjobs.model.money import parsed, text_of
from hpcjobs.model.price import Price, PriceAsked
from hpcjobs.store import prices as rows
from tests.api.test_command_line import run, served

__all__ = ["run", "served"]

GPU = {"resource": "gpu:a100", "amount": "2.50", "since": "2026-01-01"}


@given(st.integers(-(10**14), 10**14), st.integers(0, 8))
def test_decimals_are_the_same_after_they_were_written(number, digits):
    assert parsed(text_of(number, digits, least=0).rstrip("."), digits) == number
    assert parsed(text_of(number, 6), 6) == number


def test_a_decimal_with_more_digits_than_there_are_is_none():
    assert (text_of(-2_500_000, 6), text_of(1, 6), text_of(5, 2)) == ("-2.50", "0.000001", "0.05")
    for wrong in ("1.234", "", "-", "1e3", "--1"):
        with pytest.raises(ValueError, match="no decimal"):
            parsed(wrong, 2)


def test_a_date_begins_at_midnight_of_the_services_time_zone():
    made = entered(PriceAsked("cpu", "0.0125", "2026-10-25", "2026-10-26"), ZoneInfo("Europe/Berlin"), "EUR", "b", 0)
    assert (made.since, (made.until or 0) - made.since) == (1_792_879_200, 25 * 3600)
    assert (made.amount, made.micros) == ("0.0125", 12_500)


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"since": "soon"}, "since"), ({"since": "2026-01-01", "until": "never"}, "until"),
     ({"since": "2026-02-01", "until": "2026-02-01"}, "until"), ({"since": "1999-12-31"}, "since")],
)  # fmt: skip
def test_a_date_that_cannot_be_is_refused_by_its_field(asked, field):
    with pytest.raises(Refused) as refused:
        entered(PriceAsked("cpu", "1", **asked), ZoneInfo("UTC"), "EUR", "boss", 0)
    assert [one.field for one in refused.value.refusals] == [field]


spans = st.tuples(st.integers(0, 30), st.none() | st.integers(1, 10))
acts = st.lists(
    st.tuples(st.just("add"), st.sampled_from(["gpu", "gpu:a100", "cpu"]), st.sampled_from(["", "vision"]), spans)
    | st.tuples(st.just("end"), st.integers(1, 8), st.integers(0, 40)),
    max_size=20,
)


@given(acts)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_no_two_prices_of_the_same_ever_hold_at_a_time_and_nothing_is_lost(make_engine, acts):
    engine = make_engine()
    held: dict[int, tuple[str, str, set[int]]] = {}
    for act in acts:
        with engine.begin() as connection:
            if act[0] == "add":
                _, resource, project, (since, lasts) = act
                price = Price(0, resource, "1.00", "EUR", since, lasts and since + lasts, project=project)
                days = {day for day in range(50) if price.meets(day, day + 1)}
                if any((resource, project) == (r, p) and days & d for r, p, d in held.values()):
                    with pytest.raises(Refused, match="holds at a time of this one"):
                        rows.add(connection, price)
                else:
                    held[rows.add(connection, price).id] = resource, project, days
            elif act[1] in held:
                _, number, until = act
                resource, project, days = held[number]
                price = next(one for one in rows.prices(connection) if one.id == number)
                if until < price.since or (price.until is not None and until > price.until):
                    with pytest.raises(Refused, match=r"does not end|ends sooner"):
                        rows.end(connection, number, until, "boss", 1.0)
                else:
                    assert rows.end(connection, number, until, "boss", 1.0).until == until
                    held[number] = resource, project, {day for day in days if day < until}
    with engine.connect() as connection:
        kept = {price.id: price for price in rows.prices(connection)}
    assert {*kept} == {*held}
    for number, (resource, project, days) in held.items():
        price = kept[number]
        assert (price.resource, price.project) == (resource, project)
        assert days == {day for day in range(50) if price.meets(day, day + 1)}


@pytest.mark.parametrize(
    "statement",
    ["UPDATE prices SET amount = '0'", "DELETE FROM prices", "INSERT OR REPLACE INTO prices SELECT * FROM prices"],
)
def test_the_database_itself_refuses_to_change_a_price(make_engine, statement):
    with make_engine().connect() as connection:
        rows.add(connection, Price(0, "cpu", "1.00", "EUR", 1))
        with pytest.raises(IntegrityError, match="never changed"):
            connection.execute(text(statement))


async def test_admins_enter_and_end_prices_that_everybody_may_know(bench):
    made = await bench.call("POST", "/v1/prices", "boss", json=GPU)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    for user in ("alice", "ops"):
        assert (await bench.call("POST", "/v1/prices", user, json=GPU)).status_code == 403
        assert (await bench.call("POST", f"/v1/prices/{number}/end", user, json={"until": "2027"})).status_code == 403
    again = await bench.call("POST", "/v1/prices", "boss", json=GPU | {"since": "2027-01-01", "amount": "3"})
    assert (again.status_code, [one["field"] for one in again.json()["errors"]]) == (422, ["since"])
    ended = await bench.call("POST", f"/v1/prices/{number}/end", "boss", json={"until": "2027-01-01"})
    assert ended.json()["ended_by"] == "boss"
    assert (await bench.call("POST", "/v1/prices", "boss", json=GPU | {"since": "2027-01-01"})).status_code == 201
    assert (await bench.call("POST", "/v1/prices/99/end", "boss", json={"until": "2027-01-01"})).status_code == 404
    told = (await bench.get("/v1/prices")).json()
    assert (told["currency"], told["basis"]) == ("EUR", "held")
    assert [(one["since"], one["until"]) for one in told["prices"]] == [
        (1_767_225_600, 1_798_761_600), (1_798_761_600, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"resource": "gold"}, {"amount": "-1"}, {"amount": "1.0000001"}, {"since": "x"}, {"colour": "red"}]
)
async def test_what_is_no_price_is_refused(bench, wrong):
    answer = await bench.call("POST", "/v1/prices", "boss", json=GPU | wrong)
    assert answer.status_code in (400, 422)
    assert (await bench.get("/v1/prices")).json()["prices"] == []


def test_prices_are_entered_listed_and_ended_on_the_command_line(run):
    said = run("price", "add", "gpu:a100", "2.5", "--since", "2026-01-01", "--project", "vision", user="boss")
    assert said.exit_code == 0, said.output
    number = said.stdout.splitlines()[1].split("\t")[0]
    listed = run("price", "list").stdout.splitlines()[1].split("\t")
    assert [listed[1], listed[2], *listed[4:]] == ["gpu:a100", "2.50 EUR", "-", "project vision", "boss", "-"]
    assert run("price", "end", number, "2026-01-01", user="alice").exit_code == 1
    assert "never held" in run("price", "end", number, "2026-01-01", user="boss").stdout
    assert json.loads(run("price", "list", "--json").stdout)["prices"][0]["ended_by"] == "boss"

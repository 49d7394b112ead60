"""Costs of reports: against a count of every second by fractions, and what has no price is told."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.price import Price, PriceList
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import BUCKETS, CAUSE, check
from hpcjobs.reports.costs import NO_PRICES
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.periods import period_of
from hpcjobs.usage.charges import PARTS
from tests.reports.usage import Usage

from .prices import PARTITIONS, PROJECTS, QOSES, naive, price_lists

NOW = 1_798_000_000
EVERYBODY = Visibility("", everything=True)
DAY = period_of("2026-10-25", ZoneInfo("Europe/Berlin"), NOW).since
"""25 hours long."""
A100 = ("a100", 8, 8.0, 8.0)
GIB = 2**30


def listed(*prices: tuple[str, str], basis: str = "held", **more: Any) -> PriceList:
    made = (Price(place, name, amount, "EUR", 0, **more) for place, (name, amount) in enumerate(prices))
    return PriceList("EUR", basis, tuple(made))


def ask(usage: Usage, prices: PriceList, visible: Visibility = EVERYBODY, **query: Any) -> Table:
    query = {"period": "2026-10-25", "measures": ("cost",)} | query
    return answer(usage.connection, check(ReportQuery(**query), "Europe/Berlin", NOW, prices), visible)


def test_hours_are_charged_at_the_price_that_held_also_where_it_changed_in_mid_run():
    usage = Usage()
    usage.run(DAY - 3600, DAY + 3 * 3600, A100)
    prices = (Price(1, "gpu:a100", "2.00", "EUR", 0, DAY + 3600), Price(2, "gpu:a100", "3.00", "EUR", DAY + 3600))
    table = ask(usage, PriceList("EUR", "held", prices), by=("hour",))
    assert [row[1] for row in table.rows[:4]] == [16.0, 24.0, 24.0, None]
    assert table.total == ("", 64.0)
    assert (table.columns[1].unit, table.notes) == ("EUR", ())


def test_held_time_is_charged_with_suspension_and_used_time_without():
    usage = Usage()
    usage.run(DAY, DAY + 7200, ("h100", 2, 2.0, 8.0), suspended_s=3600, cpus=10)
    prices = (("gpu", "1"), ("cpu", "0.1"))
    assert ask(usage, listed(*prices)).rows == ((18.0,),)
    assert ask(usage, listed(*prices), measures=("cost_gpus", "cost_others")).rows == ((16.0, 2.0),)
    assert ask(usage, listed(*prices, basis="used")).rows == ((3.0,),)


def test_seven_slices_cost_what_the_gpu_does_and_a_slice_can_have_a_price_of_its_own():
    usage = Usage()
    for _ in range(7):
        usage.run(DAY, DAY + 3600, ("a100_1g.5gb", 1, 1 / 7, 1 / 7))
    assert ask(usage, listed(("gpu:a100", "0.70"))).rows == ((0.7,),)
    assert ask(usage, listed(("gpu:a100", "0.70"), ("gpu:a100_1g.5gb", "1.40"))).rows == ((1.4,),)


def test_what_has_no_price_is_told_and_is_no_zero():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, user="ann")
    usage.run(DAY, DAY + 3600, ("h100", 2, 2.0, 2.0), ("", 1, 1.0, 1.0), cpus=4, user="bob")
    table = ask(usage, listed(("gpu:a100", "2")), by=("user",))
    assert dict(table.rows) == {"ann": 16.0, "bob": None}
    assert table.total == ("", 16.0)
    assert table.notes == ("Without a price, and in no cost: 1.00 h of gpu (unresolved), 2.00 h of gpu:h100.",)
    other = ask(usage, listed(("gpu:a100", "2")), where={"user": ("ann",)})
    assert (other.rows, other.notes) == (((16.0,),), ())
    assert ask(usage, PriceList("EUR")).notes == (NO_PRICES,)
    assert ask(usage, PriceList("EUR")).rows == ((None,),)


@pytest.mark.parametrize(
    ("field", "word"), [("cluster", "south"), ("account", "nlp"), ("partition", "long"), ("qos", "high")]
)
def test_each_run_has_the_price_of_where_it_ran(field, word):
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100)
    usage.run(DAY, DAY + 3600, A100, **{field: word})
    name = "project" if field == "account" else field
    dear = Price(3, "gpu:a100", "5", "EUR", 0, **{name: word})
    table = ask(usage, PriceList("EUR", "held", (*listed(("gpu", "1")).prices, dear)), by=(name,))
    assert table.rows == ((word, 40.0), (table.rows[1][0], 8.0))


def test_prices_in_another_currency_charge_nothing():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100)
    prices = PriceList("CHF", "held", listed(("gpu", "2")).prices)
    assert (ask(usage, prices).rows, ask(usage, prices).notes) == (((None,),), (NO_PRICES,))


def test_costs_and_what_has_none_are_of_what_one_may_see():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, user="ann")
    usage.run(DAY, DAY + 3600, ("h100", 2, 2.0, 2.0), user="bob")
    table = ask(usage, listed(("gpu:a100", "2")), Visibility("ann"), by=("user",))
    assert (table.rows, table.total, table.notes) == ((("ann", 16.0),), ("", 16.0), ())


def test_nodes_share_what_a_run_costs():
    usage = Usage()
    usage.run(DAY, DAY + 3600, A100, node_list="n[1-4]", nodes=4)
    table = ask(usage, listed(("node", "1"), ("gpu", "1")), by=("node",))
    assert dict(table.rows) == dict.fromkeys(("n1", "n2", "n3", "n4"), 3.0)
    assert ask(usage, listed(("node", "1")), where={"node": ("n1", "n2")}).rows == ((2.0,),)


OF_ALL = tuple(name for name in DIMENSIONS if name != CAUSE)
"""What rows of costs can be told apart by: causes are of what failures took."""
DEVICES = st.sampled_from([("a100", 1.0), ("h100", 1.0), ("", 1.0), ("a100_1g.5gb", 1 / 7), ("a100", 0.25)])
runs = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(DAY - 300, DAY + 300), "lasts": st.integers(0, 400),
            "suspended": st.integers(0, 200), "gpus": st.lists(st.tuples(DEVICES, st.integers(1, 8)), max_size=2),
            "cpus": st.integers(1, 64), "mem": st.integers(0, 10**6), "nodes": st.integers(1, 3),
            "where": st.tuples(*map(st.sampled_from, [("north", "south"), PROJECTS, PARTITIONS, QOSES])),
        }
    ),
    max_size=4,
)  # fmt: skip


def recomputed(prices: PriceList, made: list[dict[str, Any]]) -> tuple[Fraction, set[str]]:
    """The cost of the day, second by second, and what resources have at some time no price."""
    total, lacking = Fraction(0), set()
    charged = {one.resource.partition(":")[0] for one in prices.prices
               if one.currency == prices.currency and (one.until is None or one.until > one.since)}  # fmt: skip
    for run in made:
        lasts, works = run["lasts"], run["lasts"] - min(run["suspended"], run["lasts"])
        has = [("gpu", kind, count * Fraction(part).limit_denominator(100)) for (kind, part), count in run["gpus"]]
        has += [("cpu", "", Fraction(run["cpus"])), ("mem_gib", "", Fraction(run["mem"], 1024))]
        has += [("node", "", Fraction(run["nodes"]))]
        for second in range(lasts):
            at = run["start"] + second
            if not DAY <= at < DAY + 25 * 3600:
                continue
            used = (second + 1) * works // lasts - second * works // lasts
            counts = 1 if prices.basis == "held" else used
            for resource, kind, amount in has:
                if resource not in charged:
                    continue
                micros = naive(prices, at, resource, kind, run["where"])
                if micros is None and amount and counts:
                    lacking.add(f"{resource}:{kind}" if kind else resource)
                total += amount * counts * Fraction(micros or 0, 3600 * 10**6)
    return total, lacking


@given(
    price_lists(DAY - 200, DAY + 600), runs, st.sampled_from([*OF_ALL, *BUCKETS]),
    st.sampled_from(OF_ALL)
)  # fmt: skip
def test_costs_are_what_each_second_says_and_rows_add_up_to_the_total(prices, made, first, second):
    usage = Usage()
    for run in made:
        cluster, project, partition, qos = run["where"]
        gpus = [(kind, count, count * part, count * part) for (kind, part), count in run["gpus"]]
        usage.run(
            run["start"], run["start"] + run["lasts"], *gpus, suspended_s=min(run["suspended"], run["lasts"]),
            cpus=run["cpus"], mem_bytes=run["mem"] * 2**20, nodes=run["nodes"], cluster=cluster, account=project,
            partition=partition, qos=qos, node_list={1: "n1", 2: "n[1-2]", 3: "n1,m[7-8]"}[run["nodes"]],
        )  # fmt: skip
    total, lacking = recomputed(prices, made)
    table = ask(usage, prices, by=tuple(dict.fromkeys((first, second))))
    assert table.total is not None
    assert (table.total[-1] or 0) == pytest.approx(float(total), rel=1e-12)
    assert math.fsum(row[-1] or 0 for row in table.rows) == pytest.approx(float(total), rel=1e-12)
    if table.notes != (NO_PRICES,):
        told = " ".join(table.notes).removesuffix(".").partition(": ")[2]
        names = {word.partition(" h of ")[2] for word in told.split(", ") if word}
        assert {name.replace("gpu (unresolved)", "gpu") for name in names} == lacking


def test_parts_of_what_is_shared_are_whole_numbers():
    for share in (*range(2, 11), 12, 14, 15, 16, 20, 100, 1024):
        assert PARTS % share == 0, share

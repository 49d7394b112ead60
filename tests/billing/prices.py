"""Prices made by hand, and the rule by which one is found written once more, as a list of keys to try."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import strategies as st

from hpcjobs.model.price import Price, PriceList, overlapping

PROJECTS, PARTITIONS, QOSES = ("vision", "nlp"), ("gpu", "long"), ("normal", "high")
SLICE_OF = {"a100_1g.5gb": "a100"}
RESOURCES = ("gpu", "gpu:a100", "gpu:a100_1g.5gb", "gpu:h100", "cpu", "mem_gib", "node")


def price_lists(first: int, last: int) -> st.SearchStrategy[PriceList]:
    """Lists of which no two prices of the same hold at a time, with borders from first to last."""
    moments = st.integers(first, last)
    one = st.builds(
        Price, id=st.just(0), resource=st.sampled_from(RESOURCES), since=moments, until=st.none() | moments,
        amount=st.sampled_from(["2.00", "0.0125", "0", "1.000001", "0.333333"]),
        currency=st.sampled_from(["EUR", "EUR", "EUR", "CHF"]), cluster=st.sampled_from(["", "", "north", "south"]),
        project=st.sampled_from(["", "", *PROJECTS]), partition=st.sampled_from(["", "", *PARTITIONS]),
        qos=st.sampled_from(["", "", *QOSES]),
    )  # fmt: skip
    bases = st.sampled_from(["held", "used"])
    return st.builds(_without_clashes, st.lists(one, max_size=12), bases)


def _without_clashes(prices: Iterable[Price], basis: str) -> PriceList:
    kept: list[Price] = []
    for price in prices:
        if overlapping(price, kept) is None:
            kept.append(price)
    return PriceList("EUR", basis, tuple(kept))


def naive(prices: PriceList, at: int, resource: str, kind: str, where: tuple[str, str, str, str]) -> int | None:
    """The price in millionths of something at a second, of a cluster, project, partition and QOS."""
    there = {
        (one.project, one.qos, one.partition, one.cluster, one.resource): one.micros
        for one in prices.prices
        if one.currency == prices.currency and one.since <= at and (one.until is None or at < one.until)
    }
    cluster, project, partition, qos = where
    names = [resource]
    if resource == "gpu":
        names = [f"gpu:{kind}", f"gpu:{SLICE_OF.get(kind, kind)}", "gpu"]
    for key in itertools.product((project, ""), (qos, ""), (partition, ""), (cluster, ""), names):
        if key in there:
            return there[key]
    return None

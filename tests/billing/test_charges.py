"""Which price holds for what and when: against the rule written as a list of keys to try."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.price import Price, PriceList
from hpcjobs.usage.charges import Key, charged, pieces, tariff_of

from .prices import PARTITIONS, PROJECTS, QOSES, naive, price_lists

KEYS = st.builds(
    Key, st.sampled_from(["north", "south"]), st.sampled_from(PROJECTS), st.sampled_from(PARTITIONS),
    st.sampled_from(QOSES), st.just("gpu"), st.sampled_from(["a100", "a100_1g.5gb", "h100", ""]),
)  # fmt: skip
SAME = {"cluster": "north", "project": "vision", "partition": "gpu", "qos": "normal"}
ONLY = st.tuples(*(st.sampled_from(["", word]) for word in SAME.values()))


@given(price_lists(0, 40), KEYS)
def test_the_pieces_of_a_time_have_the_price_of_each_second_and_no_two_neighbours_the_same(prices, key):
    ours = [price for price in prices.prices if price.currency == prices.currency]
    cut = list(pieces(ours, key, 5, 30))
    assert (cut[0].since, cut[-1].until) == (5, 30)
    for one, other in itertools.pairwise(cut):
        assert one.until == other.since
        assert one.micros != other.micros
    where = (key.cluster, key.project, key.partition, key.qos)
    for piece in cut:
        for second in range(piece.since, piece.until):
            assert piece.micros == naive(prices, second, key.resource, key.kind, where)


@given(price_lists(0, 40), st.lists(KEYS, max_size=5))
def test_a_tariff_has_each_price_of_all_that_a_question_meets(prices, keys):
    ours = [price for price in prices.prices if price.currency == prices.currency]
    lines = list(tariff_of(ours, [(*key[:4], key.kind) for key in keys], 5, 30))
    expected = {key._replace(resource=r, kind=key.kind if r == "gpu" else "") for key in keys for r in charged(ours)}
    assert {key for key, _ in lines} == expected
    for key, piece in lines:
        for second in range(piece.since, piece.until):
            assert piece.micros == naive(prices, second, key.resource, key.kind, key[:4])
    assert sum(piece.until - piece.since for _, piece in lines) == 25 * len(expected)


@given(
    st.lists(
        st.tuples(ONLY, st.sampled_from(["gpu", "gpu:a100", "gpu:a100_1g.5gb"])),
        min_size=1,
        unique=True,
    )
)
def test_of_all_that_could_hold_the_most_particular_does(told):
    prices = tuple(Price(n, resource, f"{n + 1}", "EUR", 0, None, *only) for n, (only, resource) in enumerate(told))
    key = Key(*SAME.values(), "gpu", "a100_1g.5gb")
    (piece,) = pieces(prices, key, 0, 1)
    assert piece.micros == naive(PriceList("EUR", "held", prices), 0, "gpu", key.kind, (*SAME.values(),))


def test_what_the_list_never_priced_is_no_line_of_the_tariff_and_a_run_without_gpus_has_none_of_these():
    prices = (Price(1, "gpu:a100", "1", "EUR", 0), Price(2, "cpu", "1", "EUR", 0), Price(3, "node", "1", "EUR", 5, 5))
    assert charged(prices) == ("cpu", "gpu")
    met = [("north", "vision", "gpu", "normal", None), ("north", "vision", "gpu", "normal", "h100")]
    assert [(key.resource, key.kind, piece.micros) for key, piece in tariff_of(prices, met, 0, 9)] == [
        ("cpu", "", 10**6), ("gpu", "h100", None),
    ]  # fmt: skip

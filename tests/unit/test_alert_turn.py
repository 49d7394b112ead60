"""What an alert tells: once when something becomes true, once when it is over."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.alert import Fact
from hpcjobs.sending.turn import Found, Turn, Watched, turn


def fact(about: str = "a", since: int = 100, **numbers: float) -> Fact:
    return Fact(about, f"{about} is so", "big", "vision", "alice", since, numbers)


def kept(known: dict[str, Watched], told: Turn) -> dict[str, Watched]:
    """What is kept after a turn; as the store does it."""
    left = {about: one for about, one in known.items() if about not in told.forgotten}
    left = {about: one for about, one in left.items() if about not in {fact.about for fact in told.over}}
    left |= {fact.about: Watched(fact, told=False) for fact in told.new}
    return left | {fact.about: Watched(fact, told=True) for fact in told.begun}


def test_what_is_so_is_told_once_when_it_has_been_so_long_enough_and_once_when_it_is_over():
    known: dict[str, Watched] = {}
    stories = []
    for now, holds in [(100, True), (150, True), (160, True), (170, True), (180, False), (190, False)]:
        done = turn(known, [Found(fact(since=now), holds)], 60, now)
        known = kept(known, done)
        stories.append(([one.since for one in done.begun], [one.since for one in done.over]))
    assert stories == [([], []), ([], []), ([100], []), ([], []), ([], [100]), ([], [])]


def test_what_was_not_so_for_long_enough_is_never_told():
    known = kept({}, turn({}, [Found(fact(), True)], 60, 100))
    done = turn(known, [Found(fact(since=130), False)], 60, 130)
    assert done == Turn(forgotten=("a",))
    assert kept(known, done) == {}


def test_what_is_not_known_stays_as_it_was():
    told = {"a": Watched(fact(), told=True), "b": Watched(fact("b"), told=False)}
    assert turn(told, [Found(fact(since=900), None), Found(fact("b", 900), None)], 0, 900) == Turn()
    assert turn({}, [Found(fact(), None)], 0, 900) == Turn()


def test_what_is_not_there_any_more_is_over():
    told = {"a": Watched(fact(busy=0.03), told=True)}
    assert turn(told, [], 0, 900) == Turn(over=(fact(busy=0.03),))


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([True, False, None])), max_size=30),
    st.sampled_from([0, 30, 90]),
)
def test_beginnings_and_ends_take_turns(days, for_s):
    known: dict[str, Watched] = {}
    story: list[tuple[str, str]] = []
    for day, facts in enumerate(days):
        now = 60 * day
        done = turn(known, [Found(fact(about, now), holds) for about, holds in facts.items()], for_s, now)
        known = kept(known, done)
        story += [(one.about, "begun") for one in done.begun] + [(one.about, "over") for one in done.over]
    for about in "abc":
        told = [what for whom, what in story if whom == about]
        assert told == ["begun", "over"] * (len(told) // 2) + ["begun"] * (len(told) % 2)
        assert (len(told) % 2 == 1) == (about in known and known[about].told)
    assert msgspec.json.decode(msgspec.json.encode(known), type=dict[str, Watched]) == known

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sim.bookings import FOREVER, Bookings
from hpcjobs.sim.space import Kept

NODES = 4
times = st.integers(0, 9).map(float)
spans = st.tuples(times, st.integers(1, 5).map(float)).map(lambda one: (one[0], one[0] + one[1]))
kepts = st.builds(
    lambda span, indices, jobs: Kept(*span, len(indices), indices, jobs),
    spans, st.frozensets(st.integers(0, NODES - 1), min_size=1), st.frozensets(st.integers(1, 3), max_size=2),
)  # fmt: skip


@given(kepts=st.lists(kepts, max_size=8, unique=True), data=st.data())
def test_a_node_is_shut_when_a_booking_of_others_overlaps_also_after_some_are_cancelled(kepts, data):
    booked, there = Bookings(NODES), []
    for kept in kepts:
        booked.book(kept)
        there.append(kept)
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(there))
            booked.cancel(gone)
            there.remove(gone)
        number, (start_s, end_s), at_s = data.draw(st.integers(1, 4)), data.draw(spans), data.draw(times)
        overlapping = [one for one in there if one.start_s < end_s and one.end_s > start_s and number not in one.jobs]
        shut = booked.shut(number, start_s, end_s)
        found = set() if shut is None else set(shut.nonzero()[0].tolist())
        assert found == {index for one in overlapping for index in one.indices}
        assert booked.first_s == min((one.start_s for one in there), default=FOREVER)
        assert booked.over_after(at_s) == min((one.end_s for one in there if one.end_s > at_s), default=FOREVER)
        until = booked.shut_until(number, start_s, end_s)
        for index in range(NODES):
            own = [one.end_s for one in overlapping if index in one.indices]
            assert (-FOREVER if until is None else until[index]) == max(own, default=-FOREVER)
        assert booked.has(number) or not any(number in one.jobs for one in there)
        assert len(booked.kept) == len(there)
        assert all(one in there for one in booked.kept)


def test_what_was_not_booked_cannot_be_cancelled():
    with pytest.raises(ValueError, match="list"):
        Bookings(NODES).cancel(Kept(0.0, 1.0, 1, frozenset({0}), (1,)))

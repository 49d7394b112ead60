from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.slurm.hostlists import in_hostlist


@pytest.mark.parametrize(
    ("name", "hostlist"),
    [
        ("c1", "c1"),
        ("c3", "c[1-4]"),
        ("c12", "c[1-4,12]"),
        ("gpu07", "c[1-2],gpu[01-08]"),
        ("r2n15", "r[0-3]n[10-19]"),
        ("n13", "n[0-1][0-3]"),
        ("c2-ib", "c[1-3]-ib"),
        ("b", "a,b"),
    ],
)
def test_a_node_that_a_hostlist_names_is_in_it(name, hostlist):
    assert in_hostlist(name, hostlist)


@pytest.mark.parametrize(
    ("name", "hostlist"),
    [
        ("c5", "c[1-4]"),
        ("c10", "c1"),
        ("c1", "c[01-04]"),
        ("c01", "c[1-4]"),
        ("c", "c[1-4]"),
        ("c1x", "c[1-4]"),
        ("d1", "c[1-4]"),
        ("c1", ""),
        ("c1", "c[1-"[:2]),
        ("c1", "c[x]"),
    ],
)
def test_a_node_that_it_does_not_name_is_not(name, hostlist):
    assert not in_hostlist(name, hostlist)


@given(st.text(), st.text(alphabet="c0123456789[],-\u0663", max_size=60))
def test_no_text_raises(name, hostlist):
    assert in_hostlist(name, hostlist) in (True, False)
    assert in_hostlist("c1", hostlist) in (True, False)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_range_holds_exactly_what_lies_in_it(low, high, number):
    assert in_hostlist(f"c{number}", f"c[{low}-{high}]") == (low <= number <= high)

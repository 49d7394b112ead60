from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.sbatch.hostlists import count_hosts, expand_hostlist, fold_hostlist, in_hostlist, natural


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


@pytest.mark.parametrize(
    ("names", "hostlist"),
    [
        (["c1"], "c1"),
        (["c2", "c1", "c3", "c7"], "c[1-3,7]"),
        (["c9", "c10", "c11"], "c[9-11]"),
        (["c09", "c10", "c100"], "c[09-10,100]"),
        (["c1", "c01", "c02"], "c1,c[01-02]"),
        (["gpu1", "c2", "login"], "c2,gpu1,login"),
        (["rack2-n1", "rack10-n1", "rack2-n2"], "rack2-n[1-2],rack10-n1"),
        (["c1", "c1"], "c1"),
        ([], ""),
    ],
)
def test_names_are_folded_as_slurm_folds_them(names, hostlist):
    assert fold_hostlist(names) == hostlist


@pytest.mark.parametrize(
    "hostlist",
    [
        "c[1-",
        "c1]",
        "c[x]",
        "c[3-1]",
        "c[1-999999999]",
        "c[1-1000][1-1000]",
        "c[" + ",".join(["1-99999"] * 999) + "]",
        "c[1-99999][1-99999][1-99999]",
    ],
)
def test_what_is_no_hostlist_is_not_written_out(hostlist):
    with pytest.raises(ValueError, match=r"hostlist|numbers|names more"):
        expand_hostlist(hostlist)


@given(st.lists(st.from_regex(r"\A[a-z]{1,3}[0-9]{0,4}\Z"), min_size=1, max_size=30))
def test_what_is_folded_writes_out_to_the_same_names(names):
    assert sorted(expand_hostlist(fold_hostlist(names))) == sorted(set(names))


def test_each_node_counts_once_and_what_cannot_be_counted_is_one():
    assert count_hosts("c[1-3],c2") == 3
    assert [count_hosts(hostlist) for hostlist in ("c[1-999999999999]", "c[x", "")] == [1, 1, 1]


@given(st.sets(st.text(max_size=8)))
def test_any_names_can_be_sorted_and_numbers_in_them_count(names):
    in_order = sorted(names, key=natural)
    backwards = list(reversed(in_order))
    assert sorted(backwards, key=natural) == in_order
    assert sorted(["c10", "c9", "c\u00b2", "c" + "9" * 5000], key=natural)[:2] == ["c9", "c10"]

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpcjobs.slurm.base import Launch, ceil_div, split_comment

from .builders import spec

ATTEMPT = "0123456789abcdef" * 2
OTHER = "f" * 32
PIECES = st.one_of(st.text(), st.sampled_from([f"hpcjobs:{OTHER}", f" hpcjobs:{OTHER}", "\n", " ", "hpcjobs:", OTHER]))


@given(st.lists(PIECES, max_size=4).map("".join), st.from_regex(r"[0-9a-f]{32}", fullmatch=True))
@example(f"hpcjobs:{OTHER}", ATTEMPT)
@example(f"mine hpcjobs:{OTHER}\n", ATTEMPT)
@example(" leading", ATTEMPT)
@example("two\nlines", ATTEMPT)
@example(" ", ATTEMPT)
def test_the_users_comment_and_our_mark_come_back_as_they_went(comment, attempt):
    assert split_comment(Launch(spec(comment=comment), attempt).comment) == (comment, attempt)


def test_without_a_comment_the_mark_stands_alone():
    launch = Launch(spec(), ATTEMPT)
    assert launch.comment == f"hpcjobs:{ATTEMPT}"
    assert split_comment(launch.comment) == ("", ATTEMPT)


@pytest.mark.parametrize(
    "comment",
    [
        "mine",
        "",
        f"hpcjobs:{ATTEMPT[:-1]}",
        f"hpcjobs:{ATTEMPT}0",
        f"hpcjobs:{ATTEMPT.upper()}",
        f"myhpcjobs:{ATTEMPT}",
        "hpcjobs:",
    ],
)
def test_what_is_not_our_mark_stays_the_users_comment(comment):
    assert split_comment(comment) == (comment, None)


@pytest.mark.parametrize(
    ("comment", "own"),
    [
        (f"hpcjobs:{ATTEMPT} site=7", " site=7"),
        (f"mine hpcjobs:{ATTEMPT};site=7", "mine;site=7"),
        (f"hpcjobs:{ATTEMPT}\n", "\n"),
        (f"site=7 mine hpcjobs:{ATTEMPT}", "site=7 mine"),
        (f"hpcjobs:{OTHER} hpcjobs:{ATTEMPT} site", f"hpcjobs:{OTHER} site"),
    ],
)
def test_our_mark_is_found_wherever_a_plugin_of_the_site_has_left_it(comment, own):
    assert split_comment(comment) == (own, ATTEMPT)


def test_a_job_without_a_comment_has_none():
    assert split_comment(None) == ("", None)


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_whole_units_hold_the_amount_and_no_unit_is_spare(amount, unit):
    assert (ceil_div(amount, unit) - 1) * unit < amount <= ceil_div(amount, unit) * unit

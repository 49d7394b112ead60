"""Periods are pieces of a calendar: across clocks that change, new year, leap days."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.reports.periods import STEPS, Period, buckets, period_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOW = at("2026-11-28T05:00:00+01:00")


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026", "2026-01-01T00:00+01:00", "2027-01-01T00:00+01:00"),
        ("2026-10", "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("2026-Q4", "2026-10-01T00:00+02:00", "2027-01-01T00:00+01:00"),
        ("2026-W01", "2025-12-29T00:00+01:00", "2026-01-05T00:00+01:00"),
        ("2028-02-29", "2028-02-29T00:00+01:00", "2028-03-01T00:00+01:00"),
        ("this-month", "2026-11-01T00:00+01:00", "2026-12-01T00:00+01:00"),
        ("last-month", "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("last-quarter", "2026-07-01T00:00+02:00", "2026-10-01T00:00+02:00"),
        ("last-year", "2025-01-01T00:00+01:00", "2026-01-01T00:00+01:00"),
        ("this-week", "2026-11-23T00:00+01:00", "2026-11-30T00:00+01:00"),
        ("yesterday", "2026-11-27T00:00+01:00", "2026-11-28T00:00+01:00"),
        ("30d", "2026-10-29T05:00+01:00", "2026-11-28T05:00+01:00"),
        ("2026-10-25..2026-10-26", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-10-25T12:30..2026-10-25T11:45Z", "2026-10-25T12:30+01:00", "2026-10-25T12:45+01:00"),
        ("1790000000..1790000060", "2026-09-21T14:13:20Z", "2026-09-21T14:14:20Z"),
    ],
)
def test_a_period_is_read_in_the_calendar_of_its_zone(text, since, until):
    period = period_of(text, BERLIN, NOW)
    assert (period.since, period.until) == (at(since), at(until))


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13", "2026-W60", "2026-02-30", "1999", "2026-10-02..2026-10-01", "..", "2026..", "0d", "2026-Q5",
     "9999-01-01..9999-01-02", "99999999999d", "2026-10-01..2026-10-01", "\0", "2026-1"],
)  # fmt: skip
def test_what_is_no_period_is_refused(text):
    with pytest.raises(Refused) as refused:
        period_of(text, BERLIN, NOW)
    assert [one.code for one in refused.value.refusals] == ["period-unknown"]


@pytest.mark.parametrize("name", ["Mars/Phobos", "../../etc/passwd", "/etc/localtime", "", "x" * 5000, "a\0"])
def test_what_is_no_time_zone_is_refused(name):
    with pytest.raises(Refused) as refused:
        zone_of(name)
    assert refused.value.refusals[0].field == "timezone"


def test_the_day_when_clocks_change_has_23_or_25_hours():
    for month, hours in (("03-29", 23), ("10-25", 25)):
        day = period_of(f"2026-{month}", BERLIN, NOW)
        assert day.until - day.since == hours * HOUR
        assert len(buckets(day, "hour", BERLIN)) == hours
        assert len({piece.label for piece in buckets(day, "hour", BERLIN)}) == hours


def test_pieces_are_called_as_people_call_them():
    year = period_of("2026", BERLIN, NOW)
    assert [piece.label for piece in buckets(year, "quarter", BERLIN)] == ["2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"]
    assert [piece.label for piece in buckets(year, "week", BERLIN)][0::52] == ["2026-W01", "2026-W53"]
    assert len(buckets(year, "day", BERLIN)) == 365


def test_too_many_pieces_are_refused():
    with pytest.raises(Refused, match="more than 10000"):
        buckets(period_of("2000-01-01..2099-01-01", BERLIN, NOW), "hour", BERLIN)


seconds = st.integers(at("2001-01-01T00:00Z"), at("2090-01-01T00:00Z"))


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca"]


@given(seconds, st.integers(1, 400 * 86400), st.sampled_from([*STEPS]), st.sampled_from(ZONES))
def test_pieces_follow_one_another_and_are_the_whole(since, lasts, step, zone):
    found = buckets(Period("", since, since + lasts), step, ZoneInfo(zone))
    assert (found[0].since, found[-1].until) == (since, since + lasts)
    assert all(one.until == next_one.since for one, next_one in itertools.pairwise(found))
    assert all(piece.since < piece.until for piece in found)
    for piece in found[1:]:
        begins = datetime.fromtimestamp(piece.since, UTC).astimezone(ZoneInfo(zone))
        assert (begins.hour, begins.minute) <= (1, 0), "a day begins at midnight, or where clocks skip that, after it"


def test_a_day_that_a_calendar_leaves_out_is_no_piece():
    apia = ZoneInfo("Pacific/Apia")
    pieces = buckets(period_of("2011-12-29..2012-01-01", apia, 0), "day", apia)
    assert [piece.label for piece in pieces] == ["2011-12-29", "2011-12-31"]
    assert pieces[0].until == pieces[1].since

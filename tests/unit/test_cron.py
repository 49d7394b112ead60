"""When something is due, as crontab(5) means it, also on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sending.cron import Cron

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def following(cron: str, since: str, many: int, zone: str = BERLIN) -> list[str]:
    found, moment = [], at(since, zone)
    for _ in range(many):
        moment = Cron(cron, zone).after(moment)
        found.append(datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%a %m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 7 * * 1-5", ["Mon 06-01 07:30+0200", "Tue 06-02 07:30+0200"]),
        ("0 7 * * 0", ["Sun 05-31 07:00+0200", "Sun 06-07 07:00+0200"]),
        ("0 7 * * 7", ["Sun 05-31 07:00+0200", "Sun 06-07 07:00+0200"]),
        ("0 7 * * sat-mon", ["Sun 05-31 07:00+0200", "Mon 06-01 07:00+0200"]),
        ("0 7 * * 5-7", ["Sun 05-31 07:00+0200", "Fri 06-05 07:00+0200"]),
        ("0 7 1 * *", ["Mon 06-01 07:00+0200", "Wed 07-01 07:00+0200"]),
        ("0 0 1 1 *", ["Fri 01-01 00:00+0100", "Sat 01-01 00:00+0100"]),
        ("0 7 15 * fri", ["Fri 06-05 07:00+0200", "Fri 06-12 07:00+0200"]),  # either day
        ("*/20 7 * * *", ["Sun 05-31 07:00+0200", "Sun 05-31 07:20+0200"]),
        ("0 7 29 2 *", ["Tue 02-29 07:00+0100", "Sun 02-29 07:00+0100"]),
    ],
)
def test_fields_mean_what_they_mean_to_cron(cron, expected):
    assert following(cron, "2026-05-31 00:00", 2) == expected


def test_either_of_two_days_comes():
    assert "Mon 06-15 07:00+0200" in following("0 7 15 * fri", "2026-06-12 08:00", 2)


def test_what_a_day_does_not_have_comes_that_day_and_what_it_has_twice_once():
    assert following("30 2 * * *", "2026-03-28 12:00", 2) == ["Sun 03-29 03:30+0200", "Mon 03-30 02:30+0200"]
    assert following("30 2 * * *", "2026-10-24 12:00", 2) == ["Sun 10-25 02:30+0200", "Mon 10-26 02:30+0100"]


def test_every_hour_is_every_hour_when_clocks_change():
    assert following("0 * * * *", "2026-10-25 01:30", 3) == [
        "Sun 10-25 02:00+0200", "Sun 10-25 02:00+0100", "Sun 10-25 03:00+0100",
    ]  # fmt: skip
    assert following("0 * * * *", "2026-03-29 00:30", 3) == [
        "Sun 03-29 01:00+0100", "Sun 03-29 03:00+0200", "Sun 03-29 04:00+0200",
    ]  # fmt: skip


def test_nothing_is_left_out_by_looking_in_the_hour_that_clocks_skip():
    skipped = at("2026-03-29 03:00")
    for minute in range(30):
        assert Cron("30 2 * * *", BERLIN).after(skipped + 60 * minute) == at("2026-03-29 03:30")
    assert Cron("30 2,3 * * *", BERLIN).after(skipped + 1800) == at("2026-03-30 02:30")
    assert following("0,30 2,3 * * *", "2026-03-29 01:00", 2) == ["Sun 03-29 03:00+0200", "Sun 03-29 03:30+0200"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/10 1-3 * * *", "15 2 * * 0", "0 3 1 * *", "0 2 29 2 *"]),
    st.sampled_from([BERLIN, "UTC", "Australia/Lord_Howe", "America/New_York"]),
    st.integers(1_700_000_000, 1_800_000_000),
    st.integers(0, 2 * 86_400),
)
def test_the_last_moment_is_one_after_which_none_follows_until_then(cron, zone, since, length):
    timer = Cron(cron, zone)
    first = timer.after(since)
    until = first + length
    last = timer.last(first, until)
    assert first <= last <= until
    assert (timer.after(last) or until + 1) > until


def test_years_in_which_nobody_looked_are_not_walked_through_minute_by_minute():
    timer = Cron("* * * * *", "UTC")
    until = datetime(2036, 1, 1, tzinfo=UTC) + timedelta(seconds=30)
    assert timer.last(int(at("2026-01-01 00:00", "UTC")), until.timestamp()) == until.timestamp() - 30


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("", "UTC", "cron"), ("0 7 * *", "UTC", "cron"), ("61 7 * * *", "UTC", "cron"), ("x 7 * * *", "UTC", "cron"),
        ("0 7 * * 8", "UTC", "cron"), ("0 7 * * mun", "UTC", "cron"), ("0 7 30 2 *", "UTC", "cron"),
        ("0 7 * * *", "Mars/Olympus", "timezone"), ("0 7 * * *\n", "../etc", "timezone"),
        ("0 7 0 * *", "UTC", "cron"), ("*/0 7 * * *", "UTC", "cron"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_its_field(cron, zone, field):
    with pytest.raises(Refused) as refused:
        Cron(cron, zone)
    assert [one.field for one in refused.value.refusals] == [field]

"""Points in time: what sbatch 26.05 made of each text on 2026-11-23 at 16:14:50 is what we make of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from hpcjobs.sbatch.effective import with_absolute_times
from hpcjobs.sbatch.when import parse_when, unix_seconds

from .builders import spec

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 11, 23, 16, 14, 50, tzinfo=ZONE)


def read(text: str, now: datetime = NOW) -> str:
    return datetime.fromtimestamp(parse_when(text, now.timestamp(), ZONE), ZONE).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", "2026-11-23T16:14:50"),
        ("now+2", "2026-11-23T16:14:52"),
        ("now+3days", "2026-11-26T16:14:50"),
        ("now+1hours", "2026-11-23T17:14:50"),
        ("now + 1 hour", "2026-11-23T17:14:50"),
        ("now-1hour", "2026-11-23T15:14:50"),
        ("now+1week", "2026-11-30T16:14:50"),
        ("today", "2026-11-23T00:00:00"),
        ("tomorrow", "2026-11-24T00:00:00"),
        ("midnight", "2026-11-24T00:00:00"),
        ("elevenses", "2026-11-24T11:00:00"),
        ("noon", "2026-11-24T12:00:00"),
        ("fika", "2026-11-24T15:00:00"),
        ("teatime", "2026-11-24T16:00:00"),
        ("tomorrow 16:00", "2026-11-24T16:00:00"),
        ("16:00 tomorrow", "2026-11-24T16:00:00"),
        ("noon tomorrow", "2026-11-24T12:00:00"),
        ("tomorrownoon", "2026-11-24T12:00:00"),
        ("16:00", "2026-11-24T16:00:00"),
        ("16:15", "2026-11-23T16:15:00"),
        ("4:30pm", "2026-11-23T16:30:00"),
        ("4:30 PM", "2026-11-23T16:30:00"),
        ("12:30am", "2026-11-24T00:30:00"),
        ("12:30pm", "2026-11-24T12:30:00"),
        ("0:00", "2026-11-24T00:00:00"),
        ("11:59:59", "2026-11-24T11:59:59"),
        ("T18:00", "2026-11-23T18:00:00"),
        ("2026-12-24", "2026-12-24T00:00:00"),
        ("2026-12-24T18:00:30", "2026-12-24T18:00:30"),
        ("2026-12-24 16:00", "2026-12-24T16:00:00"),
        ("2020-01-01", "2020-01-01T00:00:00"),
        ("12/24", "2026-12-24T00:00:00"),
        ("12/24/26", "2026-12-24T00:00:00"),
        ("12.24.26", "2026-12-24T00:00:00"),
        ("122426", "2026-12-24T00:00:00"),
        ("1224", "2026-12-24T00:00:00"),
        ("12/24-18:00", "2026-12-24T18:00:00"),
        ("12/24/26-18:00:05", "2026-12-24T18:00:05"),
        ("0101", "2027-01-01T00:00:00"),
        ("1/2", "2027-01-02T00:00:00"),
        ("1/1/99", "2099-01-01T00:00:00"),
        ("2/30", "2027-03-02T00:00:00"),
        ("uts1799999999", "2027-01-15T09:59:59"),
    ],
)
def test_a_time_is_read_as_sbatch_reads_it(text, moment):
    assert read(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", " ", "now+1h", "now+1min", "now+90sec", "now+1month", "+1hour", "4pm", "16", "2026-12", "2026-12-24T18",
     "13:00pm", "0:30am", "25:00", "24:00", "1:2", "16:00:00.5", "2026-1-2", "2026-12-24T18:00:00Z",
     "2026-12-24T18:00:00+01:00", "tomorrow+1hour", "friday", "12/24/2026", "13/1", "uts5", "uts1799999999x",
     "16:00 17:00", "today tomorrow", "noon noon", "2026-12-24 12/25", "now+99999999999", "9999-12-31T23:59:59:59"],
)  # fmt: skip
def test_what_sbatch_does_not_read_is_refused(text):
    with pytest.raises(ValueError, match="Invalid time specification"):
        parse_when(text, NOW.timestamp(), ZONE)


def test_a_day_that_the_clocks_change_on_is_not_an_hour_off():
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 10, 24, 18, 0, tzinfo=berlin)
    at = parse_when("tomorrow 16:00", before.timestamp(), berlin)
    assert datetime.fromtimestamp(at, berlin).strftime("%Y-%m-%dT%H:%M") == "2026-10-25T16:00"


def test_times_are_resolved_once_and_then_stand_still():
    asked = spec(begin="now+1hour", deadline="2026-12-24")
    once = with_absolute_times(asked, NOW.timestamp(), ZONE)
    assert once.begin == f"uts{int(NOW.timestamp()) + 3600}"
    assert unix_seconds(once.deadline) == datetime(2026, 12, 24, tzinfo=ZONE).timestamp()
    assert with_absolute_times(once, NOW.timestamp() + 999, ZONE) == once
    assert with_absolute_times(spec(), NOW.timestamp()) == spec()
    assert unix_seconds(None) is None


def test_a_time_that_nobody_resolved_is_not_guessed():
    with pytest.raises(ValueError, match="was not resolved"):
        unix_seconds("now+1hour")

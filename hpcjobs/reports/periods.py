"""Periods in words of people, and what they are cut into: calendars of a time zone, in Unix seconds. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hpcjobs.errors import Refusal, Refused

HOUR_S: Final = 3600
MOST_BUCKETS: Final = 10_000
FIRST_YEAR, LAST_YEAR = 2000, 2099
WORDS: Final = "2026, 2026-10, 2026-Q4, 2026-10-31, today, this-month, last-month, 30d, FROM..TO"
"""What a period may look like."""


class Period(NamedTuple):
    """A piece of time.

    Attributes:
        label: In words: ``2026-10``.
        since: Unix seconds at which it begins.
        until: Unix seconds before which it ends.
    """

    label: str
    since: int
    until: int


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name, as ``Europe/Berlin``.

    Raises:
        Refused: There is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # it looks for a file of that name
        text = f"There is no time zone {name[:80]!r}; one is called Europe/Berlin, another UTC."
        raise Refused([Refusal("timezone", text, "timezone-unknown")]) from error


def _at(day: date, zone: ZoneInfo) -> int:
    """When a day begins: its midnight, or where clocks skip that, the first moment after."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _month(day: date, more: int = 0) -> date:
    """The first day of a month, or of one so many later."""
    months = day.year * 12 + day.month - 1 + more
    return date(months // 12, months % 12 + 1, 1)


def _quarter(day: date, more: int = 0) -> date:
    return _month(day.replace(day=1), -((day.month - 1) % 3) + 3 * more)


def _week(day: date, more: int = 0) -> date:
    return day - timedelta(days=day.weekday()) + timedelta(weeks=more)


STEPS: Final[dict[str, Callable[[date, int], date]]] = {
    "day": lambda day, more: day + timedelta(days=more),
    "week": _week,
    "month": lambda day, more: _month(day, more),
    "quarter": _quarter,
    "year": lambda day, more: date(day.year + more, 1, 1),
}
"""The first day of the calendar's piece in which a day is, or of one so many later."""


def label_of(first: date, step: str) -> str:
    """How a piece of the calendar is called: ``2026-10-31``, ``2026-W44`` (ISO 8601), ``2026-10``, ``2026-Q4``."""
    if step == "week":
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02d}"
    if step == "quarter":
        return f"{first.year}-Q{(first.month + 2) // 3}"
    return {"day": first.isoformat(), "month": f"{first:%Y-%m}", "year": f"{first:%Y}"}[step]


def _piece(day: date, step: str, zone: ZoneInfo, more: int = 0) -> Period:
    first, after = STEPS[step](day, more), STEPS[step](day, more + 1)
    return Period(label_of(first, step), _at(first, zone), _at(after, zone))


def instant(text: str, zone: ZoneInfo) -> int:
    """A date, or a date and time, as Unix seconds; without an offset it is of the zone.

    Raises:
        ValueError: It is none, or not of this century.
    """
    if re.fullmatch(r"\d{9,10}", text):
        return int(text)
    told = datetime.fromisoformat(text)
    if not FIRST_YEAR <= told.year <= LAST_YEAR:
        raise ValueError(text)
    return int((told if told.tzinfo else told.replace(tzinfo=zone)).timestamp())


def period_of(text: str, zone: ZoneInfo, now: float) -> Period:
    """Read a period.

    Args:
        text: ``2026``, ``2026-10``, ``2026-Q4``, ``2026-W44``, ``2026-10-31``, ``today``, ``yesterday``, ``this-week``,
            ``last-month`` and so on, ``30d`` or ``12h`` (until now), or ``FROM..TO`` of dates or instants (ISO 8601),
            ``TO`` not in it.
        zone: Whose calendar.
        now: Unix seconds.

    Raises:
        Refused: It is none, ends before it begins, or is not of this century.
    """
    try:
        found = _read(text.strip(), zone, now)
    except (ValueError, OverflowError):
        found = None
    if found is None or found.until <= found.since:
        detail = f"{text[:80]!r} is no period; one looks like {WORDS}."
        raise Refused([Refusal("period", detail, "period-unknown")])
    return found


def _read(text: str, zone: ZoneInfo, now: float) -> Period | None:
    today = datetime.fromtimestamp(now, zone).date()
    word = {"today": "this-day", "yesterday": "last-day"}.get(text, text)
    if match := re.fullmatch(r"(this|last)-(day|week|month|quarter|year)", word):
        return _piece(today, match[2], zone, -1 if match[1] == "last" else 0)
    if match := re.fullmatch(r"(\d{1,5})([dh])", text):
        until = int(now)
        return Period(text, until - int(match[1]) * HOUR_S * (24 if match[2] == "d" else 1), until)
    if ".." in text:
        first, _, last = text.partition("..")
        return Period(text, instant(first, zone), instant(last, zone))
    if match := re.fullmatch(r"(20\d\d)(?:-(?:(\d\d)|Q([1-4])|W(\d\d)))?", text):
        year, month, quarter, week = int(match[1]), match[2], match[3], match[4]
        if month:
            return _piece(date(year, int(month), 1), "month", zone)
        if quarter:
            return _piece(date(year, 3 * int(quarter), 1), "quarter", zone)
        if week:
            return _piece(date.fromisocalendar(year, int(week), 1), "week", zone)
        return _piece(date(year, 1, 1), "year", zone)
    if re.fullmatch(r"20\d\d-\d\d-\d\d", text):
        return _piece(date.fromisoformat(text), "day", zone)
    return None


def _hours(period: Period, zone: ZoneInfo) -> Iterator[Period]:
    at = int(period.since) // HOUR_S * HOUR_S
    while at < period.until:
        yield Period(datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M%z"), at, at + HOUR_S)
        at += HOUR_S


def _pieces(period: Period, step: str, zone: ZoneInfo) -> Iterator[Period]:
    day = datetime.fromtimestamp(period.since, zone).date()
    while (piece := _piece(day, step, zone)).since < period.until:
        if piece.since < piece.until:  # Samoa has no 30 December 2011
            yield piece
        day = STEPS[step](day, 1)


def buckets(period: Period, step: str, zone: ZoneInfo) -> list[Period]:
    """Cut a period along the calendar; the first and the last piece may be parts of theirs.

    Args:
        period: Which.
        step: ``hour`` (of 3,600 s, also where clocks change) or one of ``STEPS``.
        zone: Whose calendar.

    Raises:
        Refused: These would be more than MOST_BUCKETS.
    """
    found = []
    for piece in _hours(period, zone) if step == "hour" else _pieces(period, step, zone):
        found.append(Period(piece.label, max(piece.since, period.since), min(piece.until, period.until)))
        if len(found) > MOST_BUCKETS:
            text = f"The period has more than {MOST_BUCKETS} of these: ask for a shorter one, or for longer pieces."
            raise Refused([Refusal("by", text, "too-many")])
    return found

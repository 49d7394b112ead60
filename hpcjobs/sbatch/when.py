"""Points in time as sbatch reads them (sbatch(1), --begin and --deadline), turned into Unix seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

_DELTA = re.compile(r"now(?:\s*(?P<sign>[+-])\s*(?P<count>[0-9]{1,10})\s*(?P<unit>[a-z]*))?")
_UNITS: Final = {"": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_CLOCK: Final = {"midnight": (0, 0, 0), "elevenses": (11, 0, 0), "noon": (12, 0, 0), "fika": (15, 0, 0),
    "teatime": (16, 0, 0)}  # fmt: skip
_TOKENS: Final[Sequence[tuple[str, re.Pattern[str]]]] = (
    ("day", re.compile(r"today|tomorrow")),
    ("clock", re.compile("|".join(_CLOCK))),
    ("time", re.compile(r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}))?(?![\d:.])(?:\s*(?P<half>am|pm))?")),
    ("iso", re.compile(r"(?P<y>\d{4})-(?P<mo>\d{2})-(?P<d>\d{2})(?!\d)")),
    ("american", re.compile(r"(?P<mo>\d{1,2})(?P<sep>[/.])(?P<d>\d{1,2})(?:(?P=sep)(?P<y>\d{2}))?(?!\d)")),
    ("digits", re.compile(r"(?P<mo>\d{2})(?P<d>\d{2})(?P<y>\d{2})?(?!\d)")),
    ("gap", re.compile(r"[\s\-]+|t(?=\d)")),
)
LEAST_UTS: Final = 1_000_000
"""The earliest time that ``uts`` and seconds can say."""


class _Date(NamedTuple):
    year: int | None
    month: int
    day: int


def _time(found: re.Match[str]) -> tuple[int, int, int]:
    hour, minute, second = int(found["h"]), int(found["m"]), int(found["s"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    return hour, minute, second


def _date(kind: str, found: re.Match[str], today: datetime) -> _Date:
    if kind == "day":
        day = today + timedelta(days=found[0] == "tomorrow")
        return _Date(day.year, day.month, day.day)
    month, day_of_month = int(found["mo"]), int(found["d"])
    if not 1 <= month <= 12 or not 1 <= day_of_month <= 31:
        raise ValueError("no such day")
    year = int(found["y"]) if found["y"] else None
    return _Date(year if year is None or year > 99 else year + 2000, month, day_of_month)


def parse_when(text: str, now: float, zone: tzinfo | None = None) -> int:
    """Read a point in time.

    Args:
        text: ``now``, ``now+1hour`` (seconds, minutes, hours, days, weeks), ``16:00``, ``4:30pm``, ``noon``,
            ``midnight``, ``elevenses``, ``fika``, ``teatime``, ``today``, ``tomorrow``, ``2026-12-24``,
            ``12/24[/26]``, ``12.24[.26]``, ``1224[26]``, ``2026-12-24T16:00[:30]``, ``12/24-16:00`` or
            ``uts`` with Unix seconds. A time of day that has passed is tomorrow's; a day that has passed and names no
            year is next year's.
        now: Unix seconds that relative words count from.
        zone: Of times of day; None is the zone of this machine.

    Returns:
        Unix seconds.

    Raises:
        ValueError: The text is of no such form.
    """
    lower = text.strip().lower()
    if uts := re.fullmatch(r"uts(\d{1,12})", lower):
        if int(uts[1]) >= LEAST_UTS:
            return int(uts[1])
    elif delta := _DELTA.fullmatch(lower):
        count, unit = int(delta["count"] or 0), (delta["unit"] or "").removesuffix("s")
        if unit in _UNITS and count <= 10**9:
            return int(now) + (-count if delta["sign"] == "-" else count) * _UNITS[unit]
    else:
        try:
            return _calendar(lower, datetime.fromtimestamp(int(now), zone))
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"Invalid time specification {text!r}: write now+1hour, 16:00, tomorrow or 2026-12-24T16:00")


def _calendar(text: str, now: datetime) -> int:
    date: _Date | None = None
    time: tuple[int, int, int] | None = None
    at = 0
    while at < len(text):
        kind, found = next(((kind, found) for kind, token in _TOKENS if (found := token.match(text, at))), ("", None))
        if found is None or (kind in ("clock", "time") and time) or (kind not in ("clock", "time", "gap") and date):
            raise ValueError("unexpected")
        if kind == "clock":
            time = _CLOCK[found[0]]
        elif kind == "time":
            time = _time(found)
        elif kind != "gap":
            date = _date(kind, found, now)
        at = found.end()
    if date is None and time is None:
        raise ValueError("nothing said")
    hour, minute, second = time or (0, 0, 0)
    clock = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if date is None:
        moment = clock if clock > now else clock + timedelta(days=1)
    else:
        year = now.year if date.year is None else date.year
        if date.year is None and (date.month, date.day) < (now.month, now.day):
            year += 1
        # The 30th of February is the 2nd of March, as mktime has it.
        moment = clock.replace(year=year, month=date.month, day=1) + timedelta(days=date.day - 1)
    return int(moment.timestamp())


def unix_seconds(text: str | None) -> int | None:
    """The Unix seconds of a resolved time.

    Raises:
        ValueError: It was not resolved (``effective.with_absolute_times``).
    """
    if text is None:
        return None
    if not re.fullmatch(r"uts\d+", text):
        raise ValueError(f"the time {text!r} was not resolved at submission")
    return int(text[3:])

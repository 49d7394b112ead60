"""Points in time as sacct reads them, and the time that it looks at. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.times import Moment, time_text
from hpcjobs.sbatch.when import parse_when

_PLAIN: Final = Moment(0)
_CLOCK: Final = re.compile(r"(\d{1,2}:\d\d(:\d\d)?\s*([ap]m)?|midnight|noon|elevenses|fika|teatime)", re.IGNORECASE)
_NO_YEAR: Final = re.compile(r"(\d\d?[/.]\d\d?|\d{4})(-\d\d?:\d\d(:\d\d)?\s*([ap]m)?)?", re.IGNORECASE)


class BadTime(ValueError):
    """A point in time that is none."""


class Window(NamedTuple):
    """The time that is looked at.

    Attributes:
        since: Unix seconds; 0: from the beginning.
        until: Unix seconds; 0: until now.
    """

    since: int
    until: int


def parse_past(text: str, now: float) -> int:
    """Read a point in time that is most likely past: a time of day is today's, a day without a year the last one.

    Args:
        text: As sacct(1) has it.
        now: Unix seconds.

    Returns:
        Unix seconds.

    Raises:
        BadTime: The text is of no such form.
    """
    today = _midnight(now)
    from_when = now
    if _CLOCK.fullmatch(text.strip()):
        from_when = (today - timedelta(seconds=1)).timestamp()
    elif _NO_YEAR.fullmatch(text.strip()):
        tomorrow = today + timedelta(days=1)
        leap = tomorrow.month == 2 and tomorrow.day == 29
        from_when = tomorrow.replace(year=tomorrow.year - 1, day=28 if leap else tomorrow.day).timestamp()
    try:
        return parse_when(text, from_when)
    except ValueError as error:
        raise BadTime(f"Invalid time specification (pos=0): {text}") from error


def window(start: str | None, end: str | None, now: float, *, with_jobs: bool, with_states: bool) -> Window:
    """The time that sacct looks at (sacct(1), DEFAULT TIME WINDOW).

    Args:
        start: --starttime.
        end: --endtime.
        now: Unix seconds.
        with_jobs: Whether --jobs is given.
        with_states: Whether --state is given.

    Raises:
        BadTime: A time is none.
        Failed: The end is before the start.
    """
    since = parse_past(start, now) if start is not None else 0
    until = parse_past(end, now) if end is not None else 0
    if start is None and not with_jobs:
        since = int(now) if with_states else int(_midnight(now).timestamp())
    if end is None and with_states and (start is not None or not with_jobs):
        until = since + 1
    last = until or int(now)
    if since > last:
        first, end_of = time_text(since, _PLAIN), time_text(last, _PLAIN)
        raise Failed(f"error: Start time ({first}) requested is after end time ({end_of}).")
    if since == until:
        until += 1 if until else 0
    return Window(since, until)


def _midnight(now: float) -> datetime:
    return datetime.fromtimestamp(int(now)).replace(hour=0, minute=0, second=0)  # noqa: DTZ006  of this machine

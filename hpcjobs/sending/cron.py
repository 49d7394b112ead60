"""When something is due: five fields as in crontab(5), in the calendar of a time zone. Pure.

Where clocks change: a moment that a day does not have comes an hour later by the clock (02:30 at 03:30), one that a day
has twice comes once, the first time; what comes every hour comes every hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from hpcjobs.errors import Refusal, Refused
from hpcjobs.reports.periods import zone_of

DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""Of a week, as crontab(5) counts them; APScheduler's 0 is Monday."""
CHANGE: Final = timedelta(hours=2)
"""No clock is put back or forward by more."""
SPANS_S: Final = (3600, 86_400, 8 * 86_400, 32 * 86_400, 400 * 86_400)
EXAMPLE: Final = '"0 7 * * mon" is Mondays at 7'


class Cron:
    """Moments of a calendar.

    Args:
        text: Minute, hour, day of the month, month, day of the week: ``30 7 * * mon-fri``, ``0 7 1 * *``. Where both
            days are given either will do, as for cron.
        timezone: IANA name.

    Raises:
        Refused: It is no such text, comes never, or there is no such time zone.
    """

    def __init__(self, text: str, timezone: str) -> None:
        self._zone = zone_of(timezone)
        self._every_hour = False
        try:
            self._trigger = self._read(text)
        except (ValueError, TypeError) as error:
            raise Refused(
                [Refusal("cron", f"{text[:80]!r} is no time: {error}; {EXAMPLE}.", "cron-unknown")]
            ) from error
        if self.after(0) is None:
            raise Refused([Refusal("cron", f"{text[:80]!r} never comes.", "cron-never")])

    def _read(self, text: str) -> BaseTrigger:
        fields = text.split()
        if len(fields) != 5:
            raise ValueError("it has five fields")
        minute, hour, day, month, weekday = fields
        self._every_hour = hour.startswith("*")
        days = _weekdays(weekday)
        either = [(day, "*"), ("*", days)] if "*" not in (day[0], weekday[0]) else [(day, days)]
        triggers = [
            CronTrigger(minute=minute, hour=hour, day=one, month=month, day_of_week=other, timezone=UTC)
            for one, other in either
        ]
        return triggers[0] if len(triggers) == 1 else OrTrigger(triggers)

    def _moments(self, wall: datetime) -> Iterator[tuple[datetime, int]]:
        """What a wall's calendar and clock show when it is due, from a time on, and the Unix seconds of it."""
        found = self._trigger.get_next_fire_time(None, wall)
        while found is not None:
            there = found.replace(tzinfo=self._zone)
            yield found, int(there.timestamp())
            again = there.replace(fold=1)
            if self._every_hour and again.timestamp() > there.timestamp():
                yield found, int(again.timestamp())
            found = self._trigger.get_next_fire_time(found, found)

    def _wall(self, at: float) -> datetime:
        """What a wall shows at a time; APScheduler's calendar is UTC, in which no hour is missing."""
        return datetime.fromtimestamp(at, self._zone).replace(tzinfo=UTC, fold=0)

    def after(self, at: float) -> int | None:
        """The first moment after a time, Unix seconds; None: there is none."""
        best: int | None = None
        for wall, moment in self._moments(self._wall(at) - CHANGE):
            if best is not None and wall >= self._wall(best) + CHANGE:
                break  # where clocks change the order of walls is not that of time
            if moment > at and (best is None or moment < best):
                best = moment
        return best

    def last(self, since: int, until: float) -> int:
        """The last moment from one that is known on, and not after a time.

        Args:
            since: A moment, Unix seconds; not later than ``until``.
            until: Unix seconds.
        """
        found = since
        for span in SPANS_S:  # few steps, however often it comes and however long nobody looked
            begin = max(since, int(until) - span - 1)
            moment = self.after(begin)
            while moment is not None and moment <= until:
                found, moment = moment, self.after(moment)
            if found > since or begin == since:
                break
        return found


def _weekdays(field: str) -> str:
    """Days of the week in APScheduler's words: numbers and ranges of crontab(5), of which 0 and 7 are Sunday."""
    if field == "*":
        return field
    found: set[int] = set()
    for part in field.lower().split(","):
        match = re.fullmatch(r"(\*|[0-7]|[a-z]{3})(?:-([0-7]|[a-z]{3}))?(?:/([1-7]))?", part)
        if match is None:
            raise ValueError(f"{part[:20]!r} is no day of the week")
        first, last, step = match[1], match[2], int(match[3] or 1)
        begin, end = (0, 6) if first == "*" else (_day(first), _day(last or first))
        if end < begin:
            end += 7
        found |= {day % 7 for day in range(begin, end + 1, step)}
    return ",".join(DAYS[day] for day in sorted(found))


def _day(word: str) -> int:
    if word.isdigit():
        return int(word)
    if word not in DAYS:
        raise ValueError(f"{word!r} is no day of the week")
    return DAYS.index(word)

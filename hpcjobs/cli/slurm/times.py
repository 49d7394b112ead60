"""Points in time and durations as Slurm's commands print them. Pure but for the clock and this machine's zone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

STANDARD: Final = "%Y-%m-%dT%H:%M:%S"
RELATIVE: Final = "relative"
YEAR_S: Final = 365 * 86400


class Moment(NamedTuple):
    """When something is printed, and how times are written.

    Attributes:
        now: Unix seconds.
        style: SLURM_TIME_FORMAT: ``standard``, ``relative``, or a format of strftime; anything else is standard.
    """

    now: int
    style: str = "standard"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Moment:
        """This moment, printed as the caller's variables say."""
        return cls(int(time.time()), environment.get("SLURM_TIME_FORMAT", ""))


def time_text(at: int, moment: Moment, none: str = "N/A") -> str:
    """A point in time in this machine's zone.

    Args:
        at: Unix seconds; 0: there is none.
        moment: Which style.
        none: What stands where there is none.
    """
    if not at:
        return none
    when = time.localtime(at)
    if moment.style == RELATIVE:
        return time.strftime(_relative(when, time.localtime(moment.now)), when)
    return time.strftime(moment.style if "%" in moment.style else STANDARD, when)


def _relative(when: time.struct_time, today: time.struct_time) -> str:
    """The form for a day that is near, or far: today's times have seconds, other years no time at all."""
    if when.tm_year != today.tm_year:
        return f"{when.tm_mday} %b %Y"
    days = when.tm_yday - today.tm_yday
    if days in (-1, 0, 1):
        return {-1: "Ystday %H:%M", 0: "%H:%M:%S", 1: "Tomorr %H:%M"}[days]
    return "%a %H:%M" if 1 < days <= 6 else f"{when.tm_mday} %b %H:%M"


def short_span(seconds: int, most_s: int | None = YEAR_S) -> str:
    """A duration as squeue prints it: ``3:07``, ``1:00:00``, ``2-00:00:00``.

    Args:
        seconds: How long; less than nothing is ``INVALID``.
        most_s: More than so many seconds are too; None: no number is too large, as for sinfo.
    """
    if seconds < 0 or (most_s is not None and seconds > most_s):
        return "INVALID"
    days, hours, minutes, rest = _parts(seconds)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def full_span(seconds: int) -> str:
    """A duration as scontrol and sacct print it: ``00:03:07``, ``2-00:00:00``; less than nothing is ``INVALID``."""
    if seconds < 0:
        return "INVALID"
    days, hours, minutes, rest = _parts(seconds)
    return (f"{days}-" if days else "") + f"{hours:02}:{minutes:02}:{rest:02}"


def _parts(seconds: int) -> tuple[int, int, int, int]:
    minutes, rest = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return hours // 24, hours % 24, minute, rest

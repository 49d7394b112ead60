"""Ends of logs as lines: bounded, each with its time and rank as far as it says them."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from hpcjobs.model.failure import LogTail

MOST_CHARS: Final = 262_144
"""As many characters of one log are read, the last ones."""
MOST_CHARS_TOGETHER: Final = 2_097_152
"""As many of all logs of a job, divided evenly where there are more."""
MOST_LINE: Final = 2_000
"""As many characters of one line are read, the first ones."""
MOST_SHOWN: Final = 400
"""As many characters of a line are shown."""

_HEAD: Final = 100
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_GLOG = re.compile(r"\b[EWIF](\d{1,2})(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?")
_SYSLOG = re.compile(r"^([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)()")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PREFIX = re.compile(r"\[(?:rank|default)\d{1,6}\]: ?")
_MILD = re.compile(
    r"(?:(?<!NCCL )\b(?:WARN|INFO|DEBUG)\b|\bWARNING\b|\b[A-Za-z]{0,16}[Ww]arning: |\b[WI]\d{3,4} \d\d:\d\d:\d\d)"
)
_RANK = re.compile(r"\[rank(\d{1,6})\]:")
_LABEL = re.compile(r" {0,5}(\d{1,6}): ")
_LABELLED: Final = 0.9


class Line(msgspec.Struct, frozen=True):
    """One line of a log.

    Attributes:
        number: Which one of the tail, from 1.
        text: Without what srun's ``--label`` writes before it.
        time: Of the line or the last one before it that has one, in Unix seconds of a clock that shows UTC; None: no
            line so far has one.
        rank: Which rank wrote it; None: not known.
    """

    number: int
    text: str
    time: float | None
    rank: int | None

    @property
    def body(self) -> str:
        """The text without the rank that torchrun or Python's traceback writes before it."""
        prefix = _PREFIX.match(self.text)
        return self.text[prefix.end() :] if prefix else self.text

    @property
    def mild(self) -> bool:
        """Whether its writer thought it no error: a warning, or less. NCCL's WARN is its word for errors."""
        return _MILD.search(self.text[:_HEAD]) is not None


def lines_of(logs: Sequence[LogTail], now: float | None) -> Iterator[tuple[LogTail, list[Line]]]:
    """Each log with its last lines, as far as they are within the bounds.

    Args:
        logs: Ends of logs.
        now: Unix seconds: of what year lines without a year are; None: they are only put in order.
    """
    most = min(MOST_CHARS, MOST_CHARS_TOGETHER // max(1, len(logs)))
    for log in logs:
        yield log, _lines(log, most, now)


def _lines(log: LogTail, most: int, now: float | None) -> list[Line]:
    texts = [line[:MOST_LINE] for line in log.text[-most:].splitlines()]
    if len(log.text) > most:
        del texts[:1]  # it is not whole, and a part of a line can say what the whole does not
    labels = [_LABEL.match(line) for line in texts]
    labelled = sum(map(bool, labels)) >= _LABELLED * max(1, len(texts))
    found: list[Line] = []
    time: float | None = None
    for number, (line, label) in enumerate(zip(texts, labels, strict=True), start=1):
        rank = log.rank
        if labelled and label:
            line, rank = line[label.end() :], int(label[1])
        elif said := _RANK.match(line):
            rank = int(said[1])
        time = time_of(line, now) or time
        found.append(Line(number, line, time, rank))
    return found


def time_of(line: str, now: float | None) -> float | None:
    """The time that a line begins with, by its own clock.

    Knows ISO 8601 and its kin (``2026-11-28T09:30:00``, Slurm's, Python's and torchrun's), glog's
    (``E1128 09:30:00``, NCCL's through PyTorch) and syslog's (``Nov 28 09:30:00``). A zone is not looked at: logs of a
    job are of one zone, and most of them do not say which.

    Args:
        line: Of which the first hundred characters are looked at.
        now: Unix seconds, for times without a year: they are of the last twelve months. None: of the year 2000.

    Returns:
        Unix seconds of a clock that shows UTC; None: the line has no time, or one that cannot be.
    """
    head = line[:_HEAD]
    if iso := _ISO.search(head):
        return _seconds(*map(int, iso.groups()[:6]), fraction=iso[7])
    if glog := _GLOG.search(head):
        return _in_year(*map(int, glog.groups()[:5]), fraction=glog[6], now=now)
    if (syslog := _SYSLOG.match(head)) and syslog[1] in _MONTHS:
        month = _MONTHS.index(syslog[1]) + 1
        return _in_year(month, *map(int, syslog.groups()[1:5]), fraction=None, now=now)
    return None


def _in_year(
    month: int, day: int, hour: int, minute: int, second: int, *, fraction: str | None, now: float | None
) -> float | None:
    if now is None:
        return _seconds(2000, month, day, hour, minute, second, fraction=fraction)
    today = datetime.fromtimestamp(now, UTC)
    latest = (today + timedelta(days=2)).timestamp()  # wherever the cluster's clock is
    for year in (today.year + 1, today.year, today.year - 1):
        time = _seconds(year, month, day, hour, minute, second, fraction=fraction)
        if time is not None and time <= latest:
            return time
    return None


def _seconds(
    year: int, month: int, day: int, hour: int, minute: int, second: int, *, fraction: str | None
) -> float | None:
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return timegm(moment.timetuple()) + (float(f"0.{fraction}") if fraction else 0.0)

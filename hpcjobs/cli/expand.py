"""Names of several tasks, ``123_[1-5]``, as a name each; times that people say. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

import click

_TASKS: Final = re.compile(r"(.+)_\[([0-9,:-]+)(?:%[0-9]+)?\]")
_AGO: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MOST_DIGITS: Final = 15
"""Characters of a length of time."""
MOST: Final = 1000
"""Most tasks of one name."""


def each_task(name: str) -> Sequence[str]:
    """The name of each task.

    Args:
        name: As typed; a name of one job stays as it is.

    Raises:
        click.UsageError: That are more than ``MOST`` tasks, or none.
    """
    match = _TASKS.fullmatch(name)
    if match is None:
        return [name]
    from hpcjobs.model.spans import count_tasks, parse_spans

    try:
        spans = parse_spans(match[2])
        count = count_tasks(spans)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if count > MOST:
        raise click.UsageError(f"{name} are more than {MOST} tasks")
    return [f"{match[1]}_{task}" for task in sorted({task for span in spans for task in span})]


def as_tasks(numbers: Iterable[int]) -> str:
    """Numbers of tasks as a list of ranges: ``1,3-5``."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


class Moment(click.ParamType[float]):
    """A time like 2h or 30m (ago), or a date as sbatch's --begin takes it; in Unix seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if isinstance(value, float):
            return value
        if match := _AGO.fullmatch(str(value)):
            return time.time() - float(match[1]) * _SECONDS[match[2]]
        from hpcjobs.sbatch.when import parse_when

        now = time.time()
        try:
            moment = parse_when(str(value), now)
            # A time of day that has passed is tomorrow's for --begin; looking back it is today's.
            return float(moment if moment <= now else parse_when(str(value), now - _SECONDS["d"]))
        except ValueError:
            self.fail(f"{value!r} is not a time like 2h, 3d or 2026-12-01T08:00", param, ctx)


class Duration(click.ParamType[float]):
    """A length of time like 90, 30m, 4h or 12d, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if isinstance(value, float):
            return value
        try:
            return duration_s(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def duration_s(text: str) -> float:
    """Seconds of ``90``, ``30m``, ``4h`` or ``12d``.

    Raises:
        ValueError: It is no length of time.
    """
    match = _AGO.fullmatch(text if text[-1:].isalpha() else f"{text}s")
    if match is None or not text.isascii() or len(text) > MOST_DIGITS:
        raise ValueError(f"{text[:40]!r} is not a length of time like 90, 30m, 4h or 12d")
    return float(match[1]) * _SECONDS[match[2]]

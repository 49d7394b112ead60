"""What orders name: jobs in Slurm's own way, ``123``, ``123_4``, ``123_[1-5,7:2%3]``, ``123+1``, and signals."""

from __future__ import annotations

import re
import signal
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused

MOST_TASKS: Final = 4_000_001
"""Slurm's own most (MAX_ARRAY_SIZE and one)."""

_RANGE: Final = r"\d{1,7}(?:-\d{1,7}(?::\d{1,7})?)?"
_TARGET: Final = re.compile(
    rf"(?P<number>[1-9]\d{{0,9}})"
    rf"(?:_(?P<task>\d{{1,7}})|_\[(?P<tasks>{_RANGE}(?:,{_RANGE})*)(?:%\d{{1,7}})?\]|\+(?P<offset>\d{{1,4}}))?",
    re.ASCII,
)


class Target(msgspec.Struct, frozen=True):
    """A job's name, taken apart.

    Attributes:
        number: Of the job, the array or the heterogeneous job.
        tasks: Tasks of the array as Slurm writes them (``4`` or ``1-5,7``); ``""``: all of it.
        several: Whether ``tasks`` stood in brackets.
        offset: Component of the heterogeneous job.
    """

    number: int
    tasks: str = ""
    several: bool = False
    offset: int | None = None

    @property
    def text(self) -> str:
        """As Slurm writes it, without a limit of running tasks."""
        if self.offset is not None:
            return f"{self.number}+{self.offset}"
        if not self.tasks:
            return str(self.number)
        return f"{self.number}_[{self.tasks}]" if self.several else f"{self.number}_{self.tasks}"


def parse_target(text: str) -> Target:
    """Read a job's name.

    Raises:
        Refused: It is of no form that Slurm knows.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        detail = f"{text!r} is not of the form 123, 123_4, 123_[1-5,7] or 123+1"
        raise Refused([Refusal("target", detail, "bad-target")])
    offset = match["offset"]
    return Target(
        number=int(match["number"]),
        tasks=match["tasks"] or match["task"] or "",
        several=match["tasks"] is not None,
        offset=None if offset is None else int(offset),
    )


def expand_tasks(text: str) -> list[int]:
    """The task numbers of ``1-5,7``, ``0-9:3`` or ``1-4%2``, in order, each once.

    Raises:
        ValueError: The text is of no such form.
    """
    found: set[int] = set()
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", part, re.ASCII)
        if match is None:
            raise ValueError(f"{text!r} is not a list of task numbers")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if not step or last < first or last >= MOST_TASKS:
            raise ValueError(f"{part!r} is not a range of task numbers")
        found.update(range(first, last + 1, step))
    return sorted(found)


def fold_tasks(tasks: list[int]) -> str:
    """Task numbers as Slurm writes them: ``1-3,7``; the opposite of expand_tasks."""
    parts: list[list[int]] = []
    for task in sorted(set(tasks)):
        if parts and task == parts[-1][1] + 1:
            parts[-1][1] = task
        else:
            parts.append([task, task])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def waiting_tasks(text: str) -> str:
    """Tasks that wait together as the controller prints them; slurmdbd keeps a bit mask (``0x4A%2``: ``1,3,6%2``)."""
    mask, percent, limit = text.partition("%")
    if not mask.startswith("0x"):
        return text
    bits = int(mask, 16)
    return fold_tasks([task for task in range(bits.bit_length()) if bits >> task & 1]) + percent + limit


def signal_number(name: str) -> int:
    """The number of a signal.

    Args:
        name: Without SIG (``USR1``) or a number.

    Raises:
        Refused: There is no such signal.
    """
    if name.isascii() and name.isdigit() and 0 < int(name) < signal.NSIG:
        return int(name)
    try:
        return int(signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"])
    except KeyError:
        raise Refused([Refusal("signal", f"There is no signal {name!r}.", "bad-signal")]) from None

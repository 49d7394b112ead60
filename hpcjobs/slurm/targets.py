"""What orders name: jobs in Slurm's own way, ``123``, ``123_4``, ``123_[1-5,7:2%3]``, ``123+1``, and signals."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.spans import fold_tasks, parse_spans
from hpcjobs.sbatch import values

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
        detail = f"{text[:80]!r} is not of the form 123, 123_4, 123_[1-5,7] or 123+1"
        raise Refused([Refusal("target", detail, "bad-target")])
    if match["tasks"]:
        try:
            parse_spans(match["tasks"])
        except ValueError as error:
            raise Refused([Refusal("target", f"{text[:80]!r}: {error}", "bad-target")]) from None
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
    return sorted({task for span in parse_spans(text.partition("%")[0]) for task in span})


def waiting_tasks(text: str) -> str:
    """Tasks that wait together as the controller prints them; slurmdbd keeps a bit mask (``0x4A%2``: ``1,3,6%2``)."""
    mask, percent, limit = text.partition("%")
    if not mask.startswith("0x"):
        return text
    bits = int(mask, 16)
    return fold_tasks([task for task in range(bits.bit_length()) if bits >> task & 1]) + percent + limit


def array_task(array_job_id: int, task: int, waiting: str) -> str:
    """Which task of its array a job is, as Slurm prints it.

    Args:
        array_job_id: Number of the array; 0: the job is of none.
        task: Number of the task.
        waiting: Those that wait together, or ``""``; see waiting_tasks.

    Returns:
        ``4``, ``5-10%2``, or ``""`` for a job of no array.
    """
    return (waiting_tasks(waiting) or str(task)) if array_job_id else ""


def signal_number(name: str) -> int:
    """The number of a signal.

    Args:
        name: Without SIG (``USR1``) or a number.

    Raises:
        Refused: There is no such signal.
    """
    try:
        return values.signal_number(name)
    except ValueError as error:
        raise Refused([Refusal("signal", f"{error}.", "bad-signal")]) from None

"""Lists of task numbers: ``0-15``, ``1,3,5-7:2``, as people and Slurm write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MOST_TASK: Final = 4_000_000
"""The largest number of a task: Slurm's largest MaxArraySize is 4,000,001 (slurm.conf(5))."""

MOST_SPANS: Final = 10_000
"""Most ranges of one list. Slurm has no limit but MaxArraySize; a list of tasks must not take seconds to read."""

MOST_COUNTED: Final = 8_000_000
"""Most tasks of ranges with steps that overlap others and have to be counted one by one."""

_SPAN: Final = r"([0-9]{1,9})(?:-([0-9]{1,9})(?::([0-9]{1,9}))?)?"


def _span(text: str) -> range:
    match = re.fullmatch(_SPAN, text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is not a range of task numbers: write 0-15, 1,3,5-7 or 0-100:10")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first or not step:
        raise ValueError(f"{text!r} holds no task numbers")
    if last > MOST_TASK:
        raise ValueError(f"{text!r} has task numbers above {MOST_TASK}")
    return range(first, last + 1, step)


def parse_spans(text: str) -> list[range]:
    """Read a list of tasks as people and Slurm write it, without what stands behind ``%``.

    Args:
        text: ``0-15``, ``1,3,5-7``, ``0-100:10``.

    Returns:
        Range by range, in the order of the text.

    Raises:
        ValueError: The text is of no such form, or has more than ``MOST_SPANS`` ranges.
    """
    if text.count(",") >= MOST_SPANS:
        raise ValueError(f"more than {MOST_SPANS} ranges of task numbers are too many")
    return [_span(part.strip()) for part in text.split(",")]


def count_tasks(spans: Sequence[range]) -> int:
    """How many tasks are in some of these ranges, each counted once.

    Raises:
        ValueError: Too many of them overlap.
    """
    single: list[range] = []  # of step one, joined: none overlaps another
    stepped = []
    for span in sorted(set(spans), key=lambda span: span.start):
        if span.step > 1 and len(span) > 1:
            stepped.append(span)
        elif single and span.start <= single[-1].stop:
            single[-1] = range(single[-1].start, max(single[-1].stop, span[-1] + 1))
        else:
            single.append(range(span.start, span[-1] + 1))
    by_start = sorted([*single, *stepped], key=lambda span: span.start)
    total, end, alone = 0, 0, True
    for span in by_start:
        alone = alone and span.start >= end
        total, end = total + len(span), max(end, span[-1] + 1)
    if alone:
        return total
    if sum(map(len, stepped)) > MOST_COUNTED:
        raise ValueError("its ranges of task numbers overlap too often")
    wanted = bytearray(end)
    for span in by_start:
        wanted[span.start : span.stop : span.step] = b"\1" * len(wanted[span.start : span.stop : span.step])
    return wanted.count(1)


def _spans(array_task: str) -> Iterator[range | None]:
    """The tasks that wait together, span by span; None where Slurm has cut the text short (SLURM_BITSTR_LEN).

    Args:
        array_task: As Slurm prints them: ``5-10%2``, ``1,3-9:2``, ``1,3,5,...``, ``1,3,400-4...``, where the last
            number may be the beginning of a larger one; ``""``: none.
    """
    text = array_task.partition("%")[0]
    whole = text.removesuffix("...")
    cut = whole != text
    parts = whole.split(",")
    for part in filter(None, parts[:-1] if cut else parts):
        try:
            yield _span(part)
        except ValueError:  # what one job's record says must not keep all others from being read
            cut = True
    if cut:
        yield None


def count_together(array_task: str) -> int | None:
    """How many tasks of an array wait together; None where Slurm has cut the text short."""
    count = 0
    for span in _spans(array_task):
        if span is None:
            return None
        count += len(span)
    return count


def among(task: int, array_task: str) -> bool:
    """Whether a task is one of those that wait together; where the text is cut short, any may be among the rest."""
    return any(span is None or task in span for span in _spans(array_task))


def tasks_of(array_task: str) -> set[int] | None:
    """Which tasks wait together; None where Slurm has cut the text short."""
    found: set[int] = set()
    for span in _spans(array_task):
        if span is None:
            return None
        found.update(span)
    return found


def fold_tasks(tasks: Iterable[int]) -> str:
    """Task numbers as Slurm writes them: ``1-3,7``; the opposite of parse_spans."""
    parts: list[list[int]] = []
    for task in sorted(set(tasks)):
        if parts and task == parts[-1][1] + 1:
            parts[-1][1] = task
        else:
            parts.append([task, task])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)

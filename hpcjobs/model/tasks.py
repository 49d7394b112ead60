"""How the tasks of an array add up to the array's own state. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hpcjobs.model.job import Fate, State

NOT_OVER: Final = (
    (State.RUNNING, State.RUNNING),
    (State.COMPLETING, State.RUNNING),
    (State.SUSPENDED, State.SUSPENDED),
    (State.PENDING, State.PENDING),
    (State.HELD, State.HELD),
    (State.UNKNOWN, State.UNKNOWN),
)
"""State of a task, and of the array that has one in it; the first that is found holds."""

WORST_FIRST: Final = (
    Fate.OUT_OF_MEMORY,
    Fate.NODE_FAIL,
    Fate.BOOT_FAIL,
    Fate.FAILED,
    Fate.TIMEOUT,
    Fate.DEADLINE,
    Fate.PREEMPTED,
    Fate.CANCELLED,
    Fate.COMPLETED,
)


def tally(tasks: Mapping[str, int], array_size: int) -> tuple[dict[str, int], State, Fate | None]:
    """Add up.

    Args:
        tasks: How many tasks are in each state, those that have ended under their fate.
        array_size: How many there are; those that are missing ended unseen and count as UNKNOWN.

    Returns:
        The counts without zeros, and the array's state and fate: the worst fate of its tasks.
    """
    counts = {word: count for word, count in tasks.items() if count}
    missing = array_size - sum(counts.values())
    if missing > 0:
        counts[State.UNKNOWN] = counts.get(State.UNKNOWN, 0) + missing
    state = next((shown for found, shown in NOT_OVER if counts.get(found)), State.FINISHED)
    fate = next((fate for fate in WORST_FIRST if counts.get(fate)), None) if state is State.FINISHED else None
    return counts, state, fate


def _spans(array_task: str) -> Iterator[range | None]:
    """The tasks that wait together, span by span; None where Slurm has cut the text short (SLURM_BITSTR_LEN).

    Args:
        array_task: As Slurm prints them: ``5-10%2``, ``1,3-9:2``, ``1,3,5,...``; ``""``: none.
    """
    for part in filter(None, array_task.partition("%")[0].split(",")):
        if part == "...":
            yield None
            return
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        yield range(int(first), int(last or first) + 1, int(step or 1))


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

"""How the tasks of an array add up to the array's own state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
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

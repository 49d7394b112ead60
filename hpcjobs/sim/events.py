"""What will happen, in the order of time."""

from __future__ import annotations

import heapq
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What happens; of what happens at one moment, the lower first."""

    ENDS = 0  # a job has done its work, or its limit is reached
    REPAIRED = 1  # a node is up again
    FAILS = 2  # a node fails
    ARRIVES = 3  # a job is submitted
    WAKES = 4  # something that was put off is due
    TICKS = 5  # policies are asked
    SAMPLED = 6  # the state is noted


class Happening(NamedTuple):
    """One thing that will happen.

    Attributes:
        at_s: When.
        kind: What.
        turn: Order among equals.
        subject: Number of the job, index of the node, or of the policy; 0 for none.
        generation: Of the job when this was foreseen; it does not happen if the job's has grown since.
    """

    at_s: float
    kind: Kind
    turn: int
    subject: int
    generation: int


_AWAITED = frozenset({Kind.REPAIRED, Kind.ARRIVES, Kind.WAKES})


class Agenda:
    """What will happen.

    Attributes:
        awaited: How much of it can bring jobs to run; ticks, samples and failures cannot, and go on for ever.
    """

    def __init__(self) -> None:
        self.awaited = 0
        self._heap: list[Happening] = []
        self._turn = 0
        self._wakes: set[float] = set()

    def add(self, at_s: float, kind: Kind, subject: int = 0, generation: int = 0) -> None:
        """Something will happen."""
        self._turn += 1
        self.awaited += kind in _AWAITED
        heapq.heappush(self._heap, Happening(at_s, kind, self._turn, subject, generation))

    def wake(self, at_s: float) -> None:
        """Something that was put off will be due."""
        if at_s not in self._wakes:
            self._wakes.add(at_s)
            self.add(at_s, Kind.WAKES)

    @property
    def next_s(self) -> float:
        """When the next thing happens; infinity: nothing does."""
        return self._heap[0].at_s if self._heap else float("inf")

    def due(self, now: float) -> Happening | None:
        """The next thing that happens at a moment, taken from the agenda; None: nothing more does."""
        if not self._heap or self._heap[0].at_s > now:
            return None
        thing = heapq.heappop(self._heap)
        self.awaited -= thing.kind in _AWAITED
        if thing.kind is Kind.WAKES:
            self._wakes.discard(thing.at_s)
        return thing

"""Which nodes are kept when: nodes that are booked as a whole, each from a time to a time, as often as one likes.

A table has a column for each node and as many rows as the node with the most bookings has had. So what is shut
between two times is found at the cost of a few rows, however many bookings there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Final

import numpy as np

from hpcjobs.sim.placed import Floats, Ints, Mask
from hpcjobs.sim.space import Kept

FOREVER: Final = np.inf


class Bookings:
    """What is booked.

    Attributes:
        kept: All of it, in no order.
        first_s: When the first booking begins; infinity: there is none.
    """

    def __init__(self, nodes: int) -> None:
        self.kept: list[Kept] = []
        self.first_s: float = FOREVER
        self._starts = np.full((0, nodes), FOREVER)
        self._ends = np.full((0, nodes), -FOREVER)
        self._count = np.zeros(nodes, dtype=np.int64)
        """Rows that each node has used, also those that a cancelled booking has left empty."""
        self._cells: list[tuple[Ints, Ints]] = []
        """Rows and columns of each booking."""
        self._own: set[int] = set()
        """Numbers of all jobs that have a booking."""
        self._over: list[float] = []
        """When bookings end, the first first."""

    def book(self, kept: Kept) -> None:
        """Keep nodes for some jobs."""
        nodes = np.fromiter(kept.indices, dtype=np.int64, count=len(kept.indices))
        rows = self._count[nodes]
        if rows.max(initial=-1) == len(self._starts):
            row = np.full((1, len(self._count)), FOREVER)
            self._starts, self._ends = np.concatenate((self._starts, row)), np.concatenate((self._ends, -row))
        self._starts[rows, nodes], self._ends[rows, nodes] = kept.start_s, kept.end_s
        self._count[nodes] += 1
        self.kept.append(kept)
        self._cells.append((rows, nodes))
        self._own.update(kept.jobs)
        insort(self._over, kept.end_s)
        self.first_s = min(self.first_s, kept.start_s)

    def cancel(self, kept: Kept) -> None:
        """Keep them no more.

        Raises:
            ValueError: It was not booked.
        """
        place = self.kept.index(kept)
        rows, nodes = self._cells[place]
        self._starts[rows, nodes], self._ends[rows, nodes] = FOREVER, -FOREVER
        self.kept[place], self._cells[place] = self.kept[-1], self._cells[-1]
        self.kept.pop()
        self._cells.pop()
        del self._over[bisect_left(self._over, kept.end_s)]
        self.first_s = min((one.start_s for one in self.kept), default=FOREVER)

    def has(self, number: int) -> bool:
        """Whether a job may have a booking: no is certain."""
        return number in self._own

    def over_after(self, at_s: float) -> float:
        """When the first booking ends after a time; infinity: none does."""
        place = bisect_right(self._over, at_s)
        return self._over[place] if place < len(self._over) else FOREVER

    def shut(self, number: int, start_s: float, end_s: float) -> Mask | None:
        """The nodes that are kept for others some time between two.

        Args:
            number: Of the job that asks.
            start_s: From when.
            end_s: Until when.

        Returns:
            Shape (nodes,); None: no node is.
        """
        cells = self._overlapping(number, start_s, end_s)
        return None if cells is None else np.logical_or.reduce(cells, axis=0)

    def shut_until(self, number: int, start_s: float, end_s: float) -> Floats | None:
        """When these nodes are kept for others no more, as far as what they are kept for between the two times goes.

        A job that would run from the first time to the other has none of these before.

        Returns:
            Seconds, minus infinity for nodes that are not shut; shape (nodes,). None: no node is.
        """
        cells = self._overlapping(number, start_s, end_s)
        return None if cells is None else np.where(cells, self._ends, -FOREVER).max(axis=0)

    def _overlapping(self, number: int, start_s: float, end_s: float) -> Mask | None:
        """Cells of the table with bookings of others between two times; None: there is none."""
        if self.first_s >= end_s or not self._over or self._over[-1] <= start_s:
            return None
        cells = (self._starts < end_s) & (self._ends > start_s)
        if number in self._own:
            for one, own in zip(self.kept, self._cells, strict=True):
                if number in one.jobs:
                    cells[own] = False
        return cells

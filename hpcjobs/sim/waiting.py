"""The queue: the jobs that may start, in order of priority points, then of submission."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import SimJob

Key = tuple[float, float, int]


class Queue:
    """Jobs that may start. Insertion and removal are searches in a sorted list."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._lives: dict[int, Life] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, life: Life) -> bool:
        return life.number in self._lives

    def __iter__(self) -> Iterator[Life]:
        return (self._lives[key[2]] for key in self._keys)

    @property
    def head(self) -> Life | None:
        """The first."""
        return self._lives[self._keys[0][2]] if self._keys else None

    def first(self, count: int | None) -> list[Life]:
        """The first so many; None: all."""
        lives = self._lives
        return [lives[key[2]] for key in self._keys[:count]]

    def place_of(self, life: Life) -> int:
        """How many are before one that is in it."""
        return bisect_left(self._keys, life.key)

    def add(self, life: Life) -> None:
        """One more may start."""
        self._lives[life.number] = life
        if not self._keys or self._keys[-1] < life.key:
            self._keys.append(life.key)
        else:
            insort(self._keys, life.key)

    def remove(self, life: Life) -> None:
        """One may start no more, or has."""
        del self._lives[life.number]
        del self._keys[bisect_left(self._keys, life.key)]

    def reorder(self, points: Iterable[tuple[Life, int]]) -> None:
        """Give some of its jobs other points of priority."""
        for life, value in points:
            self.remove(life)
            life.points = value
            self.add(life)


class Wanted:
    """What is wanted of one node by those that wait, also by those that may not start: a job of each need."""

    def __init__(self) -> None:
        self._needs: dict[Need, tuple[int, SimJob]] = {}

    def __iter__(self) -> Iterator[tuple[Need, SimJob]]:
        return ((need, job) for need, (_, job) in self._needs.items())

    def add(self, life: Life) -> None:
        """One more waits."""
        count, job = self._needs.get(life.need, (0, life.asked))
        self._needs[life.need] = count + 1, job

    def remove(self, life: Life) -> None:
        """One waits no more."""
        count, job = self._needs.pop(life.need)
        if count > 1:
            self._needs[life.need] = count - 1, job

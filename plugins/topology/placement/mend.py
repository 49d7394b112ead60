"""Making an order of ranks better: units are exchanged, and lines of them, as long as that helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final

from hpcjobs_plugins.topology.placement.choose import Place
from hpcjobs_plugins.topology.placement.cost import volumes
from hpcjobs_plugins.topology.placement.distance import UNREACHABLE, Distances
from hpcjobs_plugins.topology.placement.layout import Kind, Traffic
from hpcjobs_plugins.topology.placement.order import Unit
from hpcjobs_plugins.topology.placement.request import Objective, Request

MOST_STEPS: Final = 200_000
"""As many neighbours as are looked at in mending one order, some 0.05 s: a bound on time for large jobs."""

LEAST_GAIN: Final = 1e-10
"""What an exchange has to gain at least: less is rounding."""

Matrix = list[list[float]]
"""What one pair of ranks adds to the objective, by the cells of both."""


def matrices(
    request: Request, traffic: Sequence[Traffic], distances: Distances, chosen: Sequence[Place], objective: Objective
) -> dict[Kind, Matrix]:
    """One number for each pair of cells and kind, so that the least sum is best by an objective.

    What the objective names first outweighs everything after it: that comes to less than one hop of one pair. Rows and
    columns are the cells of the places, sorted.
    """
    cells = sorted({place.cell for place in chosen})
    between = {each.kind: sum(each.between.values()) for each in traffic}
    pairs = max(1, sum(between.values()))
    sent = volumes(request)
    most = max(1.0, sum(sent[kind] * count for kind, count in between.items())) * 2 * UNREACHABLE
    found: dict[Kind, Matrix] = {}
    for kind in between:
        matrix = found[kind] = [[0.0] * len(cells) for _ in cells]
        for (row, a), (column, b) in product(enumerate(cells), enumerate(cells)):
            span = distances.between(a, b)
            value = sent[kind] * (span.hops + span.shared) / most
            if objective is Objective.PIPELINE and kind is Kind.PIPELINE:
                value += span.hops
            if objective is Objective.DATA and kind is Kind.DATA:
                value += span.above * pairs + span.hops
            if kind is Kind.TENSOR:
                value += span.hops * pairs**2 * UNREACHABLE
            matrix[row][column] = value
    return found


class Mending:
    """Units on places, and what exchanging some of them would change."""

    def __init__(
        self,
        grid: Sequence[Unit],
        traffic: Sequence[Traffic],
        span: int,
        values: Mapping[Kind, Matrix],
        places: Sequence[Place],
    ) -> None:
        """Of a job.

        Args:
            grid: Its units.
            traffic: Of its nodes.
            span: Nodes of a unit.
            values: What a pair of ranks adds, by ``matrices`` of the same places.
            places: As many as there are units, or more: some are left over.
        """
        rows = {cell: row for row, cell in enumerate(sorted({place.cell for place in places}))}
        self._grid = grid
        self._cells = [rows[place.cell] for place in places]
        counts: Counter[tuple[int, int, Kind]] = Counter()
        for each in traffic:
            for (a, b), pairs in each.between.items():
                if a // span != b // span:
                    counts[a // span, b // span, each.kind] += pairs
        self._near: list[list[tuple[int, int, Matrix]]] = [[] for _ in places]
        for (a, b, kind), pairs in counts.items():
            self._near[a].append((b, pairs, values[kind]))
            self._near[b].append((a, pairs, values[kind]))
        self._steps = 0

    def mend(self, where: Sequence[int], steps: int = MOST_STEPS) -> list[int]:
        """A better order, or the same one where none is found.

        Args:
            where: Place of each unit.
            steps: Neighbours that are looked at, at most.
        """
        self._steps = steps
        mended = [*where, *sorted(set(range(len(self._cells))).difference(where))]
        while self._single(mended) | self._lines(mended) and self._steps > 0:
            pass
        return mended[: len(where)]

    def _of(self, unit: int, where: Sequence[int], cell: int) -> float:
        """What a unit would add if it were in a cell."""
        cells = self._cells
        return sum(pairs * matrix[cell][cells[where[other]]] for other, pairs, matrix in self._near[unit])

    def _single(self, where: list[int]) -> bool:
        """Exchange units with units of the cells that their neighbours are in; whether any were."""
        inside: list[set[int]] = [set() for _ in set(self._cells)]
        for unit, place in enumerate(where):
            inside[self._cells[place]].add(unit)
        found, again = False, True
        while again:
            again = False
            for unit in range(len(self._grid)):
                here = self._cells[where[unit]]
                targets = sorted({self._cells[where[other]] for other, _, _ in self._near[unit]} - {here})
                looks = len(targets) + 2 * sum(len(inside[cell]) for cell in targets)
                self._steps -= len(self._near[unit]) * looks
                if self._steps < 0:
                    return found
                other = self._partner(unit, where, [(cell, sorted(inside[cell])) for cell in targets])
                if other >= 0:
                    there = self._cells[where[other]]
                    where[unit], where[other] = where[other], where[unit]
                    inside[here] ^= {unit, other}
                    inside[there] ^= {unit, other}
                    found = again = True
        return found

    def _partner(self, a: int, where: list[int], targets: Sequence[tuple[int, Sequence[int]]]) -> int:
        """The unit that it helps most to exchange one with; -1: none."""
        here = self._cells[where[a]]
        now = self._of(a, where, here)
        best, most = -1, LEAST_GAIN
        for there, others in targets:
            gain = now - self._of(a, where, there)
            for b in others:
                was = self._of(b, where, there)
                if gain + was - self._of(b, where, here) <= most:
                    continue
                # Where both are neighbours it was counted as if they came together. They do not.
                where[a], where[b] = where[b], where[a]
                more = now + was - self._of(a, where, there) - self._of(b, where, here)
                where[a], where[b] = where[b], where[a]
                if more > most:
                    best, most = b, more
        return best

    def _lines(self, where: list[int]) -> bool:
        """Exchange lines of units, turn them, and move units along them; whether any were."""
        found = False
        for line, sources in _moves(self._grid):
            inside = set(line)
            self._steps -= 1 + 2 * sum(len(self._near[unit]) for unit in line)
            if self._steps < 0:
                break
            now = self._sum(line, inside, where)
            before = [where[unit] for unit in line]
            for unit, place in zip(line, [where[unit] for unit in sources], strict=True):
                where[unit] = place
            if now - self._sum(line, inside, where) > LEAST_GAIN:
                found = True
                continue
            for unit, place in zip(line, before, strict=True):
                where[unit] = place
        return found

    def _sum(self, line: Sequence[int], inside: set[int], where: Sequence[int]) -> float:
        """What units add, what is between two of them once."""
        cells = self._cells
        return sum(
            pairs * matrix[cells[where[unit]]][cells[where[other]]]
            for unit in line
            for other, pairs, matrix in self._near[unit]
            if other not in inside or unit < other
        )


def _moves(grid: Sequence[Unit]) -> Iterator[tuple[list[int], list[int]]]:
    """Units, and the units whose places they are to take: columns and stages of the grid, whole or along themselves."""
    columns: dict[int, list[int]] = {}
    stages: dict[int, list[int]] = {}
    for index, unit in enumerate(grid):
        columns.setdefault(unit.column, []).append(index)
        stages.setdefault(unit.stage, []).append(index)
    for lines in (list(columns.values()), list(stages.values())):
        for a, b in combinations(lines, 2):
            if len(a) == len(b):
                yield a + b, b + a
        for line in lines:
            yield line, line[::-1]
            for first in range(1, len(line)):
                yield line, line[first:] + line[:first]

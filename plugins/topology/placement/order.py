"""Which place holds which ranks.

Units (what a place holds: consecutive ranks) make a grid of data-parallel index and pipeline stage. The grid is cut
into tiles, tiles are put below leaves whole as long as they fit, and what is left of leaves is put together to hold the
rest in few pieces. A pipeline is a tile of one index and all stages, a ring one of all indices and one stage. Which is
best depends on the objective and on what the leaves have free, so all are tried, and the best few are mended (mend.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from hpcjobs_plugins.topology.placement.choose import Place
from hpcjobs_plugins.topology.placement.grouping import Path
from hpcjobs_plugins.topology.placement.request import Request


class Unit(NamedTuple):
    """What one place holds.

    Attributes:
        column: Data-parallel index of its first rank, counted in units.
        stage: Pipeline stage of its first rank.
    """

    column: int
    stage: int


def units(request: Request) -> list[Unit]:
    """The units of a job in the order of ranks."""
    size = max(request.gpus, request.tp)
    first = [divmod(rank // request.tp, request.dp) for rank in range(0, request.world, size)]
    columns = {dp: number for number, dp in enumerate(sorted({dp for _, dp in first}))}
    return [Unit(columns[dp], stage) for stage, dp in first]


def tiles(grid: Sequence[Unit]) -> list[tuple[int, int]]:
    """Shapes of tiles that a grid can be cut into evenly, as columns and stages."""
    columns = 1 + max(unit.column for unit in grid)
    stages = 1 + max(unit.stage for unit in grid)
    return [(a, b) for a, b in product(_divisors(columns), _divisors(stages))]


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def lines(grid: Sequence[Unit], shape: tuple[int, int]) -> Iterator[list[list[int]]]:
    """The tiles of a shape as lists of units, in the two orders that they can follow each other in."""
    columns, stages = shape
    found: dict[tuple[int, int], list[int]] = {}
    for index in sorted(range(len(grid)), key=lambda one: grid[one] if columns < stages else grid[one][::-1]):
        found.setdefault((grid[index].column // columns, grid[index].stage // stages), []).append(index)
    yield [found[key] for key in sorted(found)]
    yield [found[key] for key in sorted(found, key=lambda key: key[::-1])]


def packed(tiles: Sequence[Sequence[int]], chosen: Sequence[Place]) -> list[int]:
    """Put tiles on places: whole ones below a leaf first, the others on what is left, in few pieces, close together.

    Args:
        tiles: Units of each.
        chosen: As many places as there are units, sorted by path.

    Returns:
        For each unit the index of its place.
    """
    free: dict[Path, list[int]] = {}
    for index, place in enumerate(chosen):
        free.setdefault(place.path, []).append(index)
    where = [-1] * len(chosen)
    waiting = list(tiles)[::-1]

    def put(some: Sequence[int], path: Path) -> None:
        for unit in some:
            where[unit] = free[path].pop(0)

    for path in free:
        while waiting and len(waiting[-1]) <= len(free[path]):
            put(waiting.pop(), path)
    for size in range(len(chosen[0].path) - 1, -1, -1):
        parts: dict[Path, list[Path]] = {}
        for path in free:
            parts.setdefault(path[:size], []).append(path)
        for paths in parts.values():
            while waiting and len(waiting[-1]) <= sum(len(free[path]) for path in paths):
                tile = list(waiting.pop())
                for path in _pieces({path: len(free[path]) for path in paths if free[path]}, len(tile)):
                    put(tile[: len(free[path])], path) if len(free[path]) < len(tile) else put(tile, path)
                    tile = [unit for unit in tile if where[unit] < 0]
    return where


def _pieces(sizes: Mapping[Path, int], wanted: int) -> list[Path]:
    """Few parts that hold what is wanted together, exactly where two or three do."""
    paths = sorted(sizes, key=lambda path: (-sizes[path], path))
    for index, one in enumerate(paths):
        if sizes[one] == wanted:
            return [one]
        for second, other in enumerate(paths[index + 1 :], start=index + 2):
            left = wanted - sizes[one] - sizes[other]
            if left == 0:
                return sorted((one, other))
            if left > 0 and (third := next((path for path in paths[second:] if sizes[path] == left), None)):
                return sorted((one, other, third))
    found: list[Path] = []
    while wanted > 0:
        holding = [path for path in paths if sizes[path] >= wanted]
        found.append(holding[-1] if holding else paths[0])
        wanted -= sizes[found[-1]]
        paths.remove(found[-1])
    return sorted(found)

"""Which of the usable nodes a job takes.

A place is what is never cut: a node, or the nodes of one NVLink domain that a tensor group lies on. Places are taken
from the widest part of the fabric down: from the part that holds the job in the fewest leaf groups, and of these from
the one that it fills most; where none holds it, all of the largest one and the rest in the same way. Taken in multiples
(of a pipeline, a ring, a tile of both), whole lines of ranks fit below a leaf; that may take more leaf groups, and the
objective decides whether it is worth it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import lcm
from typing import NamedTuple

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.placement.distance import Cell, Distances
from hpcjobs_plugins.topology.placement.grouping import Path


class Place(NamedTuple):
    """Nodes that ranks lie on together, one after the other.

    Attributes:
        path: Of their cells (distance.Cell), which are of one leaf group and domain.
        cell: Index of the cell of the first one.
        nodes: Names.
    """

    path: Path
    cell: int
    nodes: tuple[str, ...]


def places(
    distances: Distances, usable: Iterable[str], span: int = 1, block: Callable[[Cell], Path | None] | None = None
) -> list[Place]:
    """Every place that the usable nodes make, close ones beside each other.

    Args:
        distances: That know the nodes.
        usable: Names.
        span: Nodes of a place; those of one that has several are of one NVLink domain.
        block: Says what a cell's block is, where only nodes of blocks can be used.
    """
    found: dict[Path, list[str]] = {}
    sizes = Counter(distances.cell[name] for name in usable)
    for name in sorted(usable, key=lambda name: (-sizes[distances.cell[name]], natural(name))):
        cell = distances.cells[distances.cell[name]]
        if (span == 1 or cell.domain) and (block is None or block(cell) is not None):
            found.setdefault(cell.path, []).append(name)
    return [
        Place(path, distances.cell[names[first]], tuple(names[first : first + span]))
        for path, names in sorted(found.items())
        for first in range(0, len(names) - span + 1, span)
    ]


def choose(
    every: Sequence[Place], wanted: int, multiple: int = 1, unit: int = 1, *, pods: bool = True
) -> list[Place] | None:
    """As many places as are wanted, from as few parts of the fabric as hold them.

    Args:
        every: Places that there are, sorted by path.
        wanted: How many; a multiple of ``unit``.
        multiple: Leaf groups and domains are asked for multiples of it, and only what is then wanting to the number
            is taken as it comes.
        unit: They give multiples of it in any case.
        pods: Whether few pods come before few leaf groups; else pods only decide between equal leaf groups.

    Returns:
        The places sorted by path; None where there are not enough.
    """
    bins: dict[Path, list[Place]] = {}
    for place in every:
        bins.setdefault(place.path, []).append(place)
    multiple = lcm(multiple, unit)
    taken: Counter[Path] = Counter()
    room = {path: len(found) // multiple * multiple for path, found in bins.items()}
    even = min(sum(room.values()), wanted) // multiple * multiple
    _take(room, list(bins), 0, even, taken, pods)
    rest = {path: (len(found) - taken[path]) // unit * unit for path, found in bins.items()}
    for size in range(len(every[0].path) - 2 if taken else 0, -1, -1):
        near = {path[:size] for path in taken}
        inside = [path for path in bins if path[:size] in near] if size else list(bins)
        if sum(rest[path] for path in inside) >= wanted - even:
            _take(rest, inside, 0, wanted - even, taken, pods)
            return [place for path, found in bins.items() for place in found[: taken[path]]]
    return None


def _take(
    room: Mapping[Path, int], paths: Sequence[Path], level: int, wanted: int, taken: Counter[Path], pods: bool
) -> None:
    """Take places from parts of the fabric that are told apart by one number of their paths, or are leaf groups."""
    if not wanted:
        return
    if len(paths) == 1:
        taken[paths[0]] += wanted
        return
    depth = len(paths[0])
    if level == 1 and not pods:
        level = depth - 2
    parts: dict[Path, list[Path]] = {}
    for path in paths:
        parts.setdefault(path[: level + 1], []).append(path)
    sizes = {part: sum(room[path] for path in found) for part, found in parts.items()}
    while wanted:
        here = {path[: depth - 2] for path, count in taken.items() if count}
        away = {part: level == depth - 2 and part[:level] not in here for part in sizes}
        fitting = [part for part, size in sizes.items() if size >= wanted]
        if fitting:
            needed = {part: _groups_needed(room, parts[part], wanted) for part in fitting}
            best = min(fitting, key=lambda part: (away[part], needed[part], sizes[part]))
        else:
            best = max(sizes, key=lambda part: (sizes[part], not away[part]))
        some = min(wanted, sizes.pop(best))
        _take(room, parts[best], level + 1, some, taken, pods)
        wanted -= some


def _groups_needed(room: Mapping[Path, int], paths: Sequence[Path], wanted: int) -> int:
    """In how many leaf groups a part of the fabric holds what is wanted."""
    sizes: Counter[Path] = Counter()
    for path in paths:
        sizes[path[:-1]] += room[path]
    held = list(accumulate(size for _, size in sizes.most_common()))
    return bisect_left(held, wanted) + 1

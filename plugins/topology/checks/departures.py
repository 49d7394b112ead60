"""Cables too few here and too many there, put together: which cable is in the wrong place, and where it belongs. Pure.

A cable in the wrong place is one fault and not two. Two cables that are crossed are one fault and not four.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Pair = tuple[str, str]
"""A lower thing and an upper one; for a stray cable both its switches."""


class Misplaced(NamedTuple):
    """A cable with one end in the wrong place.

    Attributes:
        stays: The end that is right.
        wrong: Where the other end is.
        right: Where it belongs.
    """

    stays: str
    wrong: str
    right: str


class Departures(NamedTuple):
    """What is wrong, each once.

    Attributes:
        upper_ends: Cables whose upper end is in the wrong place.
        lower_ends: Cables whose lower end is.
        crossed: Twos of cables as they are; with the upper ends exchanged they would be right.
        stray: Pairs of switches that should have no cable between them, with where it belongs if that is known.
        missing: Cables that are in no wrong place.
        extra: Cables that are missing nowhere.
    """

    upper_ends: list[Misplaced]
    lower_ends: list[Misplaced]
    crossed: list[tuple[Pair, Pair]]
    stray: dict[Pair, Misplaced | None]
    missing: Counter[Pair]
    extra: Counter[Pair]


def sort_out(too_few: Mapping[Pair, int], too_many: Mapping[Pair, int], stray: Iterable[Pair] = ()) -> Departures:
    """Put together what belongs together.

    Args:
        too_few: How many cables less than there should be, by lower and upper thing.
        too_many: How many more.
        stray: Pairs of switches between which there should be none at all.
    """
    missing, extra = Counter(dict(sorted(too_few.items()))), Counter(dict(sorted(too_many.items())))
    crossed = _crossed(missing, extra)
    upper_ends = _paired(missing, extra, end=0)
    lower_ends = _paired(missing, extra, end=1)
    found = Departures(upper_ends, lower_ends, crossed, {}, missing, extra)
    for one, other in stray:
        found.stray[one, other] = _belongs(missing, one, other) or _belongs(missing, other, one)
    return found


def _take(missing: Counter[Pair], extra: Counter[Pair], gone: Pair, there: Pair) -> None:
    for count, pair in ((missing, gone), (extra, there)):
        count[pair] -= 1
        if not count[pair]:
            del count[pair]


def _crossed(missing: Counter[Pair], extra: Counter[Pair]) -> list[tuple[Pair, Pair]]:
    """Lower things of which each has what the other lacks."""
    has: dict[str, list[str]] = defaultdict(list)
    for low, high in extra:
        has[low].append(high)
    exchanged: dict[Pair, list[str]] = defaultdict(list)
    for low, high in missing:
        for other in has[low]:
            exchanged[high, other].append(low)
    found: list[tuple[Pair, Pair]] = []
    for (high, other), lows in exchanged.items():
        if high > other:
            continue
        for one, two in zip(lows, exchanged.get((other, high), ()), strict=False):
            wanted, there = [(one, high), (two, other)], [(one, other), (two, high)]
            if all(missing[pair] for pair in wanted) and all(extra[pair] for pair in there):
                for gone, stands in zip(wanted, there, strict=True):
                    _take(missing, extra, gone, stands)
                found.append((there[0], there[1]))
    return found


def _paired(missing: Counter[Pair], extra: Counter[Pair], end: int) -> list[Misplaced]:
    """Cables of which the lower (0) or the upper (1) end is where it should be, and the other is not."""
    surplus: dict[str, list[str]] = defaultdict(list)
    for pair in extra.elements():
        surplus[pair[end]].append(pair[1 - end])
    found: list[Misplaced] = []
    for pair in list(missing.elements()):
        stays, right = pair[end], pair[1 - end]
        if surplus[stays]:
            wrong = surplus[stays].pop(0)
            _take(missing, extra, pair, (stays, wrong) if end == 0 else (wrong, stays))
            found.append(Misplaced(stays, wrong, right))
    return found


def _belongs(missing: Counter[Pair], stays: str, wrong: str) -> Misplaced | None:
    """Where a stray cable belongs if its one end stays; it is not missing there any more."""
    for pair in missing:
        if stays in pair:
            _take(missing, Counter({(stays, wrong): 1}), pair, (stays, wrong))
            return Misplaced(stays, wrong, pair[1] if pair[0] == stays else pair[0])
    return None

"""How much counters grew within an hour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

WINDOW_S = 3600.0
APART_S = 300.0


class Read(NamedTuple):
    """Counters as they were.

    Attributes:
        at: Unix seconds.
        values: By name.
    """

    at: float
    values: dict[str, int]


def grown(before: tuple[Read, ...], now: Read) -> dict[str, int]:
    """How much counters grew since the oldest look within the hour; one that began anew counts from 0.

    Args:
        before: Earlier looks, oldest first.
        now: The present one.
    """
    found = dict.fromkeys(now.values, 0)
    looks = (*before, now)
    for old, new in zip(looks, looks[1:]):
        for name, value in new.values.items():
            if name in old.values and name in found:
                grew = value - old.values[name]
                found[name] += grew if grew >= 0 else value
    return found


def kept(before: tuple[Read, ...], now: Read) -> tuple[Read, ...]:
    """What to remember: a look each five minutes, of the last hour, and the one that the hour begins with.

    Args:
        before: Earlier looks, oldest first.
        now: The present one.
    """
    if before and 0 <= now.at - before[-1].at < APART_S:
        return before
    looks = (*(one for one in before if one.at <= now.at), now)
    begins = max((place for place, one in enumerate(looks) if one.at <= now.at - WINDOW_S), default=0)
    return looks[begins:]


def decode(told: object) -> tuple[Read, ...]:
    """What was written.

    Args:
        told: What ``encode`` made; anything else is nothing.
    """
    looks = told if isinstance(told, list) else []
    return tuple(Read(at, values) for at, values in looks)


def too_much(found: Mapping[str, int], limits: Mapping[str, float]) -> list[str]:
    """Names of counters that grew more than they may.

    Args:
        found: How much each grew.
        limits: How much that may be, by name.
    """
    return [name for name, limit in limits.items() if found.get(name, 0) > limit]

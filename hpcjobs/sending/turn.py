"""What an alert has to tell, of what it knew and what it finds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from hpcjobs.model.alert import Fact


class Found(NamedTuple):
    """How one thing stands now.

    Attributes:
        fact: What would be told of it; its ``since`` is when it was found to be so, where data do not say it earlier.
        holds: Whether it is so; None: that is not known now.
    """

    fact: Fact
    holds: bool | None


class Watched(msgspec.Struct, frozen=True):
    """One thing that is so, as it is kept.

    Attributes:
        fact: As it was found first, or as it was told.
        told: Whether it has been told.
    """

    fact: Fact
    told: bool


class Turn(NamedTuple):
    """What is to be changed of what is kept.

    Attributes:
        new: What is so and was not, and is not told yet.
        begun: What has been so for long enough: it is told.
        over: What was told and is no longer so: it is told.
        forgotten: What is no longer so and was never told.
    """

    new: tuple[Fact, ...] = ()
    begun: tuple[Fact, ...] = ()
    over: tuple[Fact, ...] = ()
    forgotten: tuple[str, ...] = ()


def turn(known: Mapping[str, Watched], found: Iterable[Found], for_s: float, now: float) -> Turn:
    """Compare.

    What is not known stays as it was, and what is not found any more is over.

    Args:
        known: What is kept, by what it is about.
        found: How everything stands.
        for_s: How long it must be so before it is told.
        now: Unix seconds.
    """
    new, begun, over, forgotten = [], [], [], []
    left = dict(known)
    for fact, holds in found:
        kept = left.pop(fact.about, None)
        if holds:
            since = min(fact.since, kept.fact.since) if kept else fact.since
            if kept is None and now - since < for_s:
                new.append(fact)
            elif (kept is None or not kept.told) and now - since >= for_s:
                begun.append(msgspec.structs.replace(fact, since=since))
        elif holds is False and kept is not None:
            left[fact.about] = kept
    for about, kept in left.items():
        if kept.told:
            over.append(kept.fact)
        else:
            forgotten.append(about)
    return Turn(tuple(new), tuple(begun), tuple(over), tuple(forgotten))

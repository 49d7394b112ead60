"""What is to be done with one value that policies change, of a job or of a node. Pure.

A value that somebody else has set since is from then on the value that policies build on: people have the last word on
what a thing is without policies. A row is written before its order is sent, and says what was, what shall be, and each
that it may still have because no listing has shown what came of the orders before; so whatever is killed when, the next
listing tells which of them is so. A row is forgotten when a listing that is younger than the last order has shown that
all is as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.steered import Key, Steered, Value

MOST_OPEN: Final = 8
"""So many orders are remembered of which nobody knows what came of them."""


class Settled(NamedTuple):
    """What is to be done.

    Attributes:
        row: Written before anything is ordered; None: what is written stands.
        ordered: The value to be ordered; None: none.
        forgotten: Whether the row can go: a listing has shown that all is as it was.
    """

    row: Steered | None = None
    ordered: Value | None = None
    forgotten: bool = False


def base_of(row: Steered | None, is_so: Value) -> Value:
    """What a value is without policies: what it was before them, or what somebody else has set since.

    Args:
        row: What policies have changed of it.
        is_so: As it is listed.
    """
    ours = row is not None and is_so in (row.value, row.base, *row.was)
    return row.base if row is not None and ours else is_so


def settle(
    key: Key,
    row: Steered | None,
    is_so: Value,
    wished: Callable[[Value], Value | None],
    asked_at: float,
    now: float,
    base: Value | None = None,
) -> Settled:
    """Compare.

    Args:
        key: Of what.
        row: What has been changed of it.
        is_so: Its value in the listing.
        wished: Its value as policies want it, by the value that it has without them; None: none of them wants it.
        asked_at: Unix seconds when the listing was asked for.
        now: Unix seconds.
        base: What it is to be without policies from now on; None: as ``base_of`` says.
    """
    if row is not None and asked_at <= row.at:
        return Settled()  # the listing is older than the order
    if base is None:
        base = base_of(row, is_so)
    wanted = wished(base)
    if wanted is None and base == is_so and (row is None or row.value == base):
        return Settled(forgotten=row is not None)
    target = base if wanted is None else wanted
    late = row is not None and row.value != target  # the last order may have come after the listing
    ordered = target if target != is_so or late else None
    if ordered is None and row is not None and row.base == base:
        through = row.value == is_so and not {*row.was} <= {base, is_so}
        return Settled(msgspec.structs.replace(row, was=(is_so,)) if through else None)
    is_open = () if row is None or row.value == is_so else (*row.was, row.value)
    was = tuple(dict.fromkeys((*is_open, is_so)))[-MOST_OPEN:]
    return Settled(Steered(key, base, target, was, now), ordered)

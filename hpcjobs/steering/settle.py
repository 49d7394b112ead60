"""What is to be done with one value that policies change, of a job or of a node. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hpcjobs.model.steered import Key, Steered, Value


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
    key: Key, row: Steered | None, is_so: Value, wished: Callable[[Value], Value | None], asked_at: float, now: float
) -> Settled:
    """Compare.

    Args:
        key: Of what.
        row: What has been changed of it.
        is_so: Its value in the listing.
        wished: Its value as policies want it, by the value that it has without them; None: none of them wants it.
        asked_at: Unix seconds when the listing was asked for.
        now: Unix seconds.
    """
    if row is not None and asked_at <= row.at:
        return Settled()  # the listing is older than the order
    base = base_of(row, is_so)
    wanted = wished(base)
    if wanted is None and (row is None or row.value == base == is_so):
        return Settled(forgotten=row is not None)
    target = base if wanted is None else wanted
    written = None
    if row is None or (row.base, row.value) != (base, target):
        # The last order may have been lost, or come after the listing: it may be as it is listed, or as was ordered.
        was = (is_so,) if row is None or row.value == is_so else (is_so, row.value)
        written = Steered(key, base, target, was, now)
    late = row is not None and row.value != target  # the last order may have come after the listing
    return Settled(written, target if target != is_so or late else None)

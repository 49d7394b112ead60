"""What stands in Slurm because a policy wishes it, so that it can be taken back."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

Value = int | str
"""Numbers as they are, names joined with commas, a hold as 1 or 0."""


class Key(NamedTuple):
    """What a value belongs to.

    Attributes:
        kind: ``job``, ``node`` or ``reservation``.
        subject: Our id of the job, or the name of the node or reservation.
        field: As ``nice``.
    """

    kind: str
    subject: str
    field: str


class Steered(msgspec.Struct, frozen=True):
    """One value that was changed.

    Attributes:
        key: Of what.
        base: As it was before, or as somebody else has set it since.
        value: As policies want it.
        was: Each that it may still have, because no order for ``value`` has come through.
        at: Unix seconds when its order was begun, or done where that is known: an older listing tells nothing of it.
    """

    key: Key
    base: Value
    value: Value
    was: tuple[Value, ...]
    at: float

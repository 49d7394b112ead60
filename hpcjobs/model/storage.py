"""How much of file systems a project uses."""

from __future__ import annotations

import msgspec


class Measured(msgspec.Struct, frozen=True):
    """What came of measuring a project's files once.

    Attributes:
        at: Unix seconds.
        used_bytes: What is allocated to them; None: that could not be found.
        why: Why not, for a person.
    """

    at: float
    used_bytes: int | None
    why: str = ""


class StorageState(msgspec.Struct, frozen=True):
    """How a project's quota of bytes stands.

    Attributes:
        used_bytes: As last measured; None: it never was.
        measured_at: Unix seconds of that; None: never.
        left_bytes: Until the hard bound, never less than 0; None: it has none, or nothing is known.
        soft_passed: Whether it is told.
        hard_passed: Whether nothing new is submitted. Neither is, where the measurement is too old to be believed.
        rate_bytes: Bytes a day of late; None: there are no two measurements an hour or more apart.
        exhausted_at: Unix seconds when at that rate nothing is left; None: not in ten years, or nothing is known.
        why: Why nothing is known, or nothing newer; ``""``: it is as it should be.
    """

    used_bytes: int | None
    measured_at: float | None
    left_bytes: int | None
    soft_passed: bool
    hard_passed: bool
    rate_bytes: float | None
    exhausted_at: int | None
    why: str

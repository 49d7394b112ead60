"""Numbers as Slurm's commands write them: ``2G``, ``1.50G``, ``900M``; and what Slurm counts with. Pure."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024
"""Bytes of a mebibyte."""

NO_VAL: Final = 0xFFFF_FFFE
"""Slurm's number for "not set" of 32 bits (slurm.h); one more is "without limit"."""

NO_VAL16: Final = 0xFFFE
"""The same of 16 bits."""

UNITS: Final = ("", "K", "M", "G", "T", "P")
MEGA: Final = 2
"""Where mebibytes stand among the units."""


def amount_text(amount: float, unit: int = 0, *, into: str = "", convert: bool = True, step: int = 512) -> str:
    """A number with a unit: the largest that leaves it a multiple of a half, unless one is named.

    Args:
        amount: How many.
        unit: Of which unit, counted in thousands of 1024: 2 is M.
        into: The unit in which it is written, ``K`` to ``P``; ``""``: see ``convert``.
        convert: Whether a larger unit may be chosen.
        step: Of what it has to be a multiple for that; 1024: where nothing is left over, as sinfo has it.
    """
    if not int(amount):
        return "0"
    if into:
        wanted = UNITS.index(into)
        amount, unit = amount * 1024.0 ** (unit - wanted), wanted
    else:
        while convert and amount >= 1024 and int(amount) % step == 0 and unit + 1 < len(UNITS):
            amount /= 1024
            unit += 1
    number = f"{int(amount)}" if amount == int(amount) else f"{amount:.2f}"
    return number + UNITS[unit]

"""What to make of an order that Slurm carried out for some of a job's parts and not for others."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hpcjobs.errors import HpcjobsError
from hpcjobs.slurm.errnos import NO_LONGER, error_of


class Part(msgspec.Struct, frozen=True):
    """What Slurm said of one part (a task of an array, a component of a heterogeneous job).

    Attributes:
        name: As ``12_[1-3]``.
        errno: Slurm's number; 0: it was done.
        message: Slurm's words.
    """

    name: str
    errno: int
    message: str = ""


def verdict(parts: Sequence[Part], *, others_done: bool = False) -> HpcjobsError | None:
    """Judge an order by its parts.

    A part that had already ended does not spoil what was done to the others: whoever cancels an array means what is
    left of it. Any other fault is told, even where some parts were done.

    Args:
        parts: What Slurm said of each.
        others_done: Whether there are parts that Slurm did not mention because nothing was wrong with them.

    Returns:
        The error to raise, or None.
    """
    faults = [part for part in parts if part.errno]
    if not faults:
        return None
    done = others_done or len(faults) < len(parts)
    worst = next((part for part in faults if part.errno not in NO_LONGER), None)
    if worst is None:
        if done:
            return None
        worst = faults[0]
    where = f"{worst.name}: " if worst.name and len(parts) > 1 else ""
    return error_of(worst.errno, f"{where}{worst.message}", changing=True)

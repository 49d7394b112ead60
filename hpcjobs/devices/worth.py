"""What one device of one of Slurm's types is in whole accelerators. Pure.

Slices of NVIDIA's GPUs are named by their profile, ``1g.5gb``: ``N`` of seven slices of the compute units (NVIDIA,
"MIG User Guide", "Supported MIG Profiles"), of four on A30 and RTX PRO 6000. Slurm's types are that, alone or behind
the model (gres.conf(5), AutoDetect): ``a100_1g.5gb``. Partitions of AMD's MI300 are halves, quarters and eighths (AMD,
"MI300X compute partitioning": DPX, QPX, CPX).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_MIG: Final = re.compile(r"(?:^|.*[_\-.:])(\d)g\.(\d+)gb(?:[+.](?:me|gfx|all)(?:[._]?\d*)?)*$", re.IGNORECASE)
_OF_FOUR: Final = frozenset({("1", "6"), ("2", "12"), ("4", "24")})
"""Profiles that only A30 has, in compute slices and GB."""
_FOUR: Final = re.compile(r"a30|rtx", re.IGNORECASE)
_AMD: Final = re.compile(r"mi\d+\w*[_\-](spx|dpx|qpx|cpx)", re.IGNORECASE)
_PARTS: Final = {"spx": 1, "dpx": 2, "qpx": 4, "cpx": 8}


@lru_cache(maxsize=1_000)
def worth(kind: str) -> Fraction:
    """What one device of a type is in whole accelerators.

    Args:
        kind: Slurm's type; ``""``: not known.

    Returns:
        1 for whatever is not known to be a slice.
    """
    if mig := _MIG.match(kind):
        of = 4 if mig.groups() in _OF_FOUR or _FOUR.search(kind) else 7
        return min(Fraction(int(mig[1]), of), Fraction(1))
    if amd := _AMD.search(kind):
        return Fraction(1, _PARTS[amd[1].lower()])
    return Fraction(1)


def is_slice(kind: str) -> bool:
    """Whether a type is a slice of an accelerator."""
    return worth(kind) < 1 or _MIG.match(kind) is not None

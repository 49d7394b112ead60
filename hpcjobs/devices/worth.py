"""What one device of one of Slurm's types is in whole accelerators. Pure, but for reading the families once.

What partitions the families tell (``Model.partitions``) are types as ``mi300x_cpx``: the model, and its profile. Slices
of NVIDIA's GPUs are told by their profile alone, too, ``1g.5gb``: ``N`` of seven slices of the compute units (NVIDIA,
"MIG User Guide", "Supported MIG Profiles"), of four on A30 and RTX PRO 6000; so slurmd names them (gres.conf(5),
AutoDetect), alone or behind a model that no family has.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache, lru_cache
from typing import Final

from hpcjobs.devices.family import families

_MIG: Final = re.compile(r"(?:^|.*[_\-.:])(\d)g\.(\d+)gb(?:[+.](?:me|gfx|all)(?:[._]?\d*)?)*$", re.IGNORECASE)
_OF_FOUR: Final = frozenset({("1", "6"), ("2", "12"), ("4", "24")})
"""Profiles that only A30 has, in compute slices and GB."""
_FOUR: Final = re.compile(r"a30|rtx", re.IGNORECASE)


@lru_cache(maxsize=1_000)
def worth(kind: str) -> Fraction:
    """What one device of a type is in whole accelerators.

    Args:
        kind: Slurm's type; ``""``: not known.

    Returns:
        1 for whatever is not known to be a slice.
    """
    if told := _told().get(_plain(kind)):
        return told
    if mig := _MIG.match(kind):
        of = 4 if mig.groups() in _OF_FOUR or _FOUR.search(kind) else 7
        return min(Fraction(int(mig[1]), of), Fraction(1))
    return Fraction(1)


def is_slice(kind: str) -> bool:
    """Whether a type is a slice of an accelerator."""
    return _plain(kind) in _told() or _MIG.match(kind) is not None


def whole_of(kind: str) -> str:
    """The accelerator of which a type is a slice: ``a100`` of ``a100_1g.5gb``.

    Returns:
        ``""`` where it is no slice, or does not say of what.
    """
    profile = _profiles().get(_plain(kind))
    if profile is None and (mig := _MIG.match(kind)):
        profile = kind[mig.start(1) :]
    return "" if profile is None else kind[: len(kind) - len(profile)].rstrip("_-.:")


def _plain(kind: str) -> str:
    return kind.lower().replace("-", "_")


@cache
def _told() -> dict[str, Fraction]:
    models = (model for family in families().values() for model in family.models)
    return {_plain(f"{one.name}_{name}"): Fraction(*part) for one in models for name, part in one.partitions.items()}


@cache
def _profiles() -> dict[str, str]:
    models = (model for family in families().values() for model in family.models)
    return {_plain(f"{one.name}_{name}"): name for one in models for name in one.partitions}

"""What a check is told beside its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PERIODIC, PROLOG, EPILOG, FORGET = "periodic", "prolog", "epilog", "forget"


class Call(NamedTuple):
    """One time that a node is looked at.

    Attributes:
        mode: periodic, prolog or epilog; forget: what it found until now counts no more.
        environ: Variables, of Slurm.
        now: Unix seconds.
        kept: What the check remembers of earlier times in this boot; it may change it.
    """

    mode: str
    environ: Mapping[str, str]
    now: float
    kept: dict[str, Any]

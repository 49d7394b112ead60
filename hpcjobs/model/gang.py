"""Several jobs that start together, as they were submitted."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hpcjobs.model.job import Job


class GangWay(StrEnum):
    """How a gang is kept together."""

    HET = "het"
    """It is one heterogeneous job: Slurm starts and ends its components together."""
    HELD = "held"
    """It is jobs of their own that wait for each other: policy gang starts them together."""


class Gang(msgspec.Struct, frozen=True):
    """A gang.

    Attributes:
        name: Of the heterogeneous job, or of the gang that the members name in their hints.
        way: How it is kept together.
        why: Why in this way, a sentence.
        jobs: The heterogeneous job, or the members in the order in which they were asked for.
    """

    name: str
    way: GangWay
    why: str
    jobs: tuple[Job, ...]

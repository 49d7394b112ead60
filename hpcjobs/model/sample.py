"""What the devices of a node did, five minutes at a time: what a node tells the service."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

BUCKET_S: Final = 300
MOST_DEVICES: Final = 20_000
"""How many lines one message may have."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=BUCKET_S)]
Word = Annotated[str, msgspec.Meta(max_length=128)]


class DeviceSample(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one device did in five minutes, or in those of them in which one job had it.

    The time of a device that several jobs share is divided evenly among them.

    Attributes:
        device: Its UUID, or index where it has none; of a slice with ``/`` and which one it is.
        model: As its maker calls it; ``""``: not told.
        profile: Of a slice its profile, ``1g.5gb``; ``""``: it is whole.
        bucket: First second of the five minutes, Unix; a multiple of 300.
        slurm_job_id: Whose it was; None: no job's, or the node could not say.
        samples: How often it was looked at.
        covered_s: Seconds for which it is known how busy it was.
        busy_s: Of these, how many it was busy: utilisation x time.
        mem_max_bytes: Most memory that was in use; None: not measured.
        energy_j: Joules meanwhile; None: not measured.
    """

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    model: Word = ""
    profile: Word = ""
    bucket: Annotated[int, msgspec.Meta(ge=0, le=2**40, multiple_of=BUCKET_S)]
    slurm_job_id: Annotated[int, msgspec.Meta(ge=1, le=2**40)] | None = None
    samples: Annotated[int, msgspec.Meta(ge=1, le=10**6)]
    covered_s: Seconds
    busy_s: Seconds
    mem_max_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None
    energy_j: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None


class NodeSamples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the devices of one node did.

    Attributes:
        devices: Five minutes of each device and job a line.
    """

    devices: Annotated[tuple[DeviceSample, ...], msgspec.Meta(max_length=MOST_DEVICES)]


class SamplesKept(msgspec.Struct, frozen=True):
    """What became of samples that a node told.

    Attributes:
        kept: How many are kept now; those that were there before are replaced.
        too_old: How many were left out, because single samples of that time are no longer kept.
    """

    kept: int
    too_old: int

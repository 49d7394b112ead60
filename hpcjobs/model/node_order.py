"""What can be asked of nodes."""

from __future__ import annotations

import re
from typing import Final

import msgspec

FEATURE: Final = re.compile(r"[^\s,&|*()\[\]\"'\\\x00-\x1f\x7f]{1,255}")
"""What can be one feature; scontrol would read a comma or a blank as the beginning of the next."""


class NodeOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of nodes, the same of each; what is None stays as it is. Same as ``scontrol update node``.

    Slurm lets administrators only change nodes (scontrol(1); operators are refused). Weight and features hold until
    slurmctld reads its configuration again: after ``scontrol reconfigure`` (seen on 26.05 and 24.11) and a restart they
    are those of slurm.conf, so whoever wants them to last repeats the order. Drained nodes stay drained. Neither weight
    nor features change a node's state. Where one name is unknown, Slurm refuses, and may have changed the nodes before
    it; where a state is refused, nothing of that node was changed.

    Attributes:
        nodes: Names, at least one.
        weight: Of the free nodes that fit, Slurm takes those of less weight first; same as Weight.
        features: The whole new list, which takes the place of what they have; same as AvailableFeatures and, because
            Slurm refuses active features that are not available, ActiveFeatures. ``()`` takes all of them away.
        drain: They take no new jobs, for this reason; what runs there runs on. Same as State=DRAIN.
        resume: They take jobs again; same as State=RESUME, which only what is drained or down can be told (Conflict
            else). For a moment, until they have answered, they count as not responding. Not together with ``drain``.
    """

    nodes: tuple[str, ...]
    weight: int | None = None
    features: tuple[str, ...] | None = None
    drain: str | None = None
    resume: bool = False

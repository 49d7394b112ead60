"""What can be asked of nodes."""

from __future__ import annotations

import msgspec


class NodeOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of nodes, the same of each; what is None stays as it is. Same as ``scontrol update node``.

    Slurm lets administrators only change nodes (scontrol(1); operators are refused). What is set here holds until
    slurmctld reads its configuration again: at a restart and at ``scontrol reconfigure`` weight and features are those
    of slurm.conf again, so whoever wants them to last repeats the order. Drained nodes stay drained. Where one name is
    unknown, Slurm refuses, and may have changed the nodes before it.

    Attributes:
        nodes: Names, at least one.
        weight: Of the free nodes that fit, Slurm takes those of less weight first; same as Weight.
        features: The whole new list, which takes the place of what they have; same as AvailableFeatures and, because
            Slurm refuses active features that are not available, ActiveFeatures. ``()`` takes all of them away.
        drain: They take no new jobs, for this reason; what runs there runs on. Same as State=DRAIN.
        resume: They take jobs again; same as State=RESUME. Not together with ``drain``.
    """

    nodes: tuple[str, ...]
    weight: int | None = None
    features: tuple[str, ...] | None = None
    drain: str | None = None
    resume: bool = False

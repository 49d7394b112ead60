"""Policies as people see them: what each wants of a cluster now, and how it fares."""

from __future__ import annotations

import msgspec

from hpcjobs.model.steering import Action


class PolicyInfo(msgspec.Struct, frozen=True):
    """One policy on one cluster.

    Attributes:
        name: Of its plugin.
        dry_run: Whether what it wants is only told and not done.
        ticked_at: Unix seconds of its last tick; None: it has not ticked yet.
        took_s: How long that took, in seconds, with the time that its turn had to come.
        failed: Why its last tick failed, or ``""``; what it wanted before still holds.
        actions: What it wants: wishes, and acts of its last tick.
    """

    name: str
    dry_run: bool
    ticked_at: float | None
    took_s: float
    failed: str
    actions: tuple[Action, ...]


class Trouble(msgspec.Struct, frozen=True):
    """What cannot be made to stand as policies want it.

    Attributes:
        of: As ``job 123`` or ``weight of nodes``.
        detail: Why, in Slurm's words or ours.
        retry_at: Unix seconds when it is tried again.
    """

    of: str
    detail: str
    retry_at: float


class PolicyReport(msgspec.Struct, frozen=True):
    """All policies on one cluster.

    Attributes:
        cluster: Its name.
        generation: The generation of plugins that they are of.
        policies: In the order in which they are asked.
        steered_jobs: How many jobs stand otherwise than they were asked for.
        steered_nodes: How many nodes stand otherwise than they are configured.
        reservations: Those that policies have made.
        troubles: What could not be done.
    """

    cluster: str
    generation: int
    policies: tuple[PolicyInfo, ...]
    steered_jobs: int
    steered_nodes: int = 0
    reservations: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()

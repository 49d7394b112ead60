"""Suspect nodes: taken last, kept from large jobs, and in the end drained.

Which they are is one judgement of the house (``hpcjobs.recovery.lemons``, docs/LEMONS.md); this says what follows. One
failure of a node ends a large job, and the chance that one of its nodes fails grows with their number; a small job
loses little there.

What it does to Slurm: Weight of nodes, ExcNodeList of large jobs, and where ``drain`` is set, draining. When not to
use it: with tree or block topology where placement by topology matters more (a Weight overrides it): set ``weight``
to 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Action, Avoid, Drain, Weigh
from hpcjobs.model.suspicion import Standing, Suspicion
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import waiting

Points = Annotated[float, msgspec.Meta(gt=0)]


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        suspect_at: A node with so many points is suspect, whatever chance says; None: as the house judges.
        weight: Added to the Weight of a suspect node; 0: its Weight stays.
        large_nodes: A job of so many nodes or more does not start on suspect nodes.
        drain: Whether lemons are drained.
        drain_at: A node with so many points is drained, too; None: lemons only.
        most_drained: Share of the nodes, from 0 to 1, that may be out of use before none is drained any more.
    """

    suspect_at: Points | None = None
    weight: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 1000
    large_nodes: Annotated[int, msgspec.Meta(ge=2)] = 8
    drain: bool = False
    drain_at: Points | None = None
    most_drained: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    found = [one for name, one in view.suspicions.items() if name in view.nodes]
    bad = (Standing.SUSPECT, Standing.LEMON)
    suspect = tuple(sorted(one.node for one in found if _is_at(one, settings.suspect_at) or one.standing in bad))
    if suspect and settings.weight:
        yield Weigh(suspect, settings.weight, "Jobs failed there: they are taken last.")
    for job, avoid in _avoidable(settings, suspect, view) if suspect else ():
        yield Avoid(job.slurm_job_id, avoid, f"Jobs failed there, and one bad node ends a job of {job.nodes}.")
    if settings.drain:
        worst = [one for one in found if _is_at(one, settings.drain_at) or one.standing is Standing.LEMON]
        yield from _drained(settings.most_drained, view, worst)


def _is_at(one: Suspicion, points: float | None) -> bool:
    return points is not None and one.points >= points


def _avoidable(
    settings: Settings, suspect: tuple[str, ...], view: ClusterView
) -> Iterator[tuple[JobRecord, tuple[str, ...]]]:
    """The large jobs with those of the suspect nodes that each can do without; none where all others are too few.

    Slurm sets the priority of a job that it cannot place anywhere to zero (BadConstraints). Members of a
    gang start on the nodes that policy gang keeps for them: that chooses others than those that failed itself.
    """
    bad, found = {*suspect}, dict[Hashable, tuple[tuple[str, ...], int]]()
    for job, hints in waiting(view):
        ask = ask_of(job, view) if job.nodes >= settings.large_nodes and hints.gang_size < 2 else None
        if ask is None:
            continue
        if ask.kind not in found:
            good = {name for name, node in view.nodes.items() if ask.fits(node)}
            found[ask.kind] = tuple(sorted(good & bad)), len(good - bad)
        avoid, others = found[ask.kind]
        if avoid and others >= ask.nodes:
            yield job, avoid


def _drained(most: float, view: ClusterView, worst: list[Suspicion]) -> Iterator[Drain]:
    """The worst nodes that are in use, as long as not too many are out of it. What is out of use has its reason."""
    room = int(most * len(view.nodes)) - sum(not node.usable for node in view.nodes.values())
    usable = sorted((one.chance, -one.points, one.node) for one in worst if view.nodes[one.node].usable)
    for _, points, name in usable[: max(0, room)]:
        expected = view.suspicions[name].expected
        yield Drain((name,), f"hpcjobs: lemon, {-points:.1f} points where {expected:.1f} are expected")


PLUGIN = policy("suspect", Settings, tick)

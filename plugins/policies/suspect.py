"""Suspect nodes: taken last, kept from large jobs, and in the end drained.

A node is suspect where it failed under jobs lately, and where jobs ended badly while jobs of other users did too, as
far as Slurm lists them. One failure of a node ends a large job, and the chance that one of its
nodes fails grows with their number; a small job loses little there.

What it does to Slurm: Weight of nodes, ExcNodeList of large jobs, and where ``drain_at`` is set, draining. When not to
use it: with tree or block topology where placement by topology matters more (a Weight overrides it): set ``weight``
to 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Annotated, Final

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, JobRecord
from hpcjobs.model.steering import Action, Avoid, Drain, Weigh
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import failures_of, waiting

BAD_ENDS: Final = frozenset({Fate.FAILED, Fate.NODE_FAIL, Fate.BOOT_FAIL})
NODE_FAILED: Final = 2.0
"""Points of suspicion for a job that Slurm took from a node because it failed."""
ENDED_BADLY: Final = 1.0
"""Points for each user, beyond the first, whose jobs ended badly there: one user's script is no fault of a node."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        suspect_at: Points of suspicion from which a node is suspect.
        weight: Added to the Weight of a suspect node; 0: its Weight stays.
        large_nodes: A job of so many nodes or more does not start on suspect nodes.
        drain_at: Points from which a node is drained; None: never.
        memory_s: How long a failure of a node counts, in seconds; as long as events are kept at the most.
        most_drained: Share of the nodes, from 0 to 1, that may be out of use before none is drained any more.
    """

    suspect_at: Annotated[float, msgspec.Meta(gt=0)] = 4.0
    weight: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 1000
    large_nodes: Annotated[int, msgspec.Meta(ge=2)] = 8
    drain_at: Annotated[float, msgspec.Meta(gt=0)] | None = None
    memory_s: Annotated[float, msgspec.Meta(ge=0)] = 7 * 86_400.0
    most_drained: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05


def suspicion(settings: Settings, view: ClusterView, now: float) -> dict[str, float]:
    """Points of suspicion by name of node; those with none are left out."""
    points = {name: NODE_FAILED * count for name, count in failures_of(view, settings.memory_s, now).items()}
    users: dict[str, set[str]] = {}
    for job in view.jobs.values():
        if job.fate in BAD_ENDS and job.nodes == 1 and job.node_list:
            users.setdefault(job.node_list, set()).add(job.user)
    for name, several in users.items():
        if len(several) > 1 and name in view.nodes:
            points[name] = points.get(name, 0.0) + ENDED_BADLY * (len(several) - 1)
    return points


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    points = suspicion(settings, view, now)
    suspect = tuple(sorted(name for name, value in points.items() if value >= settings.suspect_at))
    if suspect and settings.weight:
        yield Weigh(suspect, settings.weight, "Jobs failed there: they are taken last.")
    for job, avoid in _avoidable(settings, suspect, view) if suspect else ():
        yield Avoid(job.slurm_job_id, avoid, f"Jobs failed there, and one bad node ends a job of {job.nodes}.")
    if settings.drain_at is not None:
        yield from _drained(settings, settings.drain_at, view, points)


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


def _drained(settings: Settings, drain_at: float, view: ClusterView, points: dict[str, float]) -> Iterator[Drain]:
    """The worst nodes that are in use, as long as not too many are out of it."""
    room = int(settings.most_drained * len(view.nodes)) - sum(not node.usable for node in view.nodes.values())
    worst = sorted((-value, name) for name, value in points.items() if value >= drain_at and view.nodes[name].usable)
    for value, name in worst[: max(0, room)]:
        yield Drain((name,), f"hpcjobs: suspect, {-value:g} points: jobs failed here")


PLUGIN = policy("suspect", Settings, tick)

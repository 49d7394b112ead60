"""Spares: large jobs keep their nodes when one of them fails, and a few more are held to take its place.

When a node fails under a large job Slurm takes all others from it, and gives them to whoever waits. So one reservation
has the nodes on which large jobs run, and beside these as many spare ones as make up for those under repair with the
probability ``suffice`` (``hpcjobs.recovery.advice.spare_nodes``: failures at a constant rate, Palm's theorem). Nobody
else starts there; the job that was requeued is put into it, comes before all others, and starts at once.

What it does to Slurm: a reservation for each partition and kind of GPU with large jobs, Nice of those that start again,
and with ``lend`` requeues of preemptible jobs that had the spare nodes meanwhile. When not to use it: where jobs that
Slurm does not requeue are the large ones, and where there are few: the spare nodes stand idle, or are lent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.steering import Action, Prefer, Reserve
from hpcjobs.model.suspicion import Standing
from hpcjobs.recovery.advice import spare_nodes, stated_rate
from hpcjobs.sbatch.asks import Ask, ask_of
from hpcjobs_plugins.policies.kept import end_of, reserved
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import ON_NODES, hosts_of
from hpcjobs_plugins.policies.room import freed, kinds
from hpcjobs_plugins.policies.spares_nodes import away_of, is_full, lent, make_room

PREFIX = "hpcjobs_spares_"


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        large_nodes: Jobs of so many nodes have spare ones.
        per_1000_node_days: How often nodes fail (docs/RECOVERY.md); what is stated here is of Kokolis et al.
        repair_s: Mean time until a failed node is back, in seconds.
        suffice: How much of the time the spare nodes shall be enough, 0 to 1.
        most: Share of the nodes that fit, from 0 to 1, that are spare ones at the most.
        lend: Whether preemptible jobs run on spare nodes until these are needed.
        points: Points of priority more for a large job that starts again.
        window_s: How long a reservation lasts; it is prolonged while it is wanted.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 5.0
    large_nodes: Annotated[int, msgspec.Meta(ge=2)] = 8
    per_1000_node_days: Annotated[float, msgspec.Meta(gt=0, le=10**7)] = 6.5
    repair_s: Annotated[float, msgspec.Meta(ge=0, le=10**8)] = 86_400.0
    suffice: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.95
    most: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    lend: bool = False
    points: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 3)] = 1_000_000
    window_s: Annotated[float, msgspec.Meta(ge=120)] = 600.0


class Large(NamedTuple):
    """A large job that has nodes, or had some and starts again.

    Attributes:
        job: The job.
        ask: What it asks of each of its nodes.
    """

    job: JobRecord
    ask: Ask

    @property
    def comes(self) -> bool:
        """Whether it waits to start again."""
        return self.job.state not in ON_NODES


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    groups: defaultdict[str, list[Large]] = defaultdict(list)
    for job in view.jobs.values():
        at_work = job.state in ON_NODES or (job.state is State.PENDING and job.restarts)
        if not at_work or job.nodes < settings.large_nodes or not job.particulars.requeue:
            continue
        kept_in = job.particulars.reservation
        if (ask := ask_of(job, view, kept_in if kept_in.startswith(PREFIX) else "")) is not None:
            groups[name_of(ask)].append(Large(job, ask))
    for name, group in sorted(groups.items()):
        yield from _hold(settings, name, group, view, now)


def name_of(ask: Ask) -> str:
    """The reservation that a large job has its spare nodes in: one for all of a partition that ask for like GPUs."""
    words = ask.job.partition, *sorted(filter(None, ask.gpus))
    return PREFIX + re.sub(r"[^A-Za-z0-9_.]", "_", "_".join(words))


def spares(settings: Settings, nodes: int, fitting: int, away: int) -> int:
    """How many spare nodes are held.

    Args:
        settings: See Settings.
        nodes: Of all large jobs together.
        fitting: Nodes that would do, used or not.
        away: Nodes that have failed and are not back: so many have been replaced already.
    """
    enough = spare_nodes(nodes, stated_rate(settings.per_1000_node_days), settings.repair_s, settings.suffice)
    return min(max(min(enough, 1), enough - away), int(settings.most * fitting))


def _hold(settings: Settings, name: str, group: Sequence[Large], view: ClusterView, now: float) -> Iterator[Action]:
    """The reservation of some large jobs, and what makes room in it."""
    asks, there = kinds(one.ask for one in group), view.reservations.get(name)
    had = {*there.nodes} if there is not None else set[str]()
    fitting = {one for one, node in view.nodes.items() if all(ask.fits(node) for ask in asks)}
    own = {host for one in group if not one.comes for host in hosts_of(one.job)}
    away = len(fitting & away_of(view, now - settings.repair_s))
    spare = spares(settings, sum(one.ask.nodes for one in group), len(fitting), away)
    needed = sum(one.ask.nodes for one in group if one.comes)
    others = reserved(view) - had
    bad = {one.node for one in view.suspicions.values() if one.standing is not Standing.GOOD}
    free = [node.name for _, node in freed(view) if node.name in fitting - own - others - bad]
    beside = sorted(free, key=lambda one: one not in had)[: needed + spare]  # what it has stays, then the soonest
    kept = {host for host in own if is_full(host, view)}.union(beside)
    if not kept:
        return
    guests = lent(name, beside, view, now, more=not needed) if settings.lend else ()
    jobs = [*(one.job for one in group), *guests]
    end = end_of(there, 0.0, settings.window_s, now)
    why = f"Large jobs keep their nodes when one fails, and {spare} spare ones."
    yield Reserve(name, tuple(sorted(kept)), 0.0, end, tuple(job.slurm_job_id for job in jobs), why)
    for one in group:
        if one.comes:
            yield Prefer(one.job.slurm_job_id, settings.points, "It lost its nodes: it starts before others.")
    if needed:
        yield from make_room(beside, needed, view, now)


PLUGIN = policy("spares", Settings, tick)

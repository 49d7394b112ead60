"""Gangs: jobs of one user that start together or not at all.

A member is admitted with a start time a year away; this policy lets all members start at the same moment, on nodes
that it has had reserved for them and that are idle by then. A reservation holds all nodes of a gang or does not exist,
and each gang's are its own: nobody waits for another's with something in hand, so gangs cannot block each other for
good.

What it does to Slurm: StartTime of members, one reservation for each gang that is next, Nice and Hold of members that
failed, and where a gang stays broken for ``heal_s``, requeue of its other members. When not to use it: for jobs that
need no more than one node each and start when they like, and where one heterogeneous job says the same: Slurm starts
that as one. A name is one gang at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action, Hold, Prefer, Requeue, Reserve, Start
from hpcjobs.plugin import PLUGIN_API, Admit, Context, Plugin, Tick
from hpcjobs_plugins.policies.gang_members import Gang, gangs_of
from hpcjobs_plugins.policies.kept import is_good, reserve, reserved, room_kept
from hpcjobs_plugins.policies.made import PolicySettings
from hpcjobs_plugins.policies.queue import is_idle
from hpcjobs_plugins.policies.room import Free, freed

FAR: Final = "now+365days"
"""When a member would start by itself: no gang waits so long, and one whose policy is off does not start in parts."""
SOONER_S: Final = 60.0
"""Other nodes are reserved only where they are free so much earlier, in seconds."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        ahead: Gangs that may have nodes reserved at a time.
        heal_s: How long a gang of which some members run may wait for the others before all are requeued, in seconds.
        points: Points of priority more for a member that the others wait for.
        window_s: How long a reservation lasts beyond its start, in seconds; it is prolonged while its gang waits.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 4
    heal_s: Annotated[float, msgspec.Meta(ge=10)] = 300.0
    points: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 3)] = 1_000_000
    window_s: Annotated[float, msgspec.Meta(ge=120)] = 600.0


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    nodes = freed(view)
    gangs = gangs_of(view)
    taken = reserved(view)
    ahead = settings.ahead
    for gang in gangs:
        if gang.running and gang.waiting:
            if is_good(gang.name, view):  # the others start there, too
                yield from filter(None, [_reserve(settings, gang, view, nodes, taken, now)])
            yield from _heal(settings, gang, now)
        elif gang.waiting:
            kept = _reserve(settings, gang, view, nodes, taken, now) if ahead else None
            ready = kept is not None and _ready(gang, view, now)
            if kept is not None:
                ahead -= 1
                taken.update(kept.nodes)
                yield kept
            for job in gang.waiting:
                if ready:
                    yield Start(job.slurm_job_id, f"All {len(gang.waiting)} members start together.")
                elif job.restarts:
                    yield Hold(job.slurm_job_id, "It starts again together with the others of its gang.")


def _reserve(
    settings: Settings, gang: Gang, view: ClusterView, nodes: list[Free], taken: set[str], now: float
) -> Reserve | None:
    """Nodes for a gang: those that it has as long as all of them are good and none are free much earlier."""
    room = room_kept(gang.name, gang.waiting, view, nodes, taken, now, SOONER_S)
    if room is None:
        return None
    why = f"{len(gang.waiting)} jobs start together on {len(room.nodes)} nodes."
    return reserve(gang.name, room, gang.waiting, view, settings.window_s, now, why)


def _ready(gang: Gang, view: ClusterView, now: float) -> bool:
    """Whether the reservation is there, has begun, holds all members, and all its nodes are idle."""
    there = view.reservations.get(gang.name)
    return (
        there is not None
        and there.start <= now
        and all(job.particulars.reservation == gang.name for job in gang.waiting)
        and all(name in view.nodes and is_idle(view.nodes[name]) for name in there.nodes)
    )


def _heal(settings: Settings, gang: Gang, now: float) -> Iterator[Action]:
    """Some run and some wait: the others as soon as possible; after a while all anew."""
    started = [job.start_time for job in gang.running]
    since = max(started + [job.submit_time for job in gang.waiting if job.restarts])
    if now - since > settings.heal_s:
        for job in gang.running:
            yield Requeue(job.slurm_job_id, f"Its gang has been broken for {settings.heal_s:g} s: all start anew.")
        return
    for job in gang.waiting:
        yield Prefer(job.slurm_job_id, settings.points, "The others of its gang run and wait for it.")
        yield Start(job.slurm_job_id, "The others of its gang run and wait for it.")


def admit(spec: JobSpec, context: Context) -> JobSpec | Refusal:
    """Let a member wait for the others. See Admit."""
    if spec.hints.gang_size < 2 or spec.begin == FAR:
        return spec
    if spec.begin is not None or spec.array is not None:
        what = "begin" if spec.begin is not None else "array"
        return Refusal(what, f"A job of a gang starts when all others can: it has no {what} of its own.", "gang-begin")
    return msgspec.structs.replace(spec, begin=FAR)


def _hooks(settings: Settings) -> list[Admit | Tick]:
    return [Admit(admit), Tick(lambda view, now: tuple(tick(settings, view, now)), settings.period_s)]


PLUGIN = Plugin(name="gang", api=PLUGIN_API, settings=Settings, hooks=_hooks)

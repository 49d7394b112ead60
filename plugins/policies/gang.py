"""Gangs: jobs of one user that start together or not at all.

A member is admitted with a start time a year away; this policy lets all members start at the same moment, on nodes
that it has had reserved for them and that are idle by then. A reservation holds all nodes of a gang or does not exist,
and each gang's are its own: nobody waits for another's with something in hand, so gangs cannot block each other for
good. What does not start in time gives back what it holds, and waits on behind the others.

What it does to Slurm: StartTime of members, one reservation for each gang that is next, Nice and Hold of members that
failed, Nice of those that are late, and where a gang stays broken for ``heal_s``, requeue of its other members. When
not to use it: for jobs that need no more than one node each and start when they like, and where one heterogeneous job
says the same: Slurm starts that as one. A name is one gang at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action
from hpcjobs.plugin import PLUGIN_API, Admit, Context, Plugin, Tick
from hpcjobs_plugins.policies.gang_asks import UNEVEN, evened, not_kept
from hpcjobs_plugins.policies.gang_members import gangs_of, turn_of
from hpcjobs_plugins.policies.gang_others import Others
from hpcjobs_plugins.policies.gang_places import Ground, asks_of, has_older, name_now, place, place_of_late
from hpcjobs_plugins.policies.gang_starts import behind, heal, ready, together
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings
from hpcjobs_plugins.policies.room import freed

FAR: Final = "now+365days"
"""When a member would start by itself: no gang waits so long, and one whose policy is off does not start in parts."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        ahead: Gangs that may have nodes reserved at a time.
        deadline_s: A gang that has not started so many seconds after its last member came gives back what it holds
            and waits on behind the others, again and again; of one that lacks members, counted from the first, it is
            told.
        heal_s: How long a gang of which some members run may wait for the others before all are requeued, in seconds.
        keep_off: Gangs keep off nodes with so many points of suspicion where they can (docs/LEMONS.md): a failure has
            1, and half of that after two weeks. None: they do not.
        patience_s: How long it keeps idle nodes that others could use, and how much longer it waits for nodes none of
            which failed lately, in seconds.
        points: Points of priority more for a member that the others wait for.
        window_s: How long a reservation lasts beyond its start, in seconds; it is prolonged while its gang waits.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 4
    deadline_s: Annotated[float, msgspec.Meta(ge=10)] = 3600.0
    heal_s: Annotated[float, msgspec.Meta(ge=10)] = 300.0
    keep_off: Annotated[float, msgspec.Meta(gt=0)] | None = 0.7
    patience_s: Annotated[float, msgspec.Meta(ge=10)] = 600.0
    points: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 3)] = 1_000_000
    window_s: Annotated[float, msgspec.Meta(ge=120)] = 600.0


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    failed = _doubtful(settings.keep_off, view)
    ground = Ground(view, freed(view), reserved(view), failed, settings.patience_s)
    others, ahead = Others(view, now), settings.ahead
    turns = sorted(((gang.turn(settings.deadline_s, now), gang) for gang in gangs_of(view)), key=lambda one: one[0])
    for turn, gang in turns:
        if gang.running and gang.waiting:
            late = place_of_late(gang, gang.name(), ground, settings.window_s, now)
            yield from filter(None, [late])
            yield from heal(gang, settings.heal_s, settings.points, now)
        elif gang.missing:
            if turn:
                yield from behind(gang, f"{gang.missing} of its gang had not come, or were held, by the deadline.")
        elif gang.waiting and asks_of(gang, view) is None:
            yield from together(gang, starts=False)
            yield from behind(gang, "For one of its gang no nodes can be kept: it names nodes, licenses or the like.")
        elif gang.waiting:
            name, kept = name_now(gang, turn, view, settings.patience_s, now), None
            wanted = others.want(gang, name, settings.patience_s)
            gives = has_older(gang, name, view) or bool(wanted and name in view.reservations)
            if ahead and not gives:
                kept = place(gang, name, ground.without(wanted), settings.window_s, now)
            if kept is not None:
                ahead -= 1
                ground.taken.update(kept.nodes)
                yield kept
            yield from together(gang, starts=kept is not None and ready(gang, kept, view, now))
            turn = turn_of(name)  # of what it holds
            if turn or wanted:
                passed = f"had not started by its deadline of {settings.deadline_s:g} s"
                kept_long = f"left idle nodes to others after {settings.patience_s:g} s"
                yield from behind(gang, f"Its gang {passed if turn else kept_long}.")


def _doubtful(points: float | None, view: ClusterView) -> set[str]:
    """Names of the nodes that gangs keep off."""
    return {name for name, one in view.suspicions.items() if points is not None and one.points >= points}


def admit(spec: JobSpec, context: Context) -> JobSpec | Refusal:
    """Let a member wait for the others. See Admit."""
    if spec.hints.gang_size < 2 or spec.begin == FAR:
        return spec
    if spec.begin is not None or spec.array is not None:
        what = "begin" if spec.begin is not None else "array"
        return Refusal(what, f"A job of a gang starts when all others can: it has no {what} of its own.", "gang-begin")
    if field := not_kept(spec):
        return Refusal(field, "Nodes are kept for all jobs of a gang together, and for this none can be.", "gang-nodes")
    if (resources := evened(spec.resources)) is None:
        return Refusal("resources.gpus", UNEVEN, "gang-gpus")
    return msgspec.structs.replace(spec, begin=FAR, resources=resources)


def _hooks(settings: Settings) -> list[Admit | Tick]:
    return [Admit(admit), Tick(lambda view, now: tuple(tick(settings, view, now)), settings.period_s)]


PLUGIN = Plugin(name="gang", api=PLUGIN_API, settings=Settings, hooks=_hooks)

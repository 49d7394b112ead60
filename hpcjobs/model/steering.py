"""What a policy wants of Slurm: wishes, which hold as long as they are repeated, and acts, which are done once.

A policy says at each tick all that it wishes. Whoever carries it out compares that with what is so and changes the
rest: what is wished no more is taken back, also when a policy is switched off; what was done once stays. Wishes of
several policies add up: points and weights are summed, nodes to be avoided joined as long as the job has enough others,
the latest time and the longest limit count, one hold holds, and who may start now is not delayed. Where they cannot be
joined, the first policy in order has its way.

Nothing here sets Slurm's Priority, which would freeze it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hpcjobs.model.node_order import FEATURE
from hpcjobs.model.reservation import MOST_TIME, RESERVATION

MOST_WHY: Final = 2000
"""As many characters of a reason are kept."""
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
NODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
"""What can be the name of a node."""
DEPENDENCY: Final = re.compile(r"[A-Za-z0-9_:,?+*]{0,4096}")
"""What a dependency is made of."""


class Prefer(msgspec.Struct, frozen=True, tag="prefer"):
    """A wish: a job comes earlier, or later.

    Attributes:
        job: Slurm's number.
        points: Points of priority more; negative: fewer. Carried out by Nice.
        why: The reason, a sentence.
    """

    job: int
    points: int
    why: str


class Avoid(msgspec.Struct, frozen=True, tag="avoid"):
    """A wish: a waiting job does not start on some nodes. Carried out by ExcNodeList.

    Attributes:
        job: Slurm's number.
        nodes: Names.
        why: The reason, a sentence.
    """

    job: int
    nodes: tuple[str, ...]
    why: str


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """A wish: a waiting job is held; it is released when nobody wishes it any more, unless its owner holds it.

    Attributes:
        job: Slurm's number.
        why: The reason, a sentence.
    """

    job: int
    why: str


class Delay(msgspec.Struct, frozen=True, tag="delay"):
    """A wish: a waiting job does not start before a time. Carried out by StartTime.

    Attributes:
        job: Slurm's number.
        until: Unix seconds.
        why: The reason, a sentence.
    """

    job: int
    until: float
    why: str


class Start(msgspec.Struct, frozen=True, tag="start"):
    """A wish: a waiting job may start now, though it was to start later. Carried out by StartTime.

    Attributes:
        job: Slurm's number.
        why: The reason, a sentence.
    """

    job: int
    why: str


class LimitMin(msgspec.Struct, frozen=True, tag="limit-min"):
    """A wish: backfill may give a job a shorter time limit, down to this, where it starts earlier so. TimeMin.

    Attributes:
        job: Slurm's number.
        time_min_s: Least time limit in seconds.
        why: The reason, a sentence.
    """

    job: int
    time_min_s: float
    why: str


class Weigh(msgspec.Struct, frozen=True, tag="weigh"):
    """A wish: nodes are taken later (positive) or earlier by Slurm. Carried out by Weight; it overrides tree topology.

    Attributes:
        nodes: Names.
        weight: What is added to their weight.
        why: The reason, a sentence.
    """

    nodes: tuple[str, ...]
    weight: int
    why: str


class Label(msgspec.Struct, frozen=True, tag="label"):
    """A wish: nodes have a feature, which jobs can ask for.

    Attributes:
        nodes: Names.
        feature: The feature.
        why: The reason, a sentence.
    """

    nodes: tuple[str, ...]
    feature: str
    why: str


class Reserve(msgspec.Struct, frozen=True, tag="reserve"):
    """A wish: nodes are kept for some jobs from a time on. Carried out by a reservation that these jobs are put into.

    Attributes:
        name: Its name, which stays the same from tick to tick.
        nodes: Names.
        start: Unix seconds from which nobody else has them.
        end: Unix seconds at which they are free again, whatever happened.
        jobs: Slurm's numbers of the jobs that may use them.
        why: The reason, a sentence.
    """

    name: str
    nodes: tuple[str, ...]
    start: float
    end: float
    jobs: tuple[int, ...]
    why: str


class Tune(msgspec.Struct, frozen=True, tag="tune"):
    """A wish: parameters of Slurm's scheduler.

    Attributes:
        parameters: By name as SchedulerParameters of slurm.conf(5) has them, as ``bf_window``: ``10080``.
        why: The reason, a sentence.
    """

    parameters: Mapping[str, str]
    why: str


class Requeue(msgspec.Struct, frozen=True, tag="requeue"):
    """An act: a running job is requeued and can start at once.

    Attributes:
        job: Slurm's number.
        why: The reason, a sentence.
        nodes: With so many nodes from now on; None: as before.
        avoid: Names of nodes that it does not start on again.
        at_once: Whether one that has ended may start before a listing shows that it waits.
    """

    job: int
    why: str
    nodes: int | None = None
    avoid: tuple[str, ...] = ()
    at_once: bool = False


class Shrink(msgspec.Struct, frozen=True, tag="shrink"):
    """An act: a running job gives nodes back. It cannot grow while it runs.

    Attributes:
        job: Slurm's number.
        nodes: With so many it goes on.
        why: The reason, a sentence.
    """

    job: int
    nodes: int
    why: str


class Resize(msgspec.Struct, frozen=True, tag="resize"):
    """An act: a waiting job asks for another number of nodes.

    Attributes:
        job: Slurm's number.
        nodes: So many.
        why: The reason, a sentence.
    """

    job: int
    nodes: int
    why: str


class Release(msgspec.Struct, frozen=True, tag="release"):
    """An act: a job that is held is released, whoever holds it.

    Attributes:
        job: Slurm's number.
        why: The reason, a sentence.
    """

    job: int
    why: str


class Depend(msgspec.Struct, frozen=True, tag="depend"):
    """An act: a waiting job depends on others as is said, which Slurm looks at anew. Carried out by Dependency.

    Attributes:
        job: Slurm's number.
        dependency: As sbatch has it, ``afterok:123``; ``""``: on none.
        why: The reason, a sentence.
    """

    job: int
    dependency: str
    why: str


class Drain(msgspec.Struct, frozen=True, tag="drain"):
    """An act: nodes take no new jobs until an admin resumes them.

    Attributes:
        nodes: Names.
        why: The reason, which Slurm shows.
    """

    nodes: tuple[str, ...]
    why: str


Wish = Prefer | Avoid | Hold | Delay | Start | LimitMin | Weigh | Label | Reserve | Tune
"""What lasts as long as it is repeated."""
Act = Requeue | Shrink | Resize | Release | Depend | Drain
"""What is done once."""
Action = Wish | Act
"""What a policy answers with."""


def jobs_of(action: Action) -> frozenset[int]:
    """Slurm's numbers of the jobs that an action is about."""
    if isinstance(action, Reserve):
        return frozenset(action.jobs)
    return frozenset() if isinstance(action, Weigh | Label | Tune | Drain) else frozenset({action.job})


def nodes_of(action: Action) -> frozenset[str]:
    """Names of the nodes that an action names."""
    if isinstance(action, Weigh | Label | Reserve | Drain):
        return frozenset(action.nodes)
    return frozenset(action.avoid if isinstance(action, Requeue) else action.nodes if isinstance(action, Avoid) else ())


def unmeant(action: Action) -> str:
    """Why nobody can have meant an action, whatever the cluster is like, or ``""``."""
    if strange := [name for name in nodes_of(action) if not NODE.fullmatch(name)]:
        return f"no node can be called {min(strange)!r:.100}"
    times: dict[str, float] = {}
    nodes = None
    match action:
        case Delay():
            times = {"until": action.until}
        case LimitMin():
            times = {"time_min_s": action.time_min_s}
        case Reserve():
            times = {"start": action.start, "end": action.end}
            if not RESERVATION.fullmatch(action.name):
                return f"no reservation can be called {action.name!r:.100}"
            if action.end <= action.start:
                return "the reservation ends before it begins"
        case Depend() if not DEPENDENCY.fullmatch(action.dependency):
            return f"no job can depend on {action.dependency!r:.100}"
        case Label() if not FEATURE.fullmatch(action.feature):
            return f"no feature can be called {action.feature!r:.100}"
        case Requeue() | Shrink() | Resize():
            nodes = action.nodes
    if strange := [name for name, seconds in times.items() if not 0 <= seconds <= MOST_TIME]:  # nor a NaN
        return f"{strange[0]} is {times[strange[0]]}"
    return f"a job cannot have {nodes} nodes" if nodes is not None and nodes < 1 else ""


def printable(action: Action) -> Action:
    """An action whose reason can be written anywhere, though it quotes a job's name: one line, and not too long."""
    why = UNPRINTABLE.sub(" ", action.why)[:MOST_WHY]
    return action if why == action.why else msgspec.structs.replace(action, why=why)

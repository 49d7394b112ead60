"""What several policies want together. Pure; how wishes are joined: ``hpcjobs.model.steering``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from hpcjobs.model.steering import (
    Act,
    Action,
    Avoid,
    Delay,
    Hold,
    Label,
    LimitMin,
    Prefer,
    Reserve,
    Start,
    Tune,
    Weigh,
    Wish,
    jobs_of,
)


class Said(NamedTuple):
    """What one policy wants.

    Attributes:
        policy: Its name.
        actions: Everything.
    """

    policy: str
    actions: tuple[Action, ...]


class Why(NamedTuple):
    """Who wants something, and why."""

    policy: str
    why: str


@dataclass
class JobAim:
    """How a job should stand.

    Attributes:
        points: Points of priority more.
        avoid: Nodes that it does not start on.
        hold: Whether it is held.
        until: Unix seconds before which it does not start; 0.0: any time.
        start: Whether it may start now, whatever time was set for it; this wins over ``until``.
        time_min_s: Least time limit in seconds; 0.0: as it was asked for.
        reservation: The reservation that it is put into; ``""``: as it was asked for.
        whys: Who wants it so.
    """

    points: int = 0
    avoid: set[str] = field(default_factory=set)
    hold: bool = False
    until: float = 0.0
    start: bool = False
    time_min_s: float = 0.0
    reservation: str = ""
    whys: list[Why] = field(default_factory=list)


@dataclass
class NodeAim:
    """How a node should stand.

    Attributes:
        weight: What its weight is above that of the configuration.
        features: What it has beside its own.
        whys: Who wants it so.
    """

    weight: int = 0
    features: set[str] = field(default_factory=set)
    whys: list[Why] = field(default_factory=list)


@dataclass
class Aims:
    """How a cluster should stand.

    Attributes:
        jobs: By Slurm's number.
        nodes: By name.
        reservations: By name, with the policy that wants it.
        parameters: Of Slurm's scheduler, with who wants it.
        acts: What is to be done once, in order.
        overruled: Wishes that could not be joined with those of a policy before.
    """

    jobs: dict[int, JobAim] = field(default_factory=dict)
    nodes: dict[str, NodeAim] = field(default_factory=dict)
    reservations: dict[str, tuple[str, Reserve]] = field(default_factory=dict)
    parameters: dict[str, tuple[str, Why]] = field(default_factory=dict)
    acts: list[tuple[str, Act]] = field(default_factory=list)
    overruled: list[tuple[str, Action]] = field(default_factory=list)


Enough = Callable[[int, Set[str]], bool]
"""Whether a job, by Slurm's number, has nodes enough without some nodes, by name."""


def fold(said: Iterable[Said], enough: Enough) -> Aims:
    """Join what the policies want.

    Args:
        said: By policy, in order: where wishes cannot be joined, the earlier has its way.
        enough: Nodes are avoided only as long as this is so.
    """
    folding = _Folding(enough)
    for policy, actions in said:
        for action in actions:
            folding.join(policy, action)
    return folding.aims


class _Folding:
    """One fold, and what is taken in it already."""

    def __init__(self, enough: Enough) -> None:
        self.aims = Aims()
        self._enough = enough
        self._reserved: set[str] = set()
        """Names of nodes."""
        self._acted_on: set[int] = set()
        """Slurm's numbers of jobs."""

    def join(self, policy: str, action: Action) -> None:
        """Join one more."""
        aims = self.aims
        if isinstance(action, Avoid) and not self._leaves_enough(action):
            aims.overruled.append((policy, action))
        elif isinstance(action, Prefer | Avoid | Hold | Delay | Start | LimitMin):
            _join_job(aims.jobs.setdefault(action.job, JobAim()), Why(policy, action.why), action)
        elif isinstance(action, Weigh | Label):
            for name in action.nodes:
                _join_node(aims.nodes.setdefault(name, NodeAim()), Why(policy, action.why), action)
        elif isinstance(action, Reserve):
            self._join_reservation(policy, action)
        elif isinstance(action, Tune):
            for name, value in action.parameters.items():
                if aims.parameters.setdefault(name, (value, Why(policy, action.why)))[0] != value:
                    aims.overruled.append((policy, action))
        elif self._acted_on.isdisjoint(jobs_of(action)):
            self._acted_on |= jobs_of(action)
            aims.acts.append((policy, action))
        else:
            aims.overruled.append((policy, action))

    def _leaves_enough(self, action: Avoid) -> bool:
        before = self.aims.jobs.get(action.job, JobAim()).avoid
        return self._enough(action.job, before.union(action.nodes))

    def _join_reservation(self, policy: str, action: Reserve) -> None:
        aims = self.aims
        placed = any(number in aims.jobs and aims.jobs[number].reservation for number in action.jobs)
        if action.name in aims.reservations or placed or not self._reserved.isdisjoint(action.nodes):
            aims.overruled.append((policy, action))
            return
        aims.reservations[action.name] = (policy, action)
        self._reserved.update(action.nodes)
        for number in action.jobs:
            job = aims.jobs.setdefault(number, JobAim())
            job.reservation = action.name
            job.whys.append(Why(policy, action.why))


def _join_job(job: JobAim, why: Why, action: Prefer | Avoid | Hold | Delay | Start | LimitMin) -> None:
    if isinstance(action, Prefer):
        job.points += action.points
    elif isinstance(action, Avoid):
        job.avoid.update(action.nodes)
    elif isinstance(action, Hold):
        job.hold = True
    elif isinstance(action, Delay):
        job.until = max(job.until, action.until)
    elif isinstance(action, Start):
        job.start = True
    else:
        job.time_min_s = max(job.time_min_s, action.time_min_s)
    job.whys.append(why)


def _join_node(node: NodeAim, why: Why, action: Weigh | Label) -> None:
    if isinstance(action, Weigh):
        node.weight += action.weight
    else:
        node.features.add(action.feature)
    node.whys.append(why)


def keyed(said: Iterable[Action]) -> list[tuple[bytes, Wish]]:
    """The wishes among actions, in order, each with all that it says but the reason, whose words may count seconds."""
    return [
        (msgspec.msgpack.encode(msgspec.structs.replace(action, why="")), action)
        for action in said
        if isinstance(action, Wish)
    ]


WISHED, WITHDRAWN = "wished", "withdrawn"
"""What has become of a wish since the last time."""


def changes(before: Sequence[tuple[bytes, Wish]], after: Sequence[tuple[bytes, Wish]]) -> Iterator[tuple[Wish, str]]:
    """What a policy wishes no more, and what newly.

    Args:
        before: What it wished the last time, as ``keyed`` gives it.
        after: What it wishes now.
    """
    was, now = dict(before), dict(after)
    yield from ((wish, WITHDRAWN) for key, wish in was.items() if key not in now)
    yield from ((wish, WISHED) for key, wish in now.items() if key not in was)

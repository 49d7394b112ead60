"""What policies want, and what becomes of it in the simulation (model/steering.py).

Wishes hold until the policy's next tick and are gone if it does not repeat them; a policy that raises is skipped, what
it wished before stays, and it is counted. Wishes of several policies are joined as model/steering.py says.

Where the simulation differs from Slurm: a change takes no time and never fails; a reservation that is wished no more
is gone at once, also while its jobs run, and does not end them; a job may run beyond the end of its reservation; a
limit is shortened (LimitMin) by the schedulers that backfill on their way; features (Label) are seen by policies only,
because simulated jobs ask for none; SchedulerParameters (Tune) are heeded by the scheduler ``slurm`` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, get_args

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.reservation import Reservation
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
)
from hpcjobs.sim.acts import Desk, act
from hpcjobs.sim.result import Acted
from hpcjobs.sim.space import NO_NODES, UNBOUND, Bounds, Kept
from hpcjobs.sim.view import EPOCH_S, ViewKeeper
from hpcjobs.sim.workload import Workload

NEVER_S: Final = float("inf")
_WISHES: Final = get_args(Wish)
_ACTS: Final = get_args(Act)
_Key = tuple[object, ...]


class Policy(Protocol):
    """A policy, as a plugin brings it.

    Attributes:
        name: What it is called; no two in one simulation are called the same.
        period_s: Seconds between two ticks.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def period_s(self) -> float: ...  # noqa: D102

    def tick(self, view: ClusterView, now: float, /) -> Sequence[Action]:
        """Say all that is wished, and what is to be done once; ``now`` in Unix seconds."""


class Ticking(NamedTuple):
    """A policy that is a function, as the Tick of a plugin.

    Attributes:
        name: What it is called.
        tick: See Policy.
        period_s: Seconds between two ticks.
    """

    name: str
    tick: Callable[[ClusterView, float], Sequence[Action]]
    period_s: float


class Steered:
    """What all policies wish, joined.

    Attributes:
        policies: In their order.
        view: Makes what they see.
        errors: How often each has raised, or answered with what is no action.
        kept: Nodes that are reserved.
        tuned: Parameters of Slurm's scheduler.
        shortens: Whether some job's limit may be shortened.
    """

    def __init__(self, desk: Desk, workload: Workload, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self.view = ViewKeeper(desk, workload)
        self.errors: Counter[str] = Counter()
        self.kept: tuple[Kept, ...] = ()
        self.tuned: Mapping[str, str] = {}
        self._desk = desk
        self._wishes: dict[str, dict[_Key, Wish]] = {policy.name: {} for policy in policies}
        self.shortens = False
        self._points: dict[int, int] = {}
        self._after_s: dict[int, float] = {}
        self._awake: frozenset[int] = frozenset()
        self._bounds: dict[int, Bounds] = {}

    def points(self, number: int) -> int:
        """Points of priority that a job has."""
        return self._points.get(number, 0)

    def after_s(self, number: int, own_s: float) -> float:
        """When a job may start that may by itself from a time on; infinity: it is held."""
        wished_s = self._after_s.get(number, 0.0)
        if wished_s == NEVER_S:
            return wished_s
        return 0.0 if number in self._awake else max(wished_s, own_s)

    def bounds(self, number: int) -> Bounds:
        """Where a job may start, and with what limit."""
        return self._bounds.get(number, UNBOUND)

    def tick(self, policy: Policy, now: float) -> None:
        """Ask a policy, and do what it says."""
        try:
            actions = tuple(policy.tick(self.view.view(now), EPOCH_S + now))
        except Exception:  # noqa: BLE001  whatever a policy does, the simulation goes on as a service would
            self.errors[policy.name] += 1
            return
        if not all(isinstance(action, (*_WISHES, *_ACTS)) for action in actions):
            self.errors[policy.name] += 1
            return
        wishes = {_key(action): action for action in actions if isinstance(action, _WISHES)}
        before, self._wishes[policy.name] = self._wishes[policy.name], wishes
        for changed, other, outcome in ((wishes, before, "wished"), (before, wishes, "withdrawn")):
            for key, wish in changed.items():
                if key not in other:
                    self._desk.acted.append(Acted(now, policy.name, wish, outcome))
        if wishes.keys() != before.keys():
            self.renew(now)
        for action in actions:
            if isinstance(action, _ACTS):
                self._desk.acted.append(Acted(now, policy.name, action, act(self._desk, action, now)))

    def renew(self, now: float) -> None:
        """Join all wishes as of now, and have the queue follow."""
        points: Counter[int] = Counter()
        after_s: dict[int, float] = {}
        awake: set[int] = set()
        avoid: dict[int, frozenset[int]] = {}
        least_s: dict[int, float] = {}
        weights: Counter[int] = Counter()
        labels: dict[int, frozenset[str]] = {}
        reserved: dict[str, Reserve] = {}
        tuned: dict[str, str] = {}
        for wishes in self._wishes.values():
            for wish in wishes.values():
                match wish:
                    case Prefer():
                        points[wish.job] += wish.points
                    case Avoid():
                        avoid[wish.job] = avoid.get(wish.job, NO_NODES) | self._indices(wish.nodes)
                    case Hold():
                        after_s[wish.job] = NEVER_S
                    case Delay():
                        after_s[wish.job] = max(after_s.get(wish.job, 0.0), wish.until - EPOCH_S)
                    case Start():
                        awake.add(wish.job)
                    case LimitMin():
                        least_s[wish.job] = max(least_s.get(wish.job, 0.0), wish.time_min_s)
                    case Weigh():
                        for index in self._indices(wish.nodes):
                            weights[index] += wish.weight
                    case Label():
                        for index in self._indices(wish.nodes):
                            labels[index] = labels.get(index, frozenset()) | {wish.feature}
                    case Reserve():
                        reserved.setdefault(wish.name, wish)
                    case Tune():
                        tuned = {**wish.parameters, **tuned}
        moved = {number for number in points.keys() | self._points if points[number] != self._points.get(number, 0)}
        moved |= {
            number
            for number in after_s.keys() | self._after_s
            if after_s.get(number, 0.0) != self._after_s.get(number, 0.0)
        }
        moved |= awake ^ self._awake
        self._points, self._after_s, self._awake, self.tuned = points, after_s, frozenset(awake), tuned
        self._bind(avoid, least_s, reserved, now)
        self._desk.space.weigh({index: weight for index, weight in weights.items() if weight})
        self.view.label(labels)
        self._desk.freed = True
        for number in sorted(moved):
            life = self._desk.waiting.get(number)
            if life is not None:
                self._desk.admit(life, now)

    def _bind(
        self,
        avoid: dict[int, frozenset[int]],
        least_s: dict[int, float],
        reserved: dict[str, Reserve],
        now: float,
    ) -> None:
        """Make of wishes where jobs may start, and which nodes are kept."""
        kept: list[Kept] = []
        of: dict[int, Kept] = {}
        named: dict[int, str] = {}
        there: dict[str, Reservation] = {}
        for wish in reserved.values():
            indices, start_s, end_s = self._indices(wish.nodes), wish.start - EPOCH_S, wish.end - EPOCH_S
            if end_s <= now or not indices:
                continue
            one = Kept(start_s, end_s, len(indices), indices, frozenset(wish.jobs))
            kept.append(one)
            for number in wish.jobs:
                of.setdefault(number, one)
                named.setdefault(number, wish.name)
            there[wish.name] = Reservation(wish.name, tuple(sorted(wish.nodes)), int(wish.start), int(wish.end))
            for at_s in (start_s, end_s):
                if now < at_s < NEVER_S:
                    self._desk.agenda.wake(at_s)
        self.view.reserve(there, named)
        self.kept, self.shortens = tuple(kept), bool(least_s)
        self._bounds = {
            number: Bounds(
                avoid=avoid.get(number, NO_NODES),
                only=of[number].indices if number in of else None,
                after_s=of[number].start_s if number in of else 0.0,
                time_min_s=least_s.get(number),
            )
            for number in avoid.keys() | least_s.keys() | of.keys()
        }

    def _indices(self, names: Sequence[str]) -> frozenset[int]:
        found = (self._desk.space.index_of(name) for name in names)
        return frozenset(index for index in found if index is not None)


def _key(wish: Wish) -> _Key:
    """What makes two wishes the same: all but the reason."""
    told = msgspec.structs.asdict(wish) | {"why": ""}
    flat = (tuple(sorted(value.items())) if isinstance(value, Mapping) else value for value in told.values())
    return (type(wish), *flat)

"""What policies want, and what becomes of it in the simulation (model/steering.py).

Wishes hold until the policy's next tick and are gone if it does not repeat them; a policy that raises is skipped, what
it wished before stays, and it is counted. Wishes are joined as on a real cluster (model/aims.py).

Where the simulation differs from Slurm: a change takes no time and never fails; a reservation that is wished no more
is gone at once, also while its jobs run, and does not end them; a job may run beyond the end of its reservation; a
limit is shortened (LimitMin) by the schedulers that backfill on their way; features (Label) do nothing,
because simulated jobs ask for none; SchedulerParameters (Tune) are heeded by the scheduler ``slurm`` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, get_args

from hpcjobs.choice import Choice
from hpcjobs.model.aims import Aims, JobAim, Said, changes, fold, keyed
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steering import Act, Action, Wish, unmeant
from hpcjobs.sim.acts import Desk, act
from hpcjobs.sim.result import Acted
from hpcjobs.sim.space import UNBOUND, Bounds, Kept
from hpcjobs.sim.view import EPOCH_S, ViewKeeper
from hpcjobs.sim.workload import Workload

NEVER_S: Final = float("inf")
_ACTIONS: Final = (*get_args(Wish), *get_args(Act))


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
        errors: How often each has raised, or answered what cannot be meant.
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
        self._wishes: dict[str, list[tuple[bytes, Wish]]] = {policy.name: [] for policy in policies}
        self.shortens = False
        self._aims: Mapping[int, JobAim] = {}
        self._bounds: dict[int, Bounds] = {}

    def points(self, number: int) -> int:
        """Points of priority that a job has."""
        return self._aims[number].points if number in self._aims else 0

    def after_s(self, number: int, own_s: float) -> float:
        """When a job may start that may by itself from a time on; infinity: it is held."""
        aim = self._aims.get(number)
        if aim is None:
            return own_s
        return NEVER_S if aim.hold else 0.0 if aim.start else max(aim.until - EPOCH_S, own_s)

    def bounds(self, number: int) -> Bounds:
        """Where a job may start, and with what limit."""
        return self._bounds.get(number, UNBOUND)

    def tick(self, policy: Policy, now: float) -> None:
        """Ask a policy, and do what it says."""
        try:
            actions = tuple(policy.tick(self.view.view(now), EPOCH_S + now))
            good = all(isinstance(action, _ACTIONS) and not unmeant(action) for action in actions)
        except Exception:  # noqa: BLE001  whatever a policy does, the simulation goes on as a service would
            self.errors[policy.name] += 1
            return
        if not good:
            self.errors[policy.name] += 1
            return
        before, after = self._wishes[policy.name], keyed(actions)
        self._wishes[policy.name] = after
        self._desk.acted += [Acted(now, policy.name, wish, outcome) for wish, outcome in changes(before, after)]
        if [key for key, _ in before] != [key for key, _ in after]:
            self.renew(now)
        for action in actions:
            if isinstance(action, Act):
                self._desk.acted.append(Acted(now, policy.name, action, act(self._desk, action, now)))

    def renew(self, now: float) -> None:
        """Join all wishes as of now, and have the queue follow."""
        said = [Said(name, tuple(wish for _, wish in wishes)) for name, wishes in self._wishes.items()]
        aims = fold(said, Choice(self.view.view(now)).is_enough)
        before, self._aims = self._aims, aims.jobs
        self.tuned = {name: value for name, (value, _) in aims.parameters.items()}
        self._bind(aims, now)
        space = self._desk.space
        nodes = {index: aim for name, aim in aims.nodes.items() if (index := space.index_of(name)) is not None}
        space.weigh({index: aim.weight for index, aim in nodes.items() if aim.weight})
        self._desk.freed = True
        for number in sorted(before.keys() | aims.jobs.keys()):
            life = self._desk.waiting.get(number)
            if life is not None and _standing(before.get(number)) != _standing(aims.jobs.get(number)):
                self._desk.admit(life, now)

    def _bind(self, aims: Aims, now: float) -> None:
        """Make of wishes where jobs may start, and which nodes are kept."""
        kept: dict[str, Kept] = {}
        there: dict[str, Reservation] = {}
        for name, (_, wish) in aims.reservations.items():
            indices, start_s, end_s = self._indices(wish.nodes), wish.start - EPOCH_S, wish.end - EPOCH_S
            if end_s <= now or not indices:
                continue
            kept[name] = Kept(start_s, end_s, len(indices), indices, frozenset(wish.jobs))
            there[name] = Reservation(name, tuple(sorted(wish.nodes)), int(wish.start), int(wish.end))
            for at_s in (start_s, end_s):
                if now < at_s < NEVER_S:
                    self._desk.agenda.wake(at_s)
        self.view.reserve(there, {number: name for name, one in kept.items() for number in one.jobs})
        self.kept = tuple(kept.values())
        self.shortens = any(aim.time_min_s for aim in aims.jobs.values())
        self._bounds = {}
        for number, aim in aims.jobs.items():
            place = kept.get(aim.reservation)
            if aim.avoid or aim.time_min_s or place:
                self._bounds[number] = Bounds(
                    avoid=self._indices(aim.avoid),
                    only=place.indices if place else None,
                    after_s=place.start_s if place else 0.0,
                    time_min_s=aim.time_min_s or None,
                )

    def _indices(self, names: Iterable[str]) -> frozenset[int]:
        found = (self._desk.space.index_of(name) for name in names)
        return frozenset(index for index in found if index is not None)


def _standing(aim: JobAim | None) -> tuple[int, bool, float, bool]:
    """What of an aim says where in the queue a job stands, and whether in it at all."""
    return (0, False, 0.0, False) if aim is None else (aim.points, aim.hold, aim.until, aim.start)

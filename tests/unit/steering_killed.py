"""Policies of a service that is killed wherever a test wants, on a simulated Slurm: all parts but plugins are real."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args

from hpcjobs.errors import HpcjobsError, OutcomeUnknown, Refusal, Refused, SlurmUnavailable
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.reservation import ReservationOrder
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.steering import Action
from hpcjobs.observe.observer import Observer
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.simulated import SimulatedBackend
from hpcjobs.steering.past import Past
from hpcjobs.steering.runner import PolicyRunner
from hpcjobs.store.store import Store
from tests.unit.builders import SCRIPT, node

USER = "hpcjobs"
Mishap = Literal[
    "killed before", "killed after", "lost before", "lost after", "late", "away", "refused", "listed", "bug"
]  # fmt: skip
MISHAPS: tuple[Mishap, ...] = get_args(Mishap)
"""``late``: the answer is lost, and the order comes after the next listing; ``listed``: a listing is made before it."""


class Killed(BaseException):
    """The service is gone, in the middle of whatever it did."""


class Slurm(SimulatedBackend):
    """Five nodes; what befalls the next orders stands in ``mishaps``.

    Attributes:
        mishaps: First first; None: nothing does.
        hidden: Numbers of jobs that listings leave out.
        given: Orders that came, with those that were not carried out.
        requeued: Jobs that were, in the policies' name.
        dead: Whether the service is, so that it gives no orders.
        late: Orders that are under way still.
    """

    def __init__(self) -> None:
        super().__init__("big", [node(name) for name in ("n1", "n2", "n3", "n4", "n5")], run_s=10**9)
        self.mishaps: list[Mishap | None] = []
        self.hidden: set[int] = set()
        self.given: list[Order | NodeOrder | ReservationOrder] = []
        self.requeued: list[int] = []
        self.dead = False
        self.late: list[Callable[[], Awaitable[None]]] = []
        self.list: Callable[[], Awaitable[None]] | None = None

    async def view(self, now: float) -> ClusterView:
        view = await super().view(now)
        jobs = {number: job for number, job in view.jobs.items() if number not in self.hidden}
        return ClusterView(view.cluster, now, jobs, view.nodes, view.partitions, reservations=view.reservations)

    async def _befalls(self, order: Order | NodeOrder | ReservationOrder, does: Callable[[], Awaitable[None]]) -> None:
        if self.dead:
            raise Killed
        self.given.append(order)
        mishap = self.mishaps.pop(0) if self.mishaps else None
        if mishap == "killed before":
            self.dead = True
            raise Killed
        if mishap == "away":
            raise SlurmUnavailable("The controller is away.")
        if mishap == "refused":
            raise Refused([Refusal("", "Slurm says no.")])
        if mishap == "lost before":
            raise OutcomeUnknown("The answer was lost.")
        if mishap == "bug":
            raise ValueError("What nobody foresaw.")
        if mishap == "late":
            self.late.append(does)
            raise OutcomeUnknown("The answer was lost.")
        if mishap == "listed" and self.list is not None:
            await self.list()
        await does()
        if mishap == "killed after":
            self.dead = True
            raise Killed
        if mishap == "lost after":
            raise OutcomeUnknown("The answer was lost.")

    async def act(self, user: str, order: Order) -> None:
        async def does() -> None:
            await SimulatedBackend.act(self, user, order)
            if order.verb is Verb.REQUEUE:
                self.requeued.append(int(order.target))

        await self._befalls(order, does)

    async def act_nodes(self, order: NodeOrder) -> None:
        await self._befalls(order, lambda: SimulatedBackend.act_nodes(self, order))

    async def reserve(self, order: ReservationOrder) -> None:
        await self._befalls(order, lambda: SimulatedBackend.reserve(self, order))

    async def person(self, order: Order | NodeOrder | ReservationOrder) -> None:
        """Somebody does something at once, whatever befalls others."""
        if isinstance(order, Order):
            await super().act(USER, order)
        elif isinstance(order, NodeOrder):
            await super().act_nodes(order)
        else:
            await super().reserve(order)


class Service:
    """One policy, what it says, and a service that can be killed and started anew. Its clock is the test's."""

    def __init__(self, empty_database: Path, folder: Path) -> None:
        shutil.copy(empty_database, folder / "jobs.db")
        self.store = Store(f"sqlite:///{folder}/jobs.db")
        self.slurm = Slurm()
        self.slurm.now = self.now = 10_000.0
        self.says: Sequence[Action] | None = ()
        """None: it fails."""
        self.on = True
        self.start()

    def start(self) -> None:
        """A new process, which remembers nothing but what is written down."""
        self.observer = Observer("big", self.slurm, self.store, max_age_s=1e6)
        self.slurm.list = self._list_again
        self.runner = PolicyRunner(
            self.store, self._hooks(), self.observer, USER, Past(self.store, self.observer.cluster)
        )

    def _hooks(self) -> Any:
        """In place of the plugins: they run in a process of their own, which is not what is tested here."""
        entry = SimpleNamespace(
            broken="", last_failure="it fails", setting=SimpleNamespace(name="p", dry_run=False),
            brought=SimpleNamespace(tick_s=1.0),
        )  # fmt: skip

        async def know(*_: object) -> None:
            pass

        async def tick(*_: object) -> tuple[Action, ...] | None:
            return None if self.says is None else tuple(self.says)

        @contextlib.contextmanager
        def held() -> Iterator[None]:
            yield

        at_work = SimpleNamespace(
            having=lambda _: [entry] if self.on else [], held=held, policies=SimpleNamespace(know=know), number=1
        )
        return SimpleNamespace(at_work=at_work, ask=SimpleNamespace(tick=tick))

    async def submit(self, user: str = "alice", **fields: Any) -> int:
        """A job of three nodes, so that one runs and the others wait; returns Slurm's number."""
        spec = JobSpec(script=SCRIPT, resources=Resources(nodes=3, gpus_per_node=8, wall_s=10**6), **fields)
        return await SimulatedBackend.submit(self.slurm, user, Launch(spec, ""))

    async def _list_again(self) -> None:
        """A listing that is asked for while an order is under way."""
        await self.observer.tick(self.now + 0.1 + 1e-6)

    async def turn(self, *mishaps: Mishap | None, seconds: float = 10.0, listed: bool = True) -> None:
        """A listing and what policies make of it; a service that is killed in it is started anew.

        Args:
            mishaps: What befalls the orders, first first.
            seconds: After the last one.
            listed: Whether there is a listing; else policies look at that which was there.
        """
        self.now += seconds
        self.slurm.mishaps = list(mishaps)
        try:
            if listed or self.observer.view is None:
                await self.observer.tick(self.now)
            late, self.slurm.late = self.slurm.late, []
            for does in late:
                with contextlib.suppress(HpcjobsError):
                    await does()
            await self.runner.tick(self.now + 0.1)
        except Killed:
            for _ in range(20):  # whatever else was under way ends, too
                await asyncio.sleep(0)
            self.slurm.dead = False
            self.start()
        finally:
            self.slurm.mishaps = []

    async def rest(self) -> None:
        """Turns until nothing is ordered any more. An order that is under way comes late by seconds, not minutes."""
        if self.slurm.late:
            await self.turn()
        for _ in range(12):
            self.slurm.given.clear()
            await self.turn(seconds=61.0)
            if not self.slurm.given and not any(row for row in self.runner.shown().troubles):
                return
        raise AssertionError(f"it never comes to rest: {self.slurm.given}")

    def close(self) -> None:
        self.store.close()

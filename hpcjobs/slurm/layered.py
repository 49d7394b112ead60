"""Several ways to one cluster, tried in order; and the table of what each can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from hpcjobs.errors import HpcjobsError, NotSupported
from hpcjobs.model.account import Account
from hpcjobs.model.capability import Capability
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Estimate, Order, Verb
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.slurm.base import Backend, Launch, Op, Subject

T = TypeVar("T")
SLOW: Final = "slurmrestd"
"""The way by which accounting is not read where there is another."""


class Layered:
    """One cluster through the first way that can do what is asked.

    A way that lacks something says so before anything is sent, or raises NotSupported having done nothing; then the
    next is asked. A way that fails is not replaced by the next: what it was told may have been done.

    Args:
        cluster: Its name.
        ways: At least one, the best first.
    """

    def __init__(self, cluster: str, ways: Sequence[Backend]) -> None:
        self.cluster = cluster
        self.ways = tuple(ways)
        self.kind = self.ways[0].kind

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """See Backend: the reasons of all ways, where none can."""
        reasons = [(way.kind, way.lacks(op, subject)) for way in self.ways]
        return "" if any(not why for _, why in reasons) else _joined(reasons)

    async def _do(self, op: Op, subject: Subject | None, call: Callable[[Backend], Awaitable[T]], last: str = "") -> T:
        """Have the first way that can do something; the way ``last`` only where no other can."""
        reasons = []
        for way in sorted(self.ways, key=lambda way: way.kind == last):
            why = way.lacks(op, subject)
            if not why:
                try:
                    return await call(way)
                except NotSupported as error:
                    why = error.detail
            reasons.append((way.kind, why))
        raise NotSupported(f"Cluster {self.cluster!r} has no way to do this: {_joined(reasons)}.")

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        return await self._do(Op.VIEW, None, lambda way: way.view(now))

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend. By slurmrestd only where nothing else can: its JSON of many jobs keeps it from all else."""
        return await self._do(Op.HISTORY, None, lambda way: way.runs(since, until), last=SLOW)

    async def scheduling(self) -> Scheduling:
        """See Backend."""
        return await self._do(Op.SCHEDULING, None, lambda way: way.scheduling())

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        return await self._do(Op.SUBMIT, launch, lambda way: way.submit(user, launch))

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        return await self._do(Op.FIND, None, lambda way: way.find(user, attempt))

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        await self._do(Op(order.verb), order, lambda way: way.act(user, order))

    async def act_nodes(self, order: NodeOrder) -> None:
        """See Backend."""
        await self._do(Op.NODES, order, lambda way: way.act_nodes(order))

    async def reserve(self, order: ReservationOrder) -> None:
        """See Backend."""
        await self._do(Op.RESERVE, order, lambda way: way.reserve(order))

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        return await self._do(Op.ESTIMATE, launch, lambda way: way.estimate(user, launch))

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        return await self._do(Op.HISTORY, None, lambda way: way.history(query))

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend. Asking changes nothing, so here the next way takes the place of one that fails."""
        *others, last = self.ways
        for way in others:
            try:
                return await way.accounts()
            except HpcjobsError:
                continue
        return await last.accounts()

    async def ledger(self) -> Ledger:
        """See Backend."""
        return await self._do(Op.LEDGER, None, lambda way: way.ledger())

    async def enter(self, order: LedgerOrder) -> None:
        """See Backend."""
        await self._do(Op.LEDGER, None, lambda way: way.enter(order))

    async def close(self) -> None:
        """See Backend."""
        for way in self.ways:
            await way.close()


def _joined(reasons: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{kind}: {why.rstrip('.')}" for kind, why in reasons)


_TARGETS: Final = ("1_2", "1_[2-3]", "1+1")
_CHANGES: Final = (
    Changes(nodes=1),
    Changes(array_max_running=1),
    Changes(nice=0),
    Changes(dependency=""),
)


def _probes(op: Op) -> Sequence[Subject]:
    """Orders that some way may not be able to carry out."""
    if op is Op.NODES:
        return [NodeOrder(("n1",), features=())]
    if op is Op.RESERVE:
        return [ReservationOrder(verb, "r") for verb in ReservationVerb]
    verb = next((verb for verb in Verb if verb.value == op.value), None)
    if verb is None:
        return []
    changes = _CHANGES if verb is Verb.UPDATE else ()
    orders = [Order(verb, target, signal="TERM") for target in _TARGETS]
    return orders + [Order(verb, "1", changes=change) for change in changes]


def _limits(way: Backend, op: Op) -> str:
    return "; ".join(dict.fromkeys(why for order in _probes(op) if (why := way.lacks(op, order))))


def ways_of(backend: Backend) -> tuple[Backend, ...]:
    """The ways that a backend goes by: itself, where it is one."""
    return backend.ways if isinstance(backend, Layered) else (backend,)


def capabilities(backend: Backend) -> tuple[Capability, ...]:
    """What can be done on a cluster, and which way does it."""
    ways = ways_of(backend)
    table = []
    for op in Op:
        lacking = {way.kind: why for way in ways if (why := way.lacks(op))}
        able = [way for way in ways if way.kind not in lacking]
        limits = {way.kind: why for way in able if (why := _limits(way, op))}
        table.append(Capability(op, able[0].kind if able else "", lacking, limits))
    return tuple(table)

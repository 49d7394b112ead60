"""The backend that goes through pyslurm agents: one process per user, one for the observer."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from hpcjobs.agents.pool import AgentFailure, AgentPool, Key, SpawnRefused
from hpcjobs.agents.protocol import Failure
from hpcjobs.errors import (
    HpcjobsError,
    NotAllowed,
    NotSupported,
    OutcomeUnknown,
    Refusal,
    Refused,
    Unavailable,
    WorkerLost,
)
from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Estimate, Order, Verb
from hpcjobs.model.reservation import ReservationOrder
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.slurm import accounting, ledger
from hpcjobs.slurm import pyslurm_orders as orders
from hpcjobs.slurm.base import Launch, Op, Subject
from hpcjobs.slurm.cluster_orders import check_nodes, check_reservation, retold
from hpcjobs.slurm.delta import Listing, merged
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.ledger_qos import QOS
from hpcjobs.slurm.targets import signal_number

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 20.0
"""A call on a controller that cannot be reached stands still for about 14 s; nothing healthy takes longer."""

SUBMITTERS: Final = 4
"""Most agents that submit for one user."""

HISTORIANS: Final = (1, 2, 3)
"""Which agents of the observer ask accounting: the listings' own must not wait for a slow slurmdbd, nor the observer's
question for users' long ones."""

STEERER: Final = 4
"""Which agent of the observer changes nodes and reservations and asks for the configuration: listings must not wait
for it, nor it for them.
"""

ACTING: Final = ("act", "act_nodes", "reserve")
CHANGING: Final = ("submit", *ACTING)
"""What may have been done where its answer was lost."""

VIEW_TIMEOUT_S: Final = 30.0
FIND_TIMEOUT_S: Final = 5.0
HISTORY_TIMEOUT_S: Final = 60.0


def _error(failure: Failure, op: str) -> HpcjobsError:
    if failure.kind == "slurm":
        return error_of(failure.errno, failure.message, changing=op in CHANGING)
    if failure.kind == "unsupported":
        return NotSupported(f"{failure.message}.")
    if failure.kind == "value":
        return Refused([Refusal("", failure.message)])
    if op == "submit" and failure.kind == "bug":  # before anything was sent, and it would be the same the next time
        return Refused([Refusal("", f"The worker failed: {failure.message}.", "worker-failed")])
    if op in ACTING:
        return OutcomeUnknown(f"The worker failed: {failure.message}.")
    return Unavailable(f"The worker failed: {failure.message}.")


class PyslurmBackend:
    """One cluster through pyslurm.

    Args:
        cluster: Its name.
        pool: Where the agents come from.
        slurm_conf: Path of its slurm.conf.
        observer: The user that lists all jobs; an operator in Slurm's accounting.
    """

    kind = "pyslurm"

    def __init__(self, cluster: str, pool: AgentPool, slurm_conf: str, observer: str) -> None:
        self.cluster = cluster
        self.pool = pool
        self.slurm_conf = slurm_conf
        self.observer = observer
        self._listing: tuple[int, ClusterView | None] = (0, None)
        """Serial number of the last listing, and the view that came of it."""

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """See Backend."""
        return orders.lacks(op, subject)

    def _check(self, op: Op, subject: Subject) -> None:
        if why := self.lacks(op, subject):
            raise NotSupported(f"Cluster {self.cluster!r}: {why}.")

    def _key(self, user: str, number: int = 0) -> Key:
        return Key("pyslurm", user, self.slurm_conf, number)

    async def _call(
        self,
        user: str,
        op: str,
        args: dict[str, Any],
        result: type[T],
        timeout_s: float = CALL_TIMEOUT_S,
        number: int = 0,
    ) -> T:
        try:
            return await self.pool.call(self._key(user, number), op, args, result, timeout_s)
        except AgentFailure as error:
            raise _error(error.failure, op) from error
        except SpawnRefused as error:
            raise NotAllowed(f"Cluster {self.cluster!r}: {error}.") from error
        except WorkerLost as error:
            if op in CHANGING and error.sent:
                raise OutcomeUnknown(error.detail) from error
            raise

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        since = self._listing[0]
        listing = await self._call(self.observer, "changes", {"since": since}, Listing, VIEW_TIMEOUT_S)
        before = self._listing[1] if listing.since else None
        view = merged(before, listing, self.cluster, now)
        self._listing = (listing.serial, view)
        return view

    async def scheduling(self) -> Scheduling:
        """See Backend."""
        return await self._call(self.observer, "scheduling", {}, Scheduling, number=STEERER)

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        self._check(Op.SUBMIT, launch)
        # A user who submits much has several agents: slurmctld takes from four together twice what it takes from one.
        lanes = [self._key(user, number) for number in range(SUBMITTERS)]
        lane = min(lanes, key=lambda key: (self.pool.load(key) // 2, key.number))
        return await self._call(user, "submit", {"launch": launch}, int, number=lane.number)

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        found: int = await self._call(user, "find", {"attempt": attempt}, int | None, FIND_TIMEOUT_S)  # type: ignore[arg-type]
        return found

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        self._check(Op(order.verb), order)
        if order.verb is Verb.SIGNAL:
            signal_number(order.signal)
        await self._call(user, "act", {"order": order}, type(None))

    async def act_nodes(self, order: NodeOrder) -> None:
        """See Backend."""
        check_nodes(order)
        self._check(Op.NODES, order)
        with retold(self.observer, order):
            await self._call(self.observer, "act_nodes", {"order": order}, type(None), number=STEERER)

    async def reserve(self, order: ReservationOrder) -> None:
        """See Backend."""
        check_reservation(order)
        self._check(Op.RESERVE, order)
        with retold(self.observer, order):
            await self._call(self.observer, "reserve", {"order": order}, type(None), number=STEERER)

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        raise NotSupported(f"Cluster {self.cluster!r}: {self.lacks(Op.ESTIMATE, launch)}.")

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        args = {"query": query}
        idle = min(HISTORIANS, key=lambda number: self.pool.load(self._key(self.observer, number)))
        return await self._call(self.observer, "history", args, tuple[Accounted, ...], HISTORY_TIMEOUT_S, number=idle)

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend."""
        args = {"since": since, "until": until}
        idle = min(HISTORIANS, key=lambda number: self.pool.load(self._key(self.observer, number)))
        return await self._call(self.observer, "runs", args, tuple[Run, ...], HISTORY_TIMEOUT_S, number=idle)

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend. Runs as the service's user, which this process is and which Slurm lets see all accounts."""
        return await accounting.ask(self.cluster, self.slurm_conf)

    async def ledger(self) -> Ledger:
        """See Backend. As accounts()."""
        associations, coordinators, tres, qos = [
            await accounting.asked(words, self.slurm_conf)
            for words in (ledger.associations_words(self.cluster), ledger.COORDINATORS, ledger.TRES, QOS)
        ]
        return ledger.read(associations, accounting.told_accounts(coordinators), tres, qos, self.cluster)

    async def enter(self, order: LedgerOrder) -> None:
        """See Backend. As accounts()."""
        status, out, said = await accounting.run(ledger.order_words(order, self.cluster), self.slurm_conf)
        ledger.judge(status, out, said)

    async def close(self) -> None:
        """The pool is the service's."""

"""The backend that goes through pyslurm agents: one process per user, one for the observer."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

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
from hpcjobs.model.job import JobSpec
from hpcjobs.model.order import Estimate, Order
from hpcjobs.slurm import accounting
from hpcjobs.slurm.base import Launch, Op
from hpcjobs.slurm.errnos import error_of

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 20.0
"""A call on a controller that cannot be reached stands still for about 14 s; nothing healthy takes longer."""

VIEW_TIMEOUT_S: Final = 30.0
FIND_TIMEOUT_S: Final = 5.0


def _error(failure: Failure, *, submitting: bool) -> HpcjobsError:
    if failure.kind == "slurm":
        return error_of(failure.errno, failure.message, submitting=submitting)
    if failure.kind == "value":
        return Refused([Refusal("", failure.message)])
    if submitting:
        return OutcomeUnknown(f"The worker failed: {failure.message}.")
    return Unavailable(f"The worker failed: {failure.message}.")


def cannot_say(spec: JobSpec) -> str:
    """What of a spec pyslurm 25.11 would drop without a word (docs/adr/0005), or ``""``."""
    if "" in spec.args:
        return "drops empty script arguments and all that follow them"
    if spec.resources.mem_per_node_bytes == 0:
        return "takes --mem=0 (all the memory of each node) for no request"
    return ""


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

    async def _call(
        self, user: str, op: str, args: dict[str, Any], result: type[T], timeout_s: float = CALL_TIMEOUT_S
    ) -> T:
        submitting = op == "submit"
        try:
            return await self.pool.call(Key("pyslurm", user, self.slurm_conf), op, args, result, timeout_s)
        except AgentFailure as error:
            raise _error(error.failure, submitting=submitting) from error
        except SpawnRefused as error:
            raise NotAllowed(f"Cluster {self.cluster!r}: {error}.") from error
        except WorkerLost as error:
            if submitting and error.sent:
                raise OutcomeUnknown(error.detail) from error
            raise

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        return await self._call(
            self.observer, "view", {"cluster": self.cluster, "now": now}, ClusterView, VIEW_TIMEOUT_S
        )

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        if lacking := cannot_say(launch.spec):
            raise NotSupported(f"Cluster {self.cluster!r} is reached through pyslurm, which {lacking}.")
        return await self._call(user, "submit", {"launch": msgspec.to_builtins(launch)}, int)

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        found: int = await self._call(user, "find", {"attempt": attempt}, int | None, FIND_TIMEOUT_S)  # type: ignore[arg-type]
        return found

    def lacks(self, op: Op, subject: Launch | Order | None = None) -> str:
        """See Backend."""
        return "" if op in (Op.VIEW, Op.FIND, Op.SUBMIT, Op.CANCEL) else "not yet"

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        raise NotSupported("not yet")

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        raise NotSupported("not yet")

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        slurm_job_id = int(order.target)
        await self._call(user, "cancel", {"slurm_job_id": slurm_job_id}, type(None))

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend. Runs as the service's user, which this process is and which Slurm lets see all accounts."""
        return await accounting.ask(self.cluster, self.slurm_conf)

    async def close(self) -> None:
        """The pool is the service's."""

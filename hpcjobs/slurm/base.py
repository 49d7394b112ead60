"""What every backend can do, and what is handed to it."""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.capability import Op as Op
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Estimate, Order
from hpcjobs.model.reservation import ReservationOrder
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.sbatch.units import ceil_div as ceil_div

_MARK = re.compile(r" ?\bhpcjobs:([0-9a-f]{32})\b")


class Launch(msgspec.Struct, frozen=True):
    """A submission ready to be sent: nothing in it is left to a backend's taste.

    Attributes:
        spec: The admitted spec; name, workdir and environment are filled in.
        attempt: The attempt's id; it travels in the job's comment, so that a lost answer is found again.
    """

    spec: JobSpec
    attempt: str

    @property
    def comment(self) -> str:
        """The comment that Slurm stores: the user's own, then our mark."""
        return with_mark(self.spec.comment, self.attempt)


Subject = Launch | Order | NodeOrder | ReservationOrder
"""What something is done with."""


def with_mark(comment: str | None, attempt: str) -> str:
    """A user's comment with our mark after it."""
    return f"{comment} hpcjobs:{attempt}" if comment else f"hpcjobs:{attempt}"


def split_comment(comment: str | None) -> tuple[str, str | None]:
    """Take our mark out of a comment.

    Args:
        comment: As Slurm stores it. A site's plugin may have written before and behind the mark; of several, the last
            is ours.

    Returns:
        The comment without our mark, and the attempt's id or None.
    """
    text = comment or ""
    *_, match = (None, *_MARK.finditer(text))
    return (text[: match.start()] + text[match.end() :], match[1]) if match else (text, None)


class Backend(Protocol):
    """One cluster, seen through one of the ways to talk to Slurm.

    Every method raises SlurmUnavailable where the controller does not answer and nothing was done, WorkerLost
    where a process on the way died, Refused where Slurm says no, and NotSupported where ``lacks`` says why.
    """

    kind: str
    """``pyslurm``, ``slurmrestd`` or ``ssh``: which way this is."""

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """Why this way cannot do that, in words for a person, or ``""``.

        Args:
            op: What.
            subject: What it would be done with; None asks whether it can be done at all.
        """
        ...

    async def view(self, now: float) -> ClusterView:
        """Every job, node, partition and reservation that the controller knows.

        Args:
            now: Unix seconds; becomes ``asked_at``.
        """
        ...

    async def scheduling(self) -> Scheduling:
        """What the configuration that the controller goes by says of scheduling."""
        ...

    async def submit(self, user: str, launch: Launch) -> int:
        """Submit as ``user``.

        Returns:
            Slurm's job number.

        Raises:
            OutcomeUnknown: It was sent and no answer came; the job may exist.
        """
        ...

    async def find(self, user: str, attempt: str) -> int | None:
        """Look for the job that carries this attempt's mark; None where the controller does not list it."""
        ...

    async def act(self, user: str, order: Order) -> None:
        """Do something with a job, as ``user``.

        Raises:
            JobUnknown: Slurm does not know the job.
            Conflict: It has already ended, or its state does not allow this.
            NotAllowed: Slurm does not let this user.
            OutcomeUnknown: It was sent and no answer came; it may have been done.
        """
        ...

    async def act_nodes(self, order: NodeOrder) -> None:
        """Change nodes, as the service's own user.

        Raises:
            NotAllowed: That user is no administrator of Slurm; nothing was done.
            Conflict: A node's state does not allow this.
            OutcomeUnknown: It was sent and no answer came; it may have been done.
        """
        ...

    async def reserve(self, order: ReservationOrder) -> None:
        """Make, change or delete a reservation, as the service's own user.

        Raises:
            NotAllowed: That user is no operator of Slurm; nothing was done.
            Conflict: It is there already, its nodes are not free for it, or it is in use.
            Refused: With ESLURM_RESERVATION_INVALID also where there is none of that name.
            OutcomeUnknown: It was sent and no answer came; it may have been done.
        """
        ...

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """What Slurm would do with a submission by ``user``; nothing is submitted."""
        ...

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """What accounting knows; a requeued job is its last run only."""
        ...

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """Every run of a job that accounting has in a time: each try, size, task and component for itself.

        Args:
            since: Unix seconds: what had not ended before.
            until: Unix seconds: what was there before; 0: any time.
        """
        ...

    async def accounts(self) -> tuple[Account, ...]:
        """Every account of this cluster, with its members and coordinators, as Slurm's accounting has them.

        Asked of slurmdbd and never of the controller; it may be away while the cluster works.
        """
        ...

    async def ledger(self) -> Ledger:
        """What accounts, members, coordinators and limits there are, as Slurm's accounting has them."""
        ...

    async def enter(self, order: LedgerOrder) -> None:
        """Change Slurm's accounting, as the service's own user; doing it again changes nothing.

        Raises:
            Refused: Slurm is against it: that user is no operator there, or what it is about does not exist.
            OutcomeUnknown: It was sent and no answer came; it may have been done.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and processes."""
        ...

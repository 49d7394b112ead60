"""What every backend can do, and what is handed to it."""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobSpec

MIB: Final = 1024 * 1024
_MARK = re.compile(r" ?\bhpcjobs:([0-9a-f]{32})\Z")


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
        own = f"{self.spec.comment} " if self.spec.comment else ""
        return f"{own}hpcjobs:{self.attempt}"


def split_comment(comment: str | None) -> tuple[str, str | None]:
    """Take our mark out of a comment.

    Args:
        comment: As Slurm stores it.

    Returns:
        The user's own comment, and the attempt's id or None.
    """
    text = comment or ""
    match = _MARK.search(text)
    return (text[: match.start()], match[1]) if match else (text, None)


def ceil_div(amount: int, unit: int) -> int:
    """Whole units that hold the amount."""
    return -(-amount // unit)


class Backend(Protocol):
    """One cluster, seen through one of the ways to talk to Slurm.

    Every method raises SlurmUnavailable where the controller does not answer and nothing was done, WorkerLost
    where a process on the way died, and Refused where Slurm says no.
    """

    kind: str
    """``pyslurm`` or ``slurmrestd``: which way this is."""

    async def view(self, now: float) -> ClusterView:
        """Every job and node that the controller knows; ``now`` (Unix seconds) becomes ``asked_at``."""
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

    async def cancel(self, user: str, slurm_job_id: int) -> None:
        """Cancel as ``user``. A job that has already ended raises Conflict."""
        ...

    async def accounts(self) -> tuple[Account, ...]:
        """Every account of this cluster, with its members and coordinators, as Slurm's accounting has them.

        Asked of slurmdbd and never of the controller; it may be away while the cluster works.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and processes."""
        ...

"""The backend that goes through pyslurm agents: one process per user, one for the observer."""

from __future__ import annotations

import asyncio
import os
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
from hpcjobs.model.job import JobSpec
from hpcjobs.slurm.accounting import AccountsTold, accounts_of
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.errnos import error_of

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 20.0
"""A call on a controller that cannot be reached stands still for about 14 s; nothing healthy takes longer."""

VIEW_TIMEOUT_S: Final = 30.0
FIND_TIMEOUT_S: Final = 5.0
ACCOUNTING_TIMEOUT_S: Final = 30.0
SACCTMGR: Final = ("sacctmgr", "--json", "show", "account", "withassoc", "withcoord")
"""pyslurm 25.11 does not know coordinators."""


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

    async def cancel(self, user: str, slurm_job_id: int) -> None:
        """See Backend."""
        await self._call(user, "cancel", {"slurm_job_id": slurm_job_id}, type(None))

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend. Runs as the service's user, which this process is, and which Slurm lets see all accounts."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": self.slurm_conf}
        try:
            process = await asyncio.create_subprocess_exec(
                *SACCTMGR, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
            )
        except OSError as error:
            raise Unavailable(f"sacctmgr cannot be run: {error.strerror}.") from error
        try:
            async with asyncio.timeout(ACCOUNTING_TIMEOUT_S):
                out, said = await process.communicate()
        except TimeoutError:
            raise Unavailable(f"Slurm's accounting did not answer within {ACCOUNTING_TIMEOUT_S:g} s.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            words = said.decode(errors="replace").strip().rsplit("\n", 1)[-1]
            raise Unavailable(f"Slurm's accounting did not answer: {words or 'without a reason'}.")
        try:
            return accounts_of(msgspec.json.decode(out, type=AccountsTold).accounts, self.cluster)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"sacctmgr answered what we cannot read: {error}.") from error

    async def close(self) -> None:
        """The pool is the service's."""

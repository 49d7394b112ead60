"""What is asked for of a job by name, or of many in one call, and what came of each."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from hpcjobs.model.job import Fate, State
from hpcjobs.model.order import Changes, SignalScope, Verb
from hpcjobs.model.problem import Problem

MAX_JOBS: Final = 1000


class RequeueRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to requeue.

    Attributes:
        hold: Whether it is held, so that it does not start again until it is released.
    """

    hold: bool = False


class SignalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which signal, and to whom.

    Attributes:
        signal: Name without SIG (``USR1``, ``TERM``) or number (``10``).
        scope: Which of the job's processes get it.
    """

    signal: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+_-]{1,16}$")]
    scope: SignalScope = SignalScope.STEPS


class JobSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which jobs: every field that is given must hold. At least one is needed.

    One's own, where neither user, account nor parent says otherwise.

    Attributes:
        user: Of this user.
        cluster: On this cluster.
        state: In one of these states.
        fate: Ended in one of these ways.
        account: Charged to this account.
        partition: In this partition.
        name: With exactly this name.
        parent: Tasks of the array, or components of the heterogeneous job, with this id.
    """

    user: str | None = None
    cluster: str | None = None
    state: list[State] | None = None
    fate: list[Fate] | None = None
    account: str | None = None
    partition: str | None = None
    name: str | None = None
    parent: str | None = None


class ActionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same for many jobs.

    Attributes:
        verb: What.
        jobs: By name: our ids or Slurm's numbers, also ``123_4`` and ``123_[1-5]``. Either this or ``filter``.
        filter: By what they are: those that are so now; 1000 at the most.
        cluster: On which cluster Slurm's numbers in ``jobs`` count; with ``filter``: only jobs of this cluster.
        signal: For signal.
        scope: For signal.
        hold: For requeue.
        changes: For update.
    """

    verb: Verb
    jobs: Annotated[list[str], msgspec.Meta(max_length=MAX_JOBS)] | None = None
    filter: JobSet | None = None
    cluster: str | None = None
    signal: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+_-]{0,16}$")] = ""
    scope: SignalScope = SignalScope.STEPS
    hold: bool = False
    changes: Changes | None = None


class ActionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one job.

    Attributes:
        job: As it was named, or our id.
        done: Whether Slurm has taken the order.
        problem: Why not.
    """

    job: str
    done: bool
    problem: Problem | None = None


class ActionReport(msgspec.Struct, frozen=True):
    """What became of each job.

    Attributes:
        results: One for each, in the order of the request.
        done: How many orders Slurm has taken.
        failed: How many not.
    """

    results: list[ActionResult]
    done: int
    failed: int

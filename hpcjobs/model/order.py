"""What can be asked of a job that Slurm has, and what Slurm would do with one that it has not."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.placement import Placement


class Verb(StrEnum):
    """What to do with a job."""

    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    REQUEUE = "requeue"
    SUSPEND = "suspend"
    RESUME = "resume"
    SIGNAL = "signal"
    UPDATE = "update"


class SignalScope(StrEnum):
    """Which of a job's processes get a signal."""

    STEPS = "steps"  # every step, not the batch script; same as scancel --signal
    BATCH = "batch"  # the batch script only; same as scancel --batch --signal
    FULL = "full"  # steps, batch script and its children; same as scancel --full --signal


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change of a job; a field that is None stays as it is. Same as ``scontrol update job``.

    Attributes:
        name: Same as JobName.
        account: Same as Account.
        partition: One or several, comma-separated; same as Partition.
        qos: Same as QOS.
        reservation: Same as ReservationName; ``""`` takes a waiting job out of its reservation.
        dependency: As ``afterok:123``; ``""`` takes it away; same as Dependency.
        comment: Same as Comment.
        constraint: Same as Features.
        nodelist: Same as ReqNodeList; ``""`` takes it away.
        exclude: Same as ExcNodeList; ``""`` takes it away.
        nodes: Least number of nodes; same as NumNodes.
        nodes_max: Most nodes; None: as many as ``nodes``.
        wall_s: Time limit in seconds, rounded up to minutes; same as TimeLimit. Users may only lower it.
        time_min_s: Least time limit in seconds, rounded up to minutes; same as TimeMin.
        begin: Unix seconds before which it does not start; 0 is now; same as StartTime.
        deadline: Unix seconds by which it must have ended; same as Deadline.
        nice: Same as Nice; only operators go below 0.
        priority: Same as Priority; for operators. It stays as it is set from then on.
        requeue: Whether it may be requeued; same as Requeue.
        array_max_running: Most tasks of an array that run at a time; 0 is no limit; same as ArrayTaskThrottle.
    """

    name: str | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    reservation: str | None = None
    dependency: str | None = None
    comment: str | None = None
    constraint: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    nodes: int | None = None
    nodes_max: int | None = None
    wall_s: int | None = None
    time_min_s: int | None = None
    begin: int | None = None
    deadline: int | None = None
    nice: int | None = None
    priority: int | None = None
    requeue: bool | None = None
    array_max_running: int | None = None


class Order(msgspec.Struct, frozen=True):
    """Something to do with a job, ready for a backend.

    Attributes:
        verb: What.
        target: Slurm's own name of the job: ``123``, ``123_4``, ``123_[1-5,7]``, ``123+1``.
        signal: For SIGNAL: name without SIG (``USR1``) or number.
        scope: For SIGNAL: which processes.
        hold: For REQUEUE: requeue it held.
        changes: For UPDATE; ``comment`` already carries our mark.
    """

    verb: Verb
    target: str
    signal: str = ""
    scope: SignalScope = SignalScope.STEPS
    hold: bool = False
    changes: Changes | None = None


class Estimate(msgspec.Struct, frozen=True):
    """What Slurm would do with a submission if it came now (``sbatch --test-only``).

    Attributes:
        start_time: Unix seconds at which it would start.
        node_list: Where, as a hostlist.
        partition: In which partition.
        cpus: How many CPUs it would get.
    """

    start_time: int
    node_list: str = ""
    partition: str = ""
    cpus: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """What would come of a submission.

    Attributes:
        valid: Whether nothing is known to be against it.
        errors: Everything that is against it.
        estimate: When and where it would start, where Slurm can be asked.
        note: Why there is no estimate though nothing is against it, or ``""``.
        placement: Where it would be placed, for a job that says how it is parallel.
    """

    valid: bool
    errors: tuple[Refusal, ...] = ()
    estimate: Estimate | None = None
    note: str = ""
    placement: Placement | None = None

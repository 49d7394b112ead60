"""What can be done to the jobs of a simulated cluster, with Slurm's own refusals."""

from __future__ import annotations

import signal
from typing import Final, Protocol

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.job import JobRecord
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.spec import JobSpec
from hpcjobs.slurm.base import split_comment
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.outcomes import Part, verdict
from hpcjobs.slurm.simulated_particulars import particulars_of
from hpcjobs.slurm.targets import expand_tasks, parse_target, signal_number

REQUEUE_PAUSE_S: Final = 121
"""Slurm lets a requeued job wait that long (DESIGN.md)."""

FAULTS: Final = {
    2000: "Invalid partition name specified",
    2002: "Access/permission denied",
    2010: "Invalid user id",
    2017: "Invalid job id specified",
    2020: "Job can not be altered now, try again later",
    2021: "Job/step already completing or completed",
    2024: "Job is pending execution",
    2073: "Job is no longer pending execution",
    2084: "Job has already finished",
    2087: "Job is not suspended",
}


class Entry(msgspec.Struct):
    """One job, or the tasks of an array that wait together.

    Attributes:
        ends_at: When it ends, if it runs; while it is suspended: how long it would still run, in seconds.
        held: Whether its owner holds it.
        waiting: Tasks that wait together.
        parallel: Most tasks of its array that run at a time; 0 is no limit.
        signals: What it was sent.
    """

    record: JobRecord
    spec: JobSpec
    ends_at: float = 0.0
    placed: tuple[str, ...] = ()
    held: bool = False
    waiting: list[int] = []
    parallel: int = 0
    signals: list[int] = []

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self.record.fate is not None


class Cluster(Protocol):
    """What orders need of the cluster."""

    now: float
    operators: frozenset[str]
    known_accounts: tuple[Account, ...]
    users_suspend: bool

    def judge(self, spec: JobSpec, user: str) -> None:
        """Refuse what can never run."""

    def let_go(self, entry: Entry) -> None:
        """Give back what it holds."""

    def split(self, entry: Entry, task: int) -> Entry:
        """Make a job of its own of a waiting task."""
        ...

    def rename(self, entry: Entry) -> None:
        """Write the waiting tasks into the record."""

    def set_state(self, entry: Entry, raw_state: str, **facts: object) -> None:
        """Write a state and what goes with it into the record."""


def carry_out(cluster: Cluster, jobs: dict[int, Entry], user: str, order: Order) -> None:
    """Do something with a job.

    Args:
        cluster: Where it is.
        jobs: All of them, by number.
        user: In whose name.
        order: What.

    Raises:
        HpcjobsError: As Slurm would.
    """
    if order.verb is Verb.SIGNAL:
        signal_number(order.signal)
    entries = _named(cluster, jobs, order.target)
    if not entries:
        raise error_of(2017, FAULTS[2017])
    changes = order.changes or Changes()
    for_operators = bool(changes.priority or changes.deadline) or (
        order.verb in (Verb.SUSPEND, Verb.RESUME) and not cluster.users_suspend
    )
    parts = []
    for entry in entries:
        operator = user in cluster.operators
        manager = any(
            account.name == entry.record.account and user in account.coordinators for account in cluster.known_accounts
        )
        allowed = operator or ((manager or user == entry.record.user) and not for_operators)
        errno = _do(cluster, entry, order) if allowed else 2002
        parts.append(Part(order.target, errno, FAULTS.get(errno, "")))
    error = verdict(parts)
    if error is not None:
        raise error


def _named(cluster: Cluster, jobs: dict[int, Entry], text: str) -> list[Entry]:
    target = parse_target(text)
    of_array = [entry for entry in jobs.values() if entry.record.array_job_id == target.number]
    if target.offset is not None:
        return []  # it makes no heterogeneous jobs
    if not target.tasks:
        one = jobs.get(target.number)
        return of_array or ([] if one is None else [one])
    found = []
    for task in expand_tasks(target.tasks):
        for entry in of_array:
            if task in entry.waiting:
                found.append(cluster.split(entry, task))
            elif not entry.waiting and entry.record.array_task == str(task):
                found.append(entry)
    return found


def _do(cluster: Cluster, entry: Entry, order: Order) -> int:
    """Slurm's error number, 0 for done."""
    doing = {
        Verb.CANCEL: _cancel,
        Verb.HOLD: _hold,
        Verb.RELEASE: _release,
        Verb.REQUEUE: _requeue,
        Verb.SUSPEND: _suspend,
        Verb.RESUME: _resume,
        Verb.SIGNAL: _signal,
        Verb.UPDATE: _update,
    }
    return doing[order.verb](cluster, entry, order)


def _cancel(cluster: Cluster, entry: Entry, _order: Order) -> int:
    if entry.ended:
        return 2021
    cluster.let_go(entry)
    cluster.set_state(entry, "CANCELLED", end_time=int(cluster.now))
    return 0


def _hold(cluster: Cluster, entry: Entry, _order: Order) -> int:
    if entry.ended:
        return 2084
    entry.held = True
    if entry.record.raw_state == "PENDING":
        cluster.set_state(entry, "PENDING", reason="JobHeldUser", priority=0)
    return 0


def _release(cluster: Cluster, entry: Entry, _order: Order) -> int:
    if entry.ended:
        return 2084
    entry.held = False
    if entry.record.raw_state in ("PENDING", "REQUEUE_HOLD"):
        cluster.set_state(entry, "PENDING", reason="Priority", priority=1)
    return 0


def _requeue(cluster: Cluster, entry: Entry, order: Order) -> int:
    if entry.record.raw_state == "PENDING":
        return 2024
    if not entry.ended:
        cluster.let_go(entry)
    entry.held = order.hold
    raw_state, reason = ("REQUEUE_HOLD", "job requeued in held state") if order.hold else ("PENDING", "BeginTime")
    cluster.set_state(
        entry,
        raw_state,
        reason=reason,
        restarts=entry.record.restarts + 1,
        eligible_time=0 if order.hold else int(cluster.now) + REQUEUE_PAUSE_S,
        start_time=0,
        end_time=0,
        node_list="",
    )
    return 0


def _suspend(cluster: Cluster, entry: Entry, _order: Order) -> int:
    if entry.ended:
        return 2021
    if entry.record.raw_state == "PENDING":
        return 2024
    if entry.record.raw_state == "RUNNING":
        entry.ends_at -= cluster.now
        cluster.set_state(entry, "SUSPENDED")
    return 0


def _resume(cluster: Cluster, entry: Entry, _order: Order) -> int:
    if entry.ended:
        return 2021
    if entry.record.raw_state != "SUSPENDED":
        return 2087
    entry.ends_at += cluster.now
    cluster.set_state(entry, "RUNNING")
    return 0


def _signal(cluster: Cluster, entry: Entry, order: Order) -> int:
    number = signal_number(order.signal)
    if number == signal.SIGKILL:
        return _cancel(cluster, entry, order)
    if entry.ended:
        return 2021
    if entry.record.raw_state == "PENDING":
        return 2020
    entry.signals = [*entry.signals, number]
    return 0


def _update(cluster: Cluster, entry: Entry, order: Order) -> int:
    changes = order.changes or Changes()
    if entry.ended:
        return 2084
    waits = entry.record.raw_state == "PENDING"
    if not waits and (changes.partition is not None or changes.nodes is not None):
        return 2073
    limit = entry.record.wall_s
    if changes.wall_s is not None and not waits and limit is not None and changes.wall_s > limit:
        return 2002
    told = {name: value for name in Changes.__struct_fields__ if (value := getattr(changes, name)) is not None}
    if changes.begin is not None:
        told["eligible_time"] = changes.begin
    if changes.comment is not None:
        told["comment"], told["attempt"] = split_comment(changes.comment)
    entry.parallel = told.get("array_max_running", entry.parallel)
    resources = {name: told[name] for name in type(entry.spec.resources).__struct_fields__ if name in told}
    of_spec = set(JobSpec.__struct_fields__) - {"begin", "deadline"}  # texts there, Unix seconds here
    fields = {name: told[name] for name in of_spec if name in told}
    spec = msgspec.structs.replace(
        entry.spec, resources=msgspec.structs.replace(entry.spec.resources, **resources), **fields
    )
    if waits:
        cluster.judge(spec, entry.record.user)
    entry.spec = spec
    facts = {name: told[name] for name in JobRecord.__struct_fields__ if name in told}
    entry.record = msgspec.structs.replace(entry.record, **facts, particulars=particulars_of(spec))
    if entry.waiting:
        cluster.rename(entry)
    return 0

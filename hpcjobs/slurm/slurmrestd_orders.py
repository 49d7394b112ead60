"""Orders in slurmrestd's words, and what it cannot do. Pure."""

from __future__ import annotations

from typing import Any, Final

from hpcjobs.model.order import Changes, Order, SignalScope, Verb
from hpcjobs.model.spans import MOST_COUNTED, count_tasks, parse_spans
from hpcjobs.sbatch.units import count_range_text
from hpcjobs.slurm import slurmrestd_body, slurmrestd_cluster
from hpcjobs.slurm.base import Launch, Op, Subject, ceil_div
from hpcjobs.slurm.targets import expand_tasks, parse_target

CONFIGURED_SINCE: Final = 45
REQUEUES_SINCE: Final = 45
MOST_REQUEUED: Final = 1000
"""Tasks that one call may name: slurmrestd wants each by itself."""

_FLAGS: Final = {SignalScope.STEPS: [], SignalScope.BATCH: ["BATCH_JOB"], SignalScope.FULL: ["FULL_JOB"]}
_BY_UPDATE: Final = {Op.HOLD, Op.RELEASE, Op.UPDATE}


def lacks(op: Op, subject: Subject | None, version: str) -> str:
    """Why slurmrestd cannot do that; see Backend.lacks.

    Args:
        op: What.
        subject: With what.
        version: Of slurmrestd's API, as ``v0.0.45``; ``""``: not known yet.
    """
    if op in (Op.SUSPEND, Op.RESUME):
        return "slurmrestd has no call that suspends or resumes a job"
    if op is Op.ESTIMATE:
        return "slurmrestd has no call that tests a submission without making it"
    if op is Op.SCHEDULING and version and int(version.rpartition(".")[2]) < CONFIGURED_SINCE:
        return f"slurmrestd {version} does not tell the configuration; v0.0.{CONFIGURED_SINCE} is the first that does"
    if op is Op.REQUEUE and version and int(version.rpartition(".")[2]) < REQUEUES_SINCE:
        return f"slurmrestd {version} has no call that requeues a job; v0.0.{REQUEUES_SINCE} is the first that has"
    if op is Op.LEDGER:
        return "accounts and their limits are changed by sacctmgr only"
    if op is Op.RESERVE:
        return slurmrestd_cluster.lacks_reserve(version)
    if isinstance(subject, Launch):
        return slurmrestd_body.lacks(subject, version or slurmrestd_body.VERSIONS[0])
    if not isinstance(subject, Order):
        return ""
    target = parse_target(subject.target)
    if op in _BY_UPDATE and (target.tasks or target.offset is not None):
        return "slurmrestd changes whole jobs and whole arrays only, no single tasks or components"
    if op is Op.REQUEUE and target.several and _too_many(target.tasks):
        return f"slurmrestd wants every task named by itself; more than {MOST_REQUEUED} are too many"
    return ""


def _too_many(tasks: str) -> bool:
    spans = parse_spans(tasks)
    return sum(map(len, spans)) > MOST_COUNTED or count_tasks(spans) > MOST_REQUEUED


def kill_body(order: Order) -> dict[str, Any]:
    """What DELETE /jobs/ wants: cancel or signal."""
    body: dict[str, Any] = {"jobs": [parse_target(order.target).text]}
    if order.verb is Verb.SIGNAL:
        body |= {"signal": order.signal, "flags": _FLAGS[order.scope]}
    return body


def requeue_body(order: Order) -> dict[str, Any]:
    """What POST /jobs/requeue wants; it knows no brackets."""
    target = parse_target(order.target)
    names = [f"{target.number}_{task}" for task in expand_tasks(target.tasks)] if target.several else [target.text]
    return {"jobs": names, "flags": ["Hold"]} if order.hold else {"jobs": names}


def change_body(changes: Changes, now: float) -> dict[str, Any]:
    """What POST /job/N wants.

    Args:
        changes: What to change.
        now: Unix seconds; a begin of 0 becomes this, because slurmrestd takes 0 for "leave it".
    """
    words: dict[str, Any] = {
        "name": changes.name,
        "account": changes.account,
        "partition": changes.partition,
        "qos": changes.qos,
        "reservation": changes.reservation,
        "dependency": changes.dependency,
        "comment": changes.comment,
        "constraints": changes.constraint,
        "required_nodes": changes.nodelist,
        "excluded_nodes": changes.exclude,
        "nodes": count_range_text(changes.nodes, changes.nodes_max),
        "time_limit": None if changes.wall_s is None else _number(ceil_div(changes.wall_s, 60)),
        "time_minimum": None if changes.time_min_s is None else _number(ceil_div(changes.time_min_s, 60)),
        "begin_time": None if changes.begin is None else _number(changes.begin or int(now)),
        "deadline": changes.deadline,
        "nice": changes.nice,
        "priority": None if changes.priority is None else _number(changes.priority),
        "requeue": changes.requeue,
        "array": None if changes.array_max_running is None else str(changes.array_max_running),
    }
    return {word: value for word, value in words.items() if value is not None}


def _number(amount: int) -> dict[str, Any]:
    return {"set": True, "number": amount}

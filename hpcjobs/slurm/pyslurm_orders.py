"""Orders in pyslurm's words, and what pyslurm 25.11 cannot do (docs/adr/0005). Pure: no pyslurm here."""

from __future__ import annotations

from typing import Any, Final

from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.slurm import pyslurm_description
from hpcjobs.slurm.base import Op, Subject, ceil_div
from hpcjobs.slurm.targets import parse_target

ARRAYS: Final = "pyslurm acts on jobs by plain numbers only, not on arrays or heterogeneous jobs"

MAKES_NONE: Final = "pyslurm's process dies once it has made a reservation"


def cannot_change(changes: Changes) -> str:
    """What of these changes pyslurm would drop without a word, or ``""``."""
    if changes.nodes is not None or changes.nodes_max is not None:
        return "pyslurm cannot change the number of nodes"
    if changes.array_max_running is not None:
        return ARRAYS
    if changes.nice == 0:
        return "pyslurm takes nice 0 for no change"
    emptied = [name for name in Changes.__struct_fields__ if getattr(changes, name) == ""]
    return f"pyslurm cannot take {', '.join(emptied)} away" if emptied else ""


def lacks(op: Op, subject: Subject | None) -> str:
    """Why pyslurm cannot do that; see Backend.lacks."""
    if op is Op.ESTIMATE:
        return "pyslurm has no call that tests a submission without making it"
    if isinstance(subject, NodeOrder):
        return "pyslurm cannot take all features away" if subject.features == () else ""
    if isinstance(subject, ReservationOrder):
        return MAKES_NONE if subject.verb is ReservationVerb.MAKE else ""
    if isinstance(subject, Order):
        target = parse_target(subject.target)
        if target.tasks or target.offset is not None:
            return ARRAYS
        if subject.changes is not None:
            return cannot_change(subject.changes)
        return ""
    return "" if subject is None else pyslurm_description.lacks(subject)


def change_words(changes: Changes, now: float) -> dict[str, Any]:
    """What pyslurm's JobSubmitDescription is given to change a job.

    Args:
        changes: Nothing in them is what pyslurm cannot change.
        now: Unix seconds; a begin of 0 becomes this, because Slurm takes 0 for "leave it".
    """
    words: dict[str, Any] = {
        "name": changes.name,
        "account": changes.account,
        "partitions": changes.partition,
        "qos": changes.qos,
        "reservations": changes.reservation,
        "dependencies": changes.dependency,
        "comment": changes.comment,
        "constraints": changes.constraint,
        "required_nodes": changes.nodelist,
        "excluded_nodes": changes.exclude,
        "time_limit": None if changes.wall_s is None else f"{ceil_div(changes.wall_s, 60)}:00",
        "time_limit_min": None if changes.time_min_s is None else f"{ceil_div(changes.time_min_s, 60)}:00",
        "begin_time": None if changes.begin is None else changes.begin or int(now),
        "deadline": changes.deadline,
        "nice": changes.nice,
        "priority": changes.priority,
        "is_requeueable": changes.requeue,
    }
    return {word: value for word, value in words.items() if value is not None}


def node_words(order: NodeOrder) -> dict[str, Any]:
    """What pyslurm's Node is given to change nodes."""
    features = None if order.features is None else list(order.features)
    words: dict[str, Any] = {
        "weight": order.weight,
        "available_features": features,
        "active_features": features,
        "state": "RESUME" if order.resume else None if order.drain is None else "DRAIN",
        "reason": order.drain,
    }
    return {word: value for word, value in words.items() if value is not None}


def reservation_words(order: ReservationOrder, now: float) -> dict[str, Any]:
    """What pyslurm's Reservation is given to change one.

    Args:
        order: The change.
        now: Unix seconds; a start of 0 becomes this.
    """
    words: dict[str, Any] = {
        "nodes": None if order.nodes is None else fold_hostlist(order.nodes),
        "start_time": None if order.start is None else order.start or int(now),
        "end_time": order.end,
        "users": None if order.users is None else list(order.users),
        "accounts": None if order.accounts is None else list(order.accounts),
    }
    return {word: value for word, value in words.items() if value is not None}

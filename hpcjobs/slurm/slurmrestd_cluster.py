"""Orders to nodes and reservations in slurmrestd's words, and which versions know them. Pure."""

from __future__ import annotations

from typing import Any, Final

from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import ReservationOrder

RESERVES_SINCE: Final = 43


def lacks_reserve(version: str) -> str:
    """Why slurmrestd can do nothing with reservations but list them; see Backend.lacks.

    Args:
        version: Of slurmrestd's API, as ``v0.0.45``; ``""``: not known yet.
    """
    if version and int(version.rpartition(".")[2]) < RESERVES_SINCE:
        return f"slurmrestd {version} only lists reservations; v0.0.{RESERVES_SINCE} is the first that makes them"
    return ""


def node_body(order: NodeOrder) -> dict[str, Any]:
    """What POST /nodes/ wants."""
    features = None if order.features is None else list(order.features) or [""]  # an empty list leaves them
    words: dict[str, Any] = {
        "name": list(order.nodes),
        "weight": None if order.weight is None else _number(order.weight),
        "features": features,
        "features_act": features,
        "state": ["RESUME"] if order.resume else None if order.drain is None else ["DRAIN"],
        "reason": order.drain,
    }
    return {word: value for word, value in words.items() if value is not None}


def reservation_body(order: ReservationOrder, now: float) -> dict[str, Any]:
    """What POST /reservation wants, which makes or changes one.

    Args:
        order: The order.
        now: Unix seconds; a start of 0 becomes this.
    """
    flags: list[str] = [flag.value for flag in order.flags]
    if order.purge_s is not None:
        flags.append("PURGE_COMP")  # the time alone is kept and does nothing
    words: dict[str, Any] = {
        "name": order.name,
        "node_list": None if order.nodes is None else list(order.nodes),
        "start_time": None if order.start is None else _number(order.start or int(now)),
        "end_time": None if order.end is None else _number(order.end),
        "users": None if order.users is None else list(order.users),
        "accounts": None if order.accounts is None else list(order.accounts),
        "flags": flags or None,
        "purge_completed": None if order.purge_s is None else {"time": _number(order.purge_s)},
    }
    return {word: value for word, value in words.items() if value is not None}


def _number(amount: int) -> dict[str, Any]:
    return {"set": True, "number": amount}

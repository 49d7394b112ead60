"""Orders to nodes and reservations in scontrol's words. Pure; see slurm_commands."""

from __future__ import annotations

from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.sbatch.units import time_text
from hpcjobs.slurm.history import DAWN


def node_words(order: NodeOrder) -> list[str]:
    """The command that carries out an order to nodes."""
    features = None if order.features is None else ",".join(order.features)
    words: dict[str, str | int | None] = {
        "Weight": order.weight,
        "AvailableFeatures": features,
        "ActiveFeatures": features,
        "State": "RESUME" if order.resume else None if order.drain is None else "DRAIN",
        "Reason": None if order.drain is None else f'"{order.drain}"',  # scontrol takes one mark off either end
    }
    told = [f"{word}={value}" for word, value in words.items() if value is not None]
    return ["scontrol", "update", f"NodeName={fold_hostlist(order.nodes)}", *told]


def _time(seconds: int | None, now: float) -> str | None:
    return None if seconds is None else f"uts{max(seconds or int(now), DAWN)}"


def reservation_words(order: ReservationOrder, now: float) -> list[str]:
    """The command that carries out an order to a reservation.

    Args:
        order: The order.
        now: Unix seconds; a start of 0 becomes this.
    """
    name = f"ReservationName={order.name}"
    if order.verb is ReservationVerb.DELETE:
        return ["scontrol", "delete", name]
    flags = [flag.value for flag in order.flags]
    if order.purge_s is not None:
        flags.append(f"PURGE_COMP={time_text(order.purge_s)}")
    words: dict[str, str | None] = {
        "Nodes": None if order.nodes is None else fold_hostlist(order.nodes),
        "StartTime": _time(order.start, now),
        "EndTime": _time(order.end, now),
        "Users": None if order.users is None else ",".join(order.users),
        "Accounts": None if order.accounts is None else ",".join(order.accounts),
        "Flags": ",".join(flags) or None,
    }
    told = [f"{word}={value}" for word, value in words.items() if value is not None]
    verb = ["create", "reservation"] if order.verb is ReservationVerb.MAKE else ["update"]
    return ["scontrol", *verb, name, *told]

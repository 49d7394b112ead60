"""What is asked of nodes and of reservations, checked before Slurm hears of it, and its refusals retold. Pure.

Slurm's commands would read a comma or a blank in a name as the next name, and slurmrestd passes on what scontrol
refuses; checked here, an order means the same by every way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hpcjobs.errors import NotAllowed, Refusal, Refused
from hpcjobs.model.amount import NO_VAL
from hpcjobs.model.node_order import FEATURE, NodeOrder
from hpcjobs.model.reservation import MOST_TIME, RESERVATION, ReservationOrder, ReservationVerb

_NODE: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,255}")
MOST_REASON: Final = 1024
"""Characters of a reason."""


def check_nodes(order: NodeOrder) -> None:
    """Refuse an order that cannot be meant.

    Raises:
        Refused: With every fault.
    """
    found = _names("nodes", order.nodes, _NODE)
    found += _names("features", order.features or (), FEATURE)
    if order.weight is not None and not 0 <= order.weight < NO_VAL:
        found.append(Refusal("weight", f"{order.weight} is no weight: from 0 to {NO_VAL - 1}."))
    if order.drain is not None and not 0 < len(order.drain.strip()) <= MOST_REASON:
        found.append(Refusal("drain", f"A reason of 1 to {MOST_REASON} characters is needed."))
    elif order.drain is not None and re.search(r"[\x00-\x1f\x7f]", order.drain):
        found.append(Refusal("drain", "A reason is one line."))
    if order.drain is not None and order.resume:
        found.append(Refusal("resume", "Nodes cannot be drained and resumed at once."))
    if all(value is None for value in (order.weight, order.features, order.drain)) and not order.resume:
        found.append(Refusal("", "There is nothing to change."))
    if found:
        raise Refused(found)


def check_reservation(order: ReservationOrder) -> None:
    """Refuse an order that cannot be meant.

    Raises:
        Refused: With every fault.
    """
    found = _names("name", (order.name,), RESERVATION)
    told = {"nodes": order.nodes, "users": order.users, "accounts": order.accounts}
    for field, names in told.items():
        if names is not None:
            found += _names(field, names, _NODE if field == "nodes" else RESERVATION)
            found += [] if names else [Refusal(field, "It cannot be empty.")]
    times = {"start": order.start, "end": order.end}
    found += [
        Refusal(field, f"{time} are no Unix seconds of a time that Slurm knows.")
        for field, time in times.items()
        if time is not None and not 0 <= time <= MOST_TIME
    ]
    if order.start is not None and order.end is not None and order.end <= order.start:
        found.append(Refusal("end", "It ends before it starts."))
    if order.purge_s is not None and not 60 <= order.purge_s <= MOST_TIME:
        found.append(Refusal("purge_s", "At least 60 seconds."))
    if order.verb is ReservationVerb.MAKE:
        needed = {"nodes": order.nodes, **times}
        found += [Refusal(field, "It is needed to make a reservation.") for field, at in needed.items() if at is None]
        if order.users is None and order.accounts is None:
            found.append(Refusal("users", "Users or accounts are needed to make a reservation."))
    else:
        if order.flags or order.purge_s is not None:
            found.append(Refusal("flags", "Flags are given when a reservation is made."))
        changed = any(value is not None for value in (*told.values(), *times.values()))
        if changed is (order.verb is ReservationVerb.DELETE):
            found.append(Refusal("", "There is nothing to change." if not changed else "Deleting takes a name only."))
    if found:
        raise Refused(found)


def _names(field: str, names: Sequence[str], form: re.Pattern[str]) -> list[Refusal]:
    if field == "nodes" and not names:
        return [Refusal(field, "At least one is needed.")]
    bad = next((name for name in names if not form.fullmatch(name)), None)
    return [] if bad is None else [Refusal(field, f"{bad[:80]!r} is no name that Slurm takes here.", "bad-name")]


_FIELDS: Final = {
    "resources.nodelist": "nodes",
    "resources.constraint": "features",
    "reservation": "name",
    "account": "accounts",
}
"""Where Slurm's errors have a job's field in our table: the field of an order."""


@contextmanager
def retold(user: str, order: NodeOrder | ReservationOrder) -> Iterator[None]:
    """Let Slurm's refusals name the fields of an order, and say who may give it.

    Args:
        user: As whom it is given.
        order: The order.
    """
    try:
        yield
    except NotAllowed as error:
        needed = (
            f"Slurm lets administrators only change nodes: {user!r} needs AdminLevel=Administrator in its accounting."
            if isinstance(order, NodeOrder)
            else f"{user!r} needs AdminLevel=Operator in Slurm's accounting, or Slurm does not know a user named here."
        )
        raise NotAllowed(f"{error.detail}. {needed}") from error
    except Refused as error:
        fields = type(order).__struct_fields__
        raise Refused(
            [
                Refusal(field if (field := _FIELDS.get(one.field, one.field)) in fields else "", one.detail, one.code)
                for one in error.refusals
            ]
        ) from error

"""What can be done with nodes and reservations of a simulated cluster, with Slurm's own refusals. Pure.

A reservation keeps its nodes from jobs that are not in it, also from those that would still run at its start, and
lets its own jobs start from its start on (FLEX: before it too, and elsewhere). Not simulated: MAGNETIC, OVERLAP and
MAINT, which are kept as flags only, and groups and parts of nodes, which nobody can ask for here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.cluster import Node
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import Reservation, ReservationFlag, ReservationOrder, ReservationVerb
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.states import node_usable

DRAINED: Final = "DRAIN"


def changed_node(node: Node, order: NodeOrder) -> Node:
    """A node after an order.

    Raises:
        Conflict: It is to be resumed and is not drained.
    """
    words = node.raw_state.split("+")
    reason = node.reason
    if order.resume:
        if DRAINED not in words:
            raise error_of(2028, "Invalid node state specified")
        words, reason = [word for word in words if word != DRAINED], ""
    elif order.drain is not None:
        words, reason = [*(word for word in words if word != DRAINED), DRAINED], order.drain
    raw_state = "+".join(words)
    particulars = node.particulars
    if order.weight is not None:
        particulars = msgspec.structs.replace(particulars, weight=order.weight)
    if order.features is not None:
        particulars = msgspec.structs.replace(particulars, features_active=order.features)
    return msgspec.structs.replace(
        node,
        raw_state=raw_state,
        usable=node_usable(raw_state),
        reason=reason,
        features=node.features if order.features is None else order.features,
        particulars=particulars,
    )


def reserved(
    order: ReservationOrder,
    known: Mapping[str, Reservation],
    nodes: Mapping[str, Node],
    busy_until: Mapping[str, float],
    now: float,
) -> Reservation | None:
    """A reservation after an order; None: it is deleted.

    Args:
        order: The order.
        known: Every reservation, by name.
        nodes: Every node, by name.
        busy_until: By node: Unix seconds at which the last of its jobs ends.
        now: Unix seconds.

    Raises:
        HpcjobsError: As Slurm would.
    """
    before = known.get(order.name)
    if order.verb is ReservationVerb.MAKE:
        if before is not None:
            raise error_of(2082, "Duplicate reservation name")
        after = Reservation(order.name, (), 0, 0, flags=tuple(sorted({*order.flags, "SPEC_NODES"})))
        if order.purge_s is not None:
            flags = tuple(sorted({*after.flags, "PURGE_COMP"}))
            after = msgspec.structs.replace(after, purge_s=order.purge_s, flags=flags)
    elif before is None:
        raise error_of(2053, "Requested reservation is invalid")
    elif order.verb is ReservationVerb.DELETE:
        return None
    else:
        after = before
        if order.start is not None and before.start <= now:
            raise error_of(2104, "Reservation already started")
    told = {name: getattr(order, name) for name in ("nodes", "start", "end", "users", "accounts")}
    changes = {name: value for name, value in told.items() if value is not None}
    if changes.get("start") == 0:
        changes["start"] = int(now)
    after = msgspec.structs.replace(after, **changes)
    if not set(after.nodes) <= nodes.keys():
        raise error_of(2018, "Invalid node name specified")
    _check_free(after, order, known.values(), busy_until, now)
    return msgspec.structs.replace(after, cores=sum(nodes[name].cpus for name in after.nodes))


def _check_free(
    after: Reservation,
    order: ReservationOrder,
    known: Iterable[Reservation],
    busy_until: Mapping[str, float],
    now: float,
) -> None:
    if after.end <= max(after.start, now):
        raise error_of(2054, "Invalid time specified")
    for other in known:
        apart = other.end <= after.start or after.end <= other.start
        if other.name != after.name and not apart and set(other.nodes) & set(after.nodes):
            raise error_of(2058, "Requested reservation overlaps with another reservation")
    over = any(busy_until.get(name, 0.0) > after.start for name in after.nodes)
    if order.verb is ReservationVerb.MAKE and over and ReservationFlag.IGNORE_JOBS not in after.flags:
        raise error_of(2016, "Requested nodes are busy")


def check_access(name: str, known: Mapping[str, Reservation], user: str, accounts: Iterable[Account]) -> None:
    """Refuse a job in a reservation that there is not, or that its user may not use.

    Raises:
        Refused: As Slurm does.
    """
    reservation = known.get(name)
    if reservation is None:
        raise error_of(2053, "Requested reservation is invalid")
    theirs = {account.name for account in accounts if user in account.members}
    if user not in reservation.users and not theirs & set(reservation.accounts):
        raise error_of(2052, "Access denied to requested reservation")


def kept_from(
    reservation: str, known: Mapping[str, Reservation], nodes: Iterable[str], now: float, until: float
) -> set[str]:
    """Nodes that reservations keep from a job.

    Args:
        reservation: That it is in, or ``""``.
        known: Every reservation, by name.
        nodes: Names of all nodes.
        now: Unix seconds at which it would start.
        until: Unix seconds at which it would end.
    """
    own = known.get(reservation)
    others = (one for one in known.values() if one is not own and one.start < until and one.end > now)
    kept = {name for one in others for name in one.nodes}
    if own is None:
        return set(nodes) if reservation else kept
    if ReservationFlag.FLEX in own.flags:
        return kept - set(own.nodes)
    return set(nodes) - set(own.nodes) if own.start <= now < own.end else set(nodes)

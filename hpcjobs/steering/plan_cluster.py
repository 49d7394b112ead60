"""What must be done so that nodes and reservations stand as policies want them. Pure; see plan.py for jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from hpcjobs.model.aims import NodeAim
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import WAITING, State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.reservation import Reservation, ReservationFlag, ReservationOrder, ReservationVerb
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.model.steering import Reserve
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.steering.fields import NODE_FIELDS, names_in
from hpcjobs.steering.settle import settle

FLAGS = (ReservationFlag.IGNORE_JOBS, ReservationFlag.NO_HOLD_JOBS, ReservationFlag.FLEX)
"""Running jobs may be in the way when it is made, its jobs outlast it, and none is held when it ends."""


RESERVATION = "reservation"
"""Kind and field of a row of one."""
SOON_S = 10
"""Slurm takes no end that is over: so far ahead it is given, in seconds, that clocks need not agree."""


class ClusterStep(msgspec.Struct, frozen=True):
    """What is done with nodes or a reservation.

    Attributes:
        what: A word for logs and for what could not be done.
        order: What.
        rows: Written before.
        dropped: Forgotten after.
        once: As of a Step.
    """

    what: str
    order: NodeOrder | ReservationOrder | None
    rows: tuple[Steered, ...] = ()
    dropped: tuple[Key, ...] = ()
    once: tuple[Key, ...] = ()

    @property
    def makes(self) -> str:
        """The reservation that it makes; ``""``: none."""
        order = self.order
        makes = isinstance(order, ReservationOrder) and order.verb is ReservationVerb.MAKE
        return order.name if makes and isinstance(order, ReservationOrder) else ""

    @property
    def orders(self) -> tuple[NodeOrder | ReservationOrder, ...]:
        """As of a Step."""
        return () if self.order is None else (self.order,)


def plan_nodes(
    aims: Mapping[str, NodeAim], view: ClusterView, rows: Mapping[Key, Steered], now: float
) -> list[ClusterStep]:
    """What is done with nodes, those that get the same together.

    Slurm forgets what it was told of nodes when it reads its configuration again; then it is told again.

    Args:
        aims: How nodes should stand, by name.
        view: How they stand.
        rows: What has been changed.
        now: Unix seconds.
    """
    steps: dict[tuple[str, Value | None], list[tuple[str, Steered | None]]] = defaultdict(list)
    touched = {key.subject for key in rows if key.kind == "node"}
    quiet: list[Key] = []
    for name in sorted(touched | aims.keys()):
        node = view.nodes.get(name)
        aim = aims.get(name, NodeAim())
        for field, of_it in NODE_FIELDS.items():
            key = Key("node", name, field)
            row = rows.get(key)
            if node is None:
                continue  # it may come back
            settled = settle(key, row, of_it.read(node), partial(_wished, of_it.wished, aim), view.asked_at, now)
            quiet += [key] if settled.forgotten else []
            if settled.row is not None or settled.ordered is not None:
                steps[field, settled.ordered].append((name, settled.row))
    found = [_node_step(field, value, parts) for (field, value), parts in sorted(steps.items(), key=str)]
    return ([ClusterStep("nodes", None, dropped=tuple(quiet))] if quiet else []) + found


def _wished(wished: Callable[[Value, NodeAim], Value | None], aim: NodeAim, base: Value) -> Value | None:
    return wished(base, aim)


def _node_step(field: str, value: Value | None, parts: Sequence[tuple[str, Steered | None]]) -> ClusterStep:
    names = tuple(name for name, _ in parts)
    if value is None:
        order = None
    elif field == "weight":
        order = NodeOrder(names, weight=int(value))
    else:
        order = NodeOrder(names, features=tuple(sorted(names_in(value))))
    return ClusterStep(f"{field} of nodes", order, tuple(row for _, row in parts if row is not None))


def plan_reservations(
    aims: Mapping[str, tuple[str, Reserve]], view: ClusterView, rows: Mapping[Key, Steered], now: float
) -> list[ClusterStep]:
    """What is done with reservations. One that we have not made is not touched.

    Args:
        aims: How they should be, by name, with the policy that wants it.
        view: How they are, and the jobs in them.
        rows: What has been made.
        now: Unix seconds.
    """
    steps = []
    for name, (_, wish) in sorted(aims.items()):
        key = Key(RESERVATION, name, RESERVATION)
        there, row = view.reservations.get(name), rows.get(key)
        if row is not None and view.asked_at <= row.at:
            continue
        users = tuple(sorted({view.jobs[number].user for number in wish.jobs if number in view.jobs}))
        order = _reservation_order(wish, users, there, now)
        if users and order is not None and (there is None or row is not None):
            steps.append(ClusterStep(f"reservation {name}", order, (Steered(key, "", name, ("",), now),)))
    gone = [key for key in rows if key.kind == RESERVATION and key.subject not in aims]
    return steps + _not_wished(gone, view, rows, now) if gone else steps


def _not_wished(keys: Iterable[Key], view: ClusterView, rows: Mapping[Key, Steered], now: float) -> list[ClusterStep]:
    """Reservations end that nobody wishes; those of which Slurm still has jobs later.

    Slurm deletes none in which a job runs, and keeps its nodes from all others beside that job, and after it: it is
    made shorter. Jobs that wait in it are taken out of it first.
    """
    jobs = [job for job in view.jobs.values() if job.particulars.reservation and job.state is not State.FINISHED]
    used = {job.particulars.reservation for job in jobs}
    awaited = {job.particulars.reservation for job in jobs if job.state in WAITING}
    steps = []
    for key in keys:
        row, there, what = rows[key], view.reservations.get(key.subject), f"reservation {key.subject}"
        if view.asked_at <= row.at:
            continue
        if there is None:
            if view.asked_at > row.at + SETTLE_S:  # else it may be on its way still
                steps.append(ClusterStep(what, None, dropped=(key,)))
        elif key.subject not in used:
            steps.append(ClusterStep(what, ReservationOrder(ReservationVerb.DELETE, key.subject), dropped=(key,)))
        elif key.subject not in awaited and there.end > now + 2 * SOON_S:
            begins = 0 if there.start > now else None
            order = ReservationOrder(ReservationVerb.CHANGE, key.subject, start=begins, end=int(now) + SOON_S)
            steps.append(ClusterStep(what, order, (msgspec.structs.replace(row, at=now),)))
    return steps


def _reservation_order(
    wish: Reserve, users: tuple[str, ...], there: Reservation | None, now: float
) -> ReservationOrder | None:
    """What makes a reservation as it is wished; None: it is so."""
    start, end = int(wish.start), int(-(-wish.end // 1))
    if there is None:
        return ReservationOrder(
            ReservationVerb.MAKE,
            wish.name,
            tuple(sorted(wish.nodes)),
            start if start > now else 0,
            end,
            users,
            flags=FLAGS,
        )
    nodes = tuple(sorted(wish.nodes)) if {*wish.nodes} != {*there.nodes} else None
    moved = start if there.start > now and start != there.start else None
    ends = end if end != there.end else None
    others = users if {*users} != {*there.users} else None
    if nodes is None and moved is None and ends is None and others is None:
        return None
    return ReservationOrder(
        ReservationVerb.CHANGE, wish.name, nodes, None if moved is None else max(moved, 0), ends, others
    )

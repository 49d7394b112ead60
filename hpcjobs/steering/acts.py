"""What policies have done once. An act is not repeated before a newer listing shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from hpcjobs.errors import HpcjobsError
from hpcjobs.model.event import Event
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Act, Drain, Requeue
from hpcjobs.observe.observer import Observer
from hpcjobs.steering.orders import give, may_be_done, pause_s
from hpcjobs.steering.requeues import row_of
from hpcjobs.steering.telling import DONE, REFUSED, Told

MOST_ACTS: Final = 100
"""Acts that are done in one turn; a policy repeats the others for as long as it wants them."""

Keep = Callable[[Sequence[Steered], Sequence[Key]], Awaitable[None]]
"""Writes rows, and forgets others."""


def order_of(act: Act, told: Told) -> Order | NodeOrder | None:
    """The order of an act; None where it is about what is not there, or has been done.

    Args:
        act: What.
        told: The cluster as it was listed.
    """
    if isinstance(act, Drain):
        names = tuple(name for name in act.nodes if name in told.nodes and told.nodes[name].usable)
        return NodeOrder(names, drain=act.why) if names else None
    if act.job not in told.jobs or act.job not in told.ids:
        return None
    if isinstance(act, Requeue):
        return Order(Verb.REQUEUE, str(act.job))
    return Order(Verb.UPDATE, str(act.job), changes=Changes(nodes=act.nodes))


class Doer:
    """Does them.

    Args:
        observer: Of the cluster.
        service_user: An operator of Slurm, in whose name it is done.
        keep: Writes down what follows a requeue, before it is ordered.
    """

    def __init__(self, observer: Observer, service_user: str, keep: Keep) -> None:
        self.observer = observer
        self.service_user = service_user
        self.keep = keep
        self._not_before: dict[int | str, float] = {}
        """By Slurm's number or name of node: of listings that are older than this no act follows."""

    async def do(
        self, acts: Sequence[tuple[str, Act]], told: Told, rows: Mapping[Key, Steered], asked_at: float, now: float
    ) -> list[Event]:
        """Do what is not done yet.

        Args:
            acts: With the policy that wants each.
            told: The cluster as it was listed.
            rows: What policies have changed, and begun.
            asked_at: Unix seconds when that listing was asked for.
            now: Unix seconds.

        Returns:
            What is to be told.
        """
        happened: list[Event] = []
        self._not_before = {
            subject: at for subject, at in self._not_before.items() if subject in told.jobs or subject in told.nodes
        }
        began, tried = time.monotonic(), 0
        for policy, act in acts:
            order = order_of(act, told)
            subjects: Sequence[int | str] = act.nodes if isinstance(act, Drain) else (act.job,)
            if order is None or any(asked_at <= self._not_before.get(subject, 0.0) for subject in subjects):
                continue
            row = row_of(act, told.ids[act.job], told.jobs[act.job], now) if isinstance(act, Requeue) else None
            if row is not None and row.key in rows:
                continue  # the last one is not over
            if tried == MOST_ACTS:
                break
            tried += 1
            fault = await self._do(order, row)
            pause = pause_s(fault) if fault is not None else 0.0
            self._not_before |= dict.fromkeys(subjects, now + time.monotonic() - began + pause)
            if fault is None:
                happened += told.of_action(policy, act, DONE, now)
            elif not fault.transient:
                happened += told.of_action(policy, act, REFUSED, now, fault.detail)
        return happened

    async def _do(self, order: Order | NodeOrder, row: Steered | None) -> HpcjobsError | None:
        """Do one; returns why it could not be done."""
        if row is not None:
            await self.keep((row,), ())
        fault = await give(self.observer.backend, self.service_user, (order,))
        if row is not None and fault is not None and not may_be_done(fault):
            await self.keep((), (row.key,))
        return fault

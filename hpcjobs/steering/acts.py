"""What policies have done once. An act is not repeated before a newer listing shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError
from hpcjobs.model.event import Event
from hpcjobs.model.job import State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Act, Depend, Drain, Release, Requeue
from hpcjobs.steering.orders import NOT_GIVEN, Giver, may_be_done, pause_s
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
    record = told.jobs[act.job]
    target = record.target
    if isinstance(act, Release):
        return Order(Verb.RELEASE, target) if record.state is State.HELD else None
    if isinstance(act, Requeue):
        return Order(Verb.REQUEUE, target)
    if isinstance(act, Depend):
        return Order(Verb.UPDATE, target, changes=Changes(dependency=act.dependency))
    return Order(Verb.UPDATE, target, changes=Changes(nodes=act.nodes))


class Doer:
    """Does them.

    Args:
        keep: Writes down what follows a requeue, before it is ordered.
    """

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self._not_before: dict[int | str, float] = {}
        """By Slurm's number or name of node: of listings that are older than this no act follows."""

    async def do(
        self,
        giver: Giver,
        acts: Sequence[tuple[str, Act]],
        told: Told,
        rows: Mapping[Key, Steered],
        asked_at: float,
        now: float,
    ) -> list[Event]:
        """Do what is not done yet, first what was not tried before: what is never answered keeps no other waiting.

        Args:
            giver: Of the orders of this turn.
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
        for policy, act in sorted(acts, key=self._tried_at):
            order, subjects = order_of(act, told), _subjects(act)
            if order is None or any(asked_at <= self._not_before.get(subject, 0.0) for subject in subjects):
                continue
            at = now + time.monotonic() - began
            row = row_of(act, told.ids[act.job], told.jobs[act.job], at) if isinstance(act, Requeue) else None
            if row is not None and row.key in rows:
                continue  # the last one is not over
            if tried == MOST_ACTS:
                break
            tried += 1
            fault = await self._do(giver, order, row, began - now)
            if fault is NOT_GIVEN:
                break
            pause = pause_s(fault) if fault is not None else 0.0
            self._not_before |= dict.fromkeys(subjects, now + time.monotonic() - began + pause)
            if fault is None:
                await giver.give(_soon_after(act, told))  # should it fail: the next listing has it done
                happened += told.of_action(policy, act, DONE, now)
            elif not fault.transient:
                happened += told.of_action(policy, act, REFUSED, now, fault.detail)
        return happened

    def _tried_at(self, wanted: tuple[str, Act]) -> float:
        return max((self._not_before.get(subject, 0.0) for subject in _subjects(wanted[1])), default=0.0)

    async def _do(
        self, giver: Giver, order: Order | NodeOrder, row: Steered | None, since: float
    ) -> HpcjobsError | None:
        """Do one; returns why it could not be done. ``since``: time.monotonic() at Unix second 0."""
        if row is not None:
            await self.keep((row,), ())
        fault = await giver.give((order,))
        if row is not None and fault is not None:
            if may_be_done(fault):  # it may come through still, counted from when its answer was given up
                await self.keep((msgspec.structs.replace(row, at=time.monotonic() - since),), ())
            else:
                await self.keep((), (row.key,))
        return fault


def _soon_after(act: Act, told: Told) -> tuple[Order, ...]:
    """What follows before a listing shows what came of an act: a job that is requeued when it has ended may start."""
    if not isinstance(act, Requeue) or not act.at_once or told.jobs[act.job].state is not State.FINISHED:
        return ()
    return (Order(Verb.UPDATE, told.jobs[act.job].target, changes=Changes(begin=0)),)


def _subjects(act: Act) -> Sequence[int | str]:
    """Slurm's number of the job, or names of the nodes, that an act is about."""
    return act.nodes if isinstance(act, Drain) else (act.job,)

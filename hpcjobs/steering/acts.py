"""What policies have done once. An act is not repeated before a newer listing shows what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from hpcjobs.errors import HpcjobsError
from hpcjobs.model.event import Event
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steering import Act, Drain, Requeue
from hpcjobs.observe.observer import Observer
from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs.steering.fields import WAITING
from hpcjobs.steering.telling import DONE, REFUSED, Told

AGAIN_S: Final = 60.0
"""How long what Slurm refused is left alone, in seconds."""


def orders_of(act: Act, told: Told) -> tuple[Order | NodeOrder, ...]:
    """The orders of an act, in order; none where it is about what is not there, or has been done.

    Args:
        act: What.
        told: The cluster as it was listed.
    """
    if isinstance(act, Drain):
        names = tuple(name for name in act.nodes if name in told.nodes and told.nodes[name].usable)
        return (NodeOrder(names, drain=act.why),) if names else ()
    if act.job not in told.jobs:
        return ()
    target = str(act.job)
    if not isinstance(act, Requeue):
        return (Order(Verb.UPDATE, target, changes=Changes(nodes=act.nodes)),)
    exclude = None
    if act.avoid:
        already = told.jobs[act.job].particulars.excluded_nodes
        exclude = fold_hostlist({*(expand_hostlist(already) if already else ()), *act.avoid})
    # Slurm lets a requeued job wait for two minutes; its begin ends that.
    changes = Changes(begin=0, exclude=exclude, nodes=act.nodes)
    return (Order(Verb.REQUEUE, target), Order(Verb.UPDATE, target, changes=changes))


class Rest(NamedTuple):
    """What of a requeue is still to be done: while a job lets go of its nodes, Slurm would undo it.

    Attributes:
        policy: Who wants it.
        act: What.
        restarts: How often the job had been requeued before.
        order: What is left.
    """

    policy: str
    act: Act
    restarts: int
    order: Order | NodeOrder


class Doer:
    """Does them.

    Args:
        observer: Of the cluster.
        service_user: An operator of Slurm, in whose name it is done.
    """

    def __init__(self, observer: Observer, service_user: str) -> None:
        self.observer = observer
        self.service_user = service_user
        self.rests: dict[int, Rest] = {}
        """By Slurm's number."""
        self._not_before: dict[int | str, float] = {}
        """By Slurm's number or name of node: of listings that are older than this no act follows."""

    async def do(self, acts: Sequence[tuple[str, Act]], told: Told, asked_at: float, now: float) -> list[Event]:
        """Do what is not done yet, and what is left of what was begun.

        Args:
            acts: With the policy that wants each.
            told: The cluster as it was listed.
            asked_at: Unix seconds when that listing was asked for.
            now: Unix seconds.

        Returns:
            What is to be told.
        """
        happened = await self._go_on(told, now)
        for policy, act in acts:
            orders = orders_of(act, told)
            subjects: Sequence[int | str] = act.nodes if isinstance(act, Drain) else (act.job,)
            if not orders or any(asked_at <= self._not_before.get(subject, 0.0) for subject in subjects):
                continue
            refused = await self._give(orders[0])
            self._not_before |= dict.fromkeys(subjects, now + AGAIN_S if refused else time.time())
            happened += told.of_action(policy, act, REFUSED if refused else DONE, now, refused)
            if not refused and len(orders) > 1 and not isinstance(act, Drain):
                self.rests[act.job] = Rest(policy, act, told.jobs[act.job].restarts, orders[1])
        self._not_before = {
            subject: at for subject, at in self._not_before.items() if subject in told.jobs or subject in told.nodes
        }
        return happened

    async def _go_on(self, told: Told, now: float) -> list[Event]:
        """Do what is left of requeues whose jobs have let go of their nodes."""
        happened: list[Event] = []
        for number, rest in [*self.rests.items()]:
            job = told.jobs.get(number)
            if job is not None and (job.state is State.COMPLETING or _goes_on(job, rest)):
                continue
            del self.rests[number]
            if job is not None and job.state in WAITING and (refused := await self._give(rest.order)):
                happened += told.of_action(rest.policy, rest.act, REFUSED, now, refused)
        return happened

    async def _give(self, order: Order | NodeOrder) -> str:
        """Give an order; returns why it was not taken, or ``""``."""
        try:
            if isinstance(order, NodeOrder):
                await self.observer.backend.act_nodes(order)
            else:
                await self.observer.backend.act(self.service_user, order)
        except HpcjobsError as error:
            return error.detail
        return ""


def _goes_on(job: JobRecord, rest: Rest) -> bool:
    """Whether a job is not requeued yet."""
    return job.state is not State.FINISHED and job.restarts <= rest.restarts

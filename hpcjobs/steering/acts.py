"""What policies have done once. An act is not repeated before a newer listing shows what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hpcjobs.errors import Conflict, HpcjobsError
from hpcjobs.model.event import Event
from hpcjobs.model.job import JobRecord
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steering import Act, Drain, Requeue
from hpcjobs.observe.observer import Observer
from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs.steering.telling import DONE, REFUSED, Told

PATIENCE_S: Final = 5.0
"""How long a requeued job may take to let go of its nodes before it can be changed, in seconds."""
PAUSE_S: Final = 0.2
AGAIN_S: Final = 60.0
"""How long what Slurm refused is left alone, in seconds."""


def orders_of(act: Act, jobs: Mapping[int, JobRecord]) -> tuple[Order, ...]:
    """The orders of an act, in order; none where it is about a job that is not there.

    Args:
        act: What.
        jobs: As Slurm lists them, by number.
    """
    if isinstance(act, Drain) or act.job not in jobs:
        return ()
    target = str(act.job)
    if not isinstance(act, Requeue):
        return (Order(Verb.UPDATE, target, changes=Changes(nodes=act.nodes)),)
    exclude = None
    if act.avoid:
        already = jobs[act.job].particulars.excluded_nodes
        exclude = fold_hostlist({*(expand_hostlist(already) if already else ()), *act.avoid})
    # Slurm lets a requeued job wait for two minutes; its begin ends that.
    changes = Changes(begin=0, exclude=exclude, nodes=act.nodes)
    return (Order(Verb.REQUEUE, target), Order(Verb.UPDATE, target, changes=changes))


class Doer:
    """Does them.

    Args:
        observer: Of the cluster.
        service_user: An operator of Slurm, in whose name it is done.
    """

    def __init__(self, observer: Observer, service_user: str) -> None:
        self.observer = observer
        self.service_user = service_user
        self._not_before: dict[int, float] = {}
        """By Slurm's number: of listings that are older than this no act follows."""

    async def do(self, acts: Sequence[tuple[str, Act]], told: Told, asked_at: float, now: float) -> list[Event]:
        """Do what is not done yet.

        Args:
            acts: With the policy that wants each.
            told: The cluster as it was listed.
            asked_at: Unix seconds when that listing was asked for.
            now: Unix seconds.

        Returns:
            What is to be told.
        """
        happened: list[Event] = []
        for policy, act in acts:
            orders = orders_of(act, told.jobs)
            if not orders or isinstance(act, Drain) or asked_at <= self._not_before.get(act.job, 0.0):
                continue
            refused = await self._give(orders)
            self._not_before[act.job] = now + AGAIN_S if refused else time.time()
            happened += told.of_action(policy, act, REFUSED if refused else DONE, now, refused)
        self._not_before = {number: at for number, at in self._not_before.items() if number in told.jobs}
        return happened

    async def _give(self, orders: Sequence[Order]) -> str:
        """Give orders, the first at once, the others as soon as it has come through; returns why not, or ``""``."""
        end = time.monotonic() + PATIENCE_S
        for at, order in enumerate(orders):
            while True:
                try:
                    await self.observer.backend.act(self.service_user, order)
                    break
                except Conflict as error:
                    if not at or time.monotonic() > end:
                        return error.detail
                    await asyncio.sleep(PAUSE_S)
                except HpcjobsError as error:
                    return error.detail
        return ""

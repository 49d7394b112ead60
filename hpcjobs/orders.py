"""What is done with jobs that are there: cancel, hold, release, requeue, suspend, resume, signal, update."""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec

from hpcjobs.admission.changes import judge_changes
from hpcjobs.errors import Conflict, OutcomeUnknown, Refusal, Refused, SlurmUnavailable, Unavailable
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Job, State
from hpcjobs.model.order import Changes, Order, SignalScope, Verb
from hpcjobs.observe.observer import Observer
from hpcjobs.slurm.base import with_mark
from hpcjobs.store import attempts, events, recoveries
from hpcjobs.store.listing import same_job
from hpcjobs.store.store import Store

log = logging.getLogger(__name__)

AFTER_THE_END: Final = frozenset({Verb.REQUEUE})
"""What can be done with a job that has ended."""


class Wish(msgspec.Struct, frozen=True):
    """What somebody wants done.

    Attributes:
        verb: What.
        tasks: Of an array: which tasks, as ``4`` or ``1-5,7``; ``""``: the job as it is.
        signal: For SIGNAL: name or number.
        scope: For SIGNAL: which processes.
        hold: For REQUEUE: requeue it held.
        changes: For UPDATE.
    """

    verb: Verb
    tasks: str = ""
    signal: str = ""
    scope: SignalScope = SignalScope.STEPS
    hold: bool = False
    changes: Changes | None = None


def target_of(job: Job, tasks: str) -> str:
    """What Slurm is to act on.

    Args:
        job: Which job.
        tasks: Which tasks of an array; ``""``: the job as it is.

    Returns:
        A plain number wherever it means the same: every backend can say it.
    """
    if tasks:
        plain = tasks.isdigit()
        return f"{job.slurm_job_id}_{tasks}" if plain else f"{job.slurm_job_id}_[{tasks}]"
    if job.task is None or job.slurm_job_id not in (job.array_job_id, job.het_job_id):
        return str(job.slurm_job_id)
    return job.slurm_name  # the last task of an array has the array's own number


def order_of(job: Job, wish: Wish) -> Order:
    """The order for a backend.

    Raises:
        Refused: The wish lacks something, or has something that its verb has no use for.
    """
    refusals = []
    if (wish.verb is Verb.SIGNAL) != bool(wish.signal):
        refusals.append(Refusal("signal", "A signal is for the verb signal, which needs one: USR1, TERM, 10."))
    if (wish.verb is Verb.UPDATE) != (wish.changes is not None and wish.changes != Changes()):
        refusals.append(Refusal("changes", "Changes are for the verb update, which needs at least one."))
    if wish.tasks and not job.array_size:
        refusals.append(Refusal("tasks", f"Job {job.slurm_name or job.id} is no array."))
    changes = wish.changes
    refusals += judge_changes(changes) if changes is not None else ()
    if refusals:
        raise Refused(refusals)
    if changes is not None and changes.comment is not None and job.attempt:
        changes = msgspec.structs.replace(changes, comment=with_mark(changes.comment, job.attempt))
    return Order(wish.verb, target_of(job, wish.tasks), wish.signal, wish.scope, wish.hold, changes)


class Orders:
    """Has things done with jobs, in somebody's name.

    Args:
        store: Where it is written that they were done.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    async def do(self, job: Job, actor: str, by: str, wish: Wish, observer: Observer) -> None:
        """Have one thing done.

        Args:
            job: With which job.
            actor: As whom Slurm is asked.
            by: Who wants it.
            wish: What.
            observer: Of its cluster.

        Raises:
            Conflict: It has ended, its state does not allow this, or Slurm has lost it and given its number away.
            OutcomeUnknown: Whether Slurm has the job is being settled, or the answer to the order was lost.
            NotSupported: No way to this cluster can do it; the reasons are in it.
            Unavailable: Slurm does not answer; the job goes on as it was.
        """
        given_up = job.final and wish.verb is Verb.CANCEL and await self.store.write(recoveries.give_up, job.id)
        if job.final and wish.verb not in AFTER_THE_END and not given_up:
            raise Conflict(f"Job {job.id} has already ended: {job.fate}.", kept="It is as it was.")
        if job.slurm_job_id is None:
            await self._before_slurm(job, wish)
        elif not given_up:  # else Slurm has ended it, and nobody starts it again now
            order = order_of(job, wish)
            listed = observer.view.jobs.get(job.slurm_job_id) if observer.view else None
            if job.state is State.UNKNOWN and listed is not None and not same_job(job, listed):
                raise Conflict(
                    f"Slurm no longer has job {job.id}: {job.slurm_job_id} is the number of another job now.",
                    kept="Both are as they were.",
                )
            if down := observer.known_down():
                raise SlurmUnavailable(down, kept=f"Job {job.id} is as it was.")
            await observer.backend.act(actor, order)
        # A task that Slurm has not split off has no row: the event is its array's.
        together = "_" in job.id
        whose = msgspec.structs.replace(job, id=job.parent or job.id) if together else job
        tasks = wish.tasks or (str(job.task) if together else "")
        told = events.of_job(
            EventKind.JOB_ORDER, whose, time.time(), verb=wish.verb.value, by=by, tasks=tasks, signal=wish.signal
        )
        try:
            await self.store.write(events.write, [told])
        except Unavailable as error:  # the order is done: whoever gave it must not hear that it is not
            log.warning("%s of job %s by %s is done, its event is lost: %s", wish.verb, job.id, by, error.detail)

    async def _before_slurm(self, job: Job, wish: Wish) -> None:
        """What can be done with a job that Slurm has not taken: cancel it while it waits."""
        if job.final:
            raise Conflict(f"Job {job.id} never came into Slurm: {job.fate}.", kept="It is as it was.")
        if wish.verb is not Verb.CANCEL:
            raise Conflict(
                f"Job {job.id} is not in Slurm yet; until it is, it can only be cancelled.", kept="It waits as before."
            )
        if await self.store.write(attempts.cancel_waiting, job.id, time.time()) is None:
            raise OutcomeUnknown(
                f"Job {job.id} is being sent, or whether Slurm has it is being settled; try again.",
                kept="It is as it was.",
            )

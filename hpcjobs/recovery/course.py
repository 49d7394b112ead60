"""The course of a recovery: which run of a job ended last, what is to be done about it now, how far that is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from hpcjobs.model.cluster import Failure
from hpcjobs.model.job import WAITING, Fate, JobRecord, State
from hpcjobs.model.recovery import Hold, Recovery, RecoveryState, Retry
from hpcjobs.model.steering import Action, Avoid, Delay, Release, Requeue, Resize, Start
from hpcjobs.model.steering import Hold as HoldJob
from hpcjobs.model.usage import Run as AccountedRun

LOST_S: Final = 900.0
"""A node that failed under a job so long before it waits again is why it does."""
ASKED_S: Final = 60.0
"""For so long after a job waits again accounting is asked why, where no node was seen down."""
FORGOTTEN_S: Final = 86_400.0
"""A job that no listing has had for so long after the decision is not there any more."""
BY_SLURMS_WORD: Final = frozenset({Fate.TIMEOUT, Fate.PREEMPTED, Fate.NODE_FAIL, Fate.BOOT_FAIL, Fate.DEADLINE})
"""Ends of which Slurm says enough: no log is read."""
RECOVERED: Final = BY_SLURMS_WORD - {Fate.DEADLINE} | {Fate.FAILED, Fate.OUT_OF_MEMORY}
"""Ends after which a job that says so is started again."""

LAUNCH_FAILED: Final = "LAUNCH_FAILED"
"""Slurm's word for a run that did not come to its script."""
HELD_FOR_IT: Final = frozenset({"launch failed requeued held", "launch failure limit exceeded requeued held"})
"""How Slurm says of a job that it holds it after such a run."""
PROLOG_FAILED: Final = 54
"""Signal that accounting has of a run whose prolog failed: ESLURMD_PROLOG_FAILED (4022), taken for a wait status."""


class Run(msgspec.Struct, frozen=True):
    """A run that ended, or has hung, and of which nothing is decided.

    Attributes:
        job_id: Our id.
        record: The job, as it is listed now.
        run: How often it had been requeued before that run.
        fate: How it ended; None: it runs and does nothing.
        at: When, Unix seconds.
        failed: Nodes that failed under it, with when.
        nodes: Nodes that it had, where the listing does not tell any more.
        word: Slurm's for how it ended, where the listing does not tell any more.
    """

    job_id: str
    record: JobRecord
    run: int
    fate: Fate | None
    at: float
    failed: dict[str, float] = {}
    nodes: tuple[str, ...] = ()
    word: str = ""

    @property
    def hangs(self) -> bool:
        """Whether it runs and does nothing."""
        return self.fate is None

    @property
    def waits(self) -> bool:
        """Whether Slurm has requeued the job already."""
        return self.record.state in WAITING


def last_run(job_id: str, record: JobRecord, failed: Iterable[Failure], now: float) -> Run | None:
    """The run of a job that ended last, where it ended badly.

    Args:
        job_id: Our id.
        record: The job as it is listed.
        failed: Nodes that failed under it.
        now: Unix seconds.
    """
    if launch_failed(record):
        return Run(job_id, record, record.restarts - 1, Fate.FAILED, float(record.submit_time), word=LAUNCH_FAILED)
    under = {one.node: one.at for one in failed}
    if record.state is State.FINISHED and record.fate in RECOVERED and record.fate is not None:
        return Run(job_id, record, record.restarts, record.fate, float(record.end_time) or now, under)
    if record.state in WAITING and record.restarts:
        lately = {node: at for node, at in under.items() if at > now - LOST_S}
        if lately:
            return Run(job_id, record, record.restarts - 1, Fate.NODE_FAIL, max(lately.values()), lately)
    return None


def launch_failed(record: JobRecord) -> bool:
    """Whether Slurm has requeued a job that it could not launch, and holds it.

    Args:
        record: The job as it is listed; pyslurm gives Slurm's description in the reason's place.
    """
    told = {record.reason, record.particulars.state_description}
    return record.state is State.HELD and record.restarts > 0 and bool(told & HELD_FOR_IT)


def run_before(record: JobRecord, told: Iterable[AccountedRun]) -> AccountedRun | None:
    """The run that ended when a job began to wait again; None: accounting does not tell it yet.

    Args:
        record: The job as it is listed.
        told: Runs of it, as accounting has them.
    """
    near = (one for one in told if one.end_time and abs(one.end_time - record.submit_time) <= ASKED_S)
    return max(near, key=lambda one: one.end_time, default=None)


def requeued_for(last: AccountedRun) -> tuple[Fate, str] | None:
    """How a run ended after which Slurm requeued the job by itself, and Slurm's word for that.

    Args:
        last: The run, as accounting has it.

    Returns:
        None: somebody has requeued it, a policy perhaps.
    """
    if last.raw_state in (Fate.NODE_FAIL.value, Fate.PREEMPTED.value):
        return Fate(last.raw_state), last.raw_state
    if last.raw_state == "REQUEUED" and last.exit_signal == PROLOG_FAILED:
        return Fate.FAILED, LAUNCH_FAILED
    return None


def state_of(one: Recovery, record: JobRecord | None, now: float) -> RecoveryState:
    """How far a decision is carried out.

    Args:
        one: What was decided.
        record: The job as it is listed; None: that listing has it not.
        now: Unix seconds.
    """
    if record is None:
        return RecoveryState.OVER if now - one.decided_at > FORGOTTEN_S else RecoveryState.OPEN
    if record.restarts > one.run and record.state not in WAITING:
        return RecoveryState.DONE
    if isinstance(one.decision, Hold) and record.state is State.HELD:
        return RecoveryState.DONE
    return RecoveryState.OVER if _well_ended(record) else RecoveryState.OPEN


def actions(one: Recovery, record: JobRecord, now: float) -> Iterator[Action]:
    """What is to be done about one job now.

    Args:
        one: What was decided.
        record: The job as it is listed.
        now: Unix seconds.
    """
    job, decision = record.slurm_job_id, one.decision
    waits = record.state in WAITING and record.restarts > one.run
    hangs = record.state is State.RUNNING and record.restarts == one.run
    ended = record.state is State.FINISHED and not _well_ended(record)
    if isinstance(decision, Hold) and waits:
        yield HoldJob(job, decision.why)
    elif isinstance(decision, Hold) and hangs:
        yield Requeue(job, decision.why)  # only what waits can be held
    if not isinstance(decision, Retry):
        return
    if waits:
        if decision.nodes is not None and record.nodes > decision.nodes:
            yield Resize(job, decision.nodes, decision.why)  # a requeue of Slurm's own kept its size
            return  # before that it has no nodes to spare that it could avoid, and must not start
        if decision.avoid:
            yield Avoid(job, decision.avoid, decision.why)
        yield Start(job, decision.why) if now >= decision.at else Delay(job, decision.at, decision.why)
        if launch_failed(record):
            yield Release(job, decision.why)
    elif (hangs or ended) and record.restarts == one.run and now >= decision.at:
        # What it avoids is wished when it waits: enough is to be left.
        yield Requeue(job, decision.why, decision.nodes, at_once=not decision.avoid and decision.nodes is None)


def _well_ended(record: JobRecord) -> bool:
    """Whether a job ended as none is started again after: it had hung, and completed after all, or was cancelled."""
    return record.state is State.FINISHED and record.fate is not None and record.fate not in RECOVERED

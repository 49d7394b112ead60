"""Acting on jobs and reading accounting through pyslurm, in the user's own process."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from hpcjobs.agents.serve import SlurmFailure, Unsupported
from hpcjobs.model.gres import gpus_of_tres
from hpcjobs.model.history import Accounted, HistoryQuery, Step
from hpcjobs.model.job import JobRecord
from hpcjobs.model.order import Changes, Order, SignalScope, Verb
from hpcjobs.slurm.base import MIB, split_comment
from hpcjobs.slurm.pyslurm_orders import ARRAYS, change_words
from hpcjobs.slurm.pyslurm_session import Tolerant, array_task, slurm_errors, user_name
from hpcjobs.slurm.states import read_state
from hpcjobs.slurm.targets import signal_number

ALREADY_DONE: Final = 2021
INVALID_JOB: Final = 2017
NO_DATABASE: Final = 7000
FIRST_OF_SLURM: Final = 1000
"""Error numbers below are the system's."""

SCOPES: Final = {SignalScope.STEPS: "children", SignalScope.BATCH: "batch", SignalScope.FULL: "all"}


def act(order: dict[str, Any]) -> None:
    """Do something with a job, as whoever this process is."""
    wanted = msgspec.convert(order, Order)
    with slurm_errors() as pyslurm:
        number = int(wanted.target)
        known = Tolerant(pyslurm.Job.load(number))
        if known.array_id == number or known.heterogeneous_id:
            # pyslurm would act on one record of several and say nothing of the others.
            raise Unsupported(ARRAYS)
        job = pyslurm.Job(number)
        if wanted.verb is Verb.CANCEL:
            _kill(pyslurm, job, 9, SignalScope.STEPS)
        elif wanted.verb is Verb.SIGNAL:
            _kill(pyslurm, job, signal_number(wanted.signal), wanted.scope)
        elif wanted.verb is Verb.REQUEUE:
            job.requeue(hold=wanted.hold)
        elif wanted.verb is Verb.UPDATE:
            job.modify(pyslurm.JobSubmitDescription(**change_words(wanted.changes or Changes(), time.time())))
        else:
            plain: dict[Verb, Callable[[], None]] = {
                Verb.HOLD: job.hold,
                Verb.RELEASE: job.release,
                Verb.SUSPEND: job.suspend,
                Verb.RESUME: job.unsuspend,
            }
            plain[wanted.verb]()


def _kill(pyslurm: Any, job: Any, number: int, scope: SignalScope) -> None:  # noqa: ANN401
    """Send a signal; pyslurm is silent about jobs that have ended, and reads errno whether or not it was set."""
    location = ctypes.CDLL(None)["__errno_location"]
    location.restype = ctypes.POINTER(ctypes.c_int)
    errno = location()
    errno[0] = 0
    try:
        job.send_signal(number, steps=SCOPES[scope])
    except pyslurm.RPCError as error:
        if (error.errno or 0) >= FIRST_OF_SLURM:
            raise
    left = int(errno[0])
    if left in (ALREADY_DONE, INVALID_JOB):
        raise SlurmFailure(left, str(pyslurm.slurm_strerror(left)))


def history(query: dict[str, Any]) -> list[Accounted]:
    """What accounting knows."""
    wanted = msgspec.convert(query, HistoryQuery)
    words: dict[str, Any] = {}
    if wanted.numbers:
        words["ids"] = list(wanted.numbers)
    if wanted.until:
        words["end_time"] = wanted.until
    # Without a time slurmdbd begins at midnight; with numbers it looks all the way back.
    if wanted.since or not wanted.numbers:
        words["start_time"] = wanted.since or 1
    with slurm_errors() as pyslurm:
        try:
            jobs = pyslurm.db.Jobs.load(pyslurm.db.JobFilter(**words))
        except pyslurm.RPCError as error:
            if (error.errno or 0) < FIRST_OF_SLURM:  # it says no more than that it failed
                raise SlurmFailure(NO_DATABASE, str(error.msg)) from error
            raise
        return [_accounted(Tolerant(job), steps=wanted.steps) for job in jobs.values()]


def _counts(tres: Any) -> dict[str, int]:  # noqa: ANN401
    return {f"gres/{name}": int(entry.count) for name, entry in tres.gres.items()} if tres else {}


def _accounted(job: Any, *, steps: bool) -> Accounted:  # noqa: ANN401
    raw_state, reason = str(job.state), str(job.state_reason or "").removeprefix("None")
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment)
    tres = job.allocated_tres or job.requested_tres
    stdout = job.standard_output or ""
    node_list = job.nodelist or ""
    return Accounted(
        JobRecord(
            slurm_job_id=job.id,
            attempt=attempt,
            user=user_name(job.user_id),
            state=state,
            fate=fate,
            raw_state=raw_state,
            name=job.name or "",
            account=job.account or "",
            partition=job.partition or "",
            qos=job.qos or "",
            reason=reason,
            comment=comment,
            nodes=job.num_nodes or 0,
            node_list="" if node_list == "None assigned" else node_list,
            cpus=job.cpus or 0,
            gpus=gpus_of_tres(_counts(tres)),
            mem_bytes=(tres.mem.count if tres and tres.mem else 0) * MIB,
            wall_s=job.time_limit * 60 if isinstance(job.time_limit, int) else None,
            submit_time=job.submit_time or 0,
            eligible_time=job.eligible_time or 0,
            start_time=job.start_time or 0,
            end_time=job.end_time or 0,
            exit_code=job.exit_code or 0,
            exit_signal=job.exit_code_signal or 0,
            restarts=job.requeue_count or 0,
            priority=job.priority or 0,
            workdir=job.working_directory or "",
            stdout=stdout,
            stderr=job.standard_error or stdout,
            array_job_id=job.array_id or 0,
            array_task=array_task(job),
            het_job_id=job.heterogeneous_id or 0,
            het_offset=(job.heterogeneous_offset or 0) if job.heterogeneous_id else 0,
        ),
        tuple(_steps(job)) if steps else (),
    )


def _steps(job: Any) -> Iterator[Step]:  # noqa: ANN401
    for plain in job.steps.values():
        step = Tolerant(plain)
        yield Step(
            id=str(step.id),
            name=step.name or "",
            raw_state=str(step.state),
            exit_code=step.exit_code or 0,
            exit_signal=step.exit_code_signal or 0,
            start_time=step.start_time or 0,
            end_time=step.end_time or 0,
            node_list=step.nodelist or "",
            ntasks=step.ntasks or 0,
            cpus=step.cpus or 0,
            gpus=gpus_of_tres(_counts(step.tres)),
            mem_max_bytes=int(step.stats.max_resident_memory or 0),
        )

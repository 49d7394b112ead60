"""What the tables have of the runs of a job, read at one moment."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, select

from hpcjobs.model.attempt import Attempt
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Job
from hpcjobs.model.losses import RunTold
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Recovery
from hpcjobs.store import attempts, events, progress, recoveries, repository
from hpcjobs.store.tables import JOBS

EVENTS_OF_RUN: Final = 4
"""It starts, ends, is ordered to be requeued, waits again."""
KINDS: Final = (EventKind.JOB_STATE, EventKind.JOB_ORDER, EventKind.POLICY_ACTION)


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of the runs of a job.

    Attributes:
        attempts: How it came into Slurm, first to last.
        recoveries: What was decided of its runs, oldest first.
        progress: How far its runs came, the first run first.
        events: What happened to it, oldest first.
        recover: Whether it asked to be started again where it fails.
        tasks: Of an array: numbers of the tasks of which anything was decided.
    """

    attempts: list[Attempt]
    recoveries: list[Recovery]
    progress: list[Progress]
    events: list[Event]
    recover: bool
    tasks: list[int]


def to_job(connection: Connection, job: Job, runs: int) -> Happened:
    """What happened to a job.

    Args:
        connection: The database.
        job: Which; the attempts of a task are its array's.
        runs: Events of about so many runs are brought, the last ones.
    """
    hints = repository.hints_of(connection, [job.attempt]) if job.attempt else {}
    return Happened(
        attempts=attempts.of_job(connection, job.parent or job.id),
        recoveries=recoveries.of_jobs(connection, [job.id]).get(job.id, []),
        progress=progress.of_jobs(connection, [job.id]).get(job.id, []),
        events=events.latest_of(connection, job.id, runs * EVENTS_OF_RUN, KINDS),
        recover=any(one.recover for one in hints.values()),
        tasks=recoveries.tasks_of(connection, job.id) if job.array_size else [],
    )


def to_runs(connection: Connection, since: float) -> list[RunTold]:
    """What is stored of the runs of jobs of which any ended, or told anything, since then.

    Args:
        connection: The database.
        since: Unix seconds.
    """
    table = progress.PROGRESS
    lately = select(table.c.job_id).where(table.c.seen_at >= since)
    named = select(table, JOBS.c.slurm_job_id).join(JOBS, JOBS.c.id == table.c.job_id)
    wanted = named.where(table.c.job_id.in_(lately), JOBS.c.slurm_job_id.is_not(None))
    found = [
        RunTold(cluster=one.cluster, slurm_job_id=one.slurm_job_id, run=one.run, at=one.at, cause=one.diagnosis.failure)
        for one in recoveries.since(connection, since)
    ]
    for row in connection.execute(wanted).mappings():
        told = {name: value for name, value in row.items() if name != "slurm_job_id"}
        came = Progress(**told)
        found.append(
            RunTold(cluster=came.cluster, slurm_job_id=row["slurm_job_id"], run=came.run, at=came.alive, progress=came)
        )
    return found

"""Between rows and the model: what of a job is a column, and what travels in its JSON document."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, insert, update

from hpcjobs.model.job import Job, JobFacts, JobRecord
from hpcjobs.model.particulars import UNTOLD
from hpcjobs.store.bulk import execute_many
from hpcjobs.store.tables import JOBS

FACT_NAMES: Final = JobFacts.__struct_fields__
_FACTS: Final = operator.attrgetter(*FACT_NAMES)

FIXED: Final = frozenset({"id", "cluster", "parent", "task", "created_at"})
"""Columns that never change."""

_INSERT: Final = insert(JOBS)
_UPDATE: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("row_id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("slurm_job_id", "user", "account", "partition", "name", "state", "fate", "document")
        }
    )
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Job)


def job_of(document: str) -> Job:
    """A stored document as the model's Job."""
    return _decoder.decode(document)


def document_of(job: Job) -> str:
    """The model's Job as a stored document."""
    return _encoder.encode(job).decode()


def columns_of(job: Job) -> dict[str, Any]:
    """A job as the columns of its row."""
    return {
        "id": job.id,
        "cluster": job.cluster,
        "slurm_job_id": job.slurm_job_id,
        "parent": job.parent,
        "task": job.task,
        "user": job.user,
        "account": job.account,
        "partition": job.partition,
        "name": job.name,
        "state": job.state.value,
        "fate": job.fate.value if job.fate else None,
        "created_at": job.created_at,
        "document": document_of(job),
    }


def insert_jobs(connection: Connection, columns: Sequence[dict[str, Any]]) -> None:
    """Write new rows; see columns_of."""
    if columns:
        execute_many(connection, _INSERT, columns)


def update_jobs(connection: Connection, jobs: Sequence[Job]) -> None:
    """Write changed jobs over their rows."""
    if jobs:
        rows = [
            {"row_id": job.id} | {f"new_{name}": value for name, value in columns_of(job).items() if name not in FIXED}
            for job in jobs
        ]
        execute_many(connection, _UPDATE, rows)


def facts_of(record: JobFacts) -> dict[str, Any]:
    """The facts of a record, a job or another holder of them, by name."""
    return dict(zip(FACT_NAMES, _FACTS(record), strict=True))


def record_of(job: Job) -> JobRecord:
    """What Slurm last said of a job that it has."""
    return JobRecord(slurm_job_id=job.slurm_job_id or 0, attempt=job.attempt, **facts_of(job))


def with_record(job: Job, record: JobRecord, now: float) -> Job:
    """The job after a listing.

    Args:
        job: As it was.
        record: What Slurm says now.
        now: Unix seconds of the listing.

    Returns:
        Accounting tells no particulars: those that the last listing told stay.
    """
    told = facts_of(record)
    if record.particulars == UNTOLD:
        told["particulars"] = job.particulars
    return msgspec.structs.replace(
        job,
        **told,
        slurm_job_id=record.slurm_job_id,
        attempt=record.attempt or job.attempt,
        detail="",
        changed_at=now,
    )

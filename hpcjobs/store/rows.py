"""Between rows and the model: what of a job is a column, and what travels in its JSON document."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hpcjobs.model.job import Job, JobFacts, JobRecord

FACT_NAMES: Final = JobFacts.__struct_fields__
RECORD_NAMES: Final = JobRecord.__struct_fields__

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Job)


def job_of(document: str) -> Job:
    """A stored document as the model's Job."""
    return _decoder.decode(document)


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
        "document": _encoder.encode(job).decode(),
    }


def facts_of(record: JobFacts) -> dict[str, Any]:
    """The facts of a record, a job or another holder of them, by name."""
    return {name: getattr(record, name) for name in FACT_NAMES}


def record_of(job: Job) -> JobRecord:
    """What Slurm last said of a job that it has."""
    return JobRecord(slurm_job_id=job.slurm_job_id or 0, attempt=job.attempt, **facts_of(job))


def with_record(job: Job, record: JobRecord, now: float) -> Job:
    """The job after a listing.

    Args:
        job: As it was.
        record: What Slurm says now.
        now: Unix seconds of the listing.
    """
    return msgspec.structs.replace(
        job,
        **facts_of(record),
        slurm_job_id=record.slurm_job_id,
        attempt=record.attempt or job.attempt,
        detail="",
        changed_at=now,
    )

"""The tables. What is filtered or joined on is a column; the rest of a job travels as one JSON text."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class JobRow(SQLModel, table=True):
    """One job, asked for here or seen in a listing.

    Attributes:
        id: 32 hexadecimal digits of a UUIDv7: sorts by creation.
        facts: JobFacts as JSON, as Slurm last said it.
        spec: JobSpec as JSON, as asked for; None for a job that came another way.
        idempotency_key: As the caller gave it; one job per user and key.
        request_digest: SHA-256 of cluster and spec: tells a retry from another request with the same key.
        observed_at: Unix seconds of the listing that last changed the row.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("user", "idempotency_key", name="jobs_user_key"),
        Index("jobs_slurm", "cluster", "slurm_job_id"),
        Index("jobs_user", "user", "id"),
        Index("jobs_state", "state", "id"),
    )

    id: str = Field(primary_key=True, max_length=32)
    cluster: str = Field(max_length=64)
    slurm_job_id: int | None = Field(default=None, sa_type=BigInteger)
    user: str = Field(max_length=64)
    account: str = Field(default="", max_length=255)
    partition: str = Field(default="", sa_type=Text)
    name: str = Field(default="", sa_type=Text)
    state: str = Field(max_length=16)
    fate: str | None = Field(default=None, max_length=16)
    detail: str = Field(default="", sa_type=Text)
    created_at: float
    observed_at: float | None = None
    facts: str = Field(sa_type=Text)
    spec: str | None = Field(default=None, sa_type=Text)
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_digest: str | None = Field(default=None, max_length=64)


class AttemptRow(SQLModel, table=True):
    """One try to bring a job into Slurm, written before Slurm is called.

    Attributes:
        id: 32 hexadecimal digits; travels in the job's comment.
        number: 1 for the first try of the job.
        state: SENDING, UNKNOWN, SENT, REFUSED or UNSENT.
        changed_at: Unix seconds of the last change of state.
        refusals: For REFUSED: the refusals as JSON, so that a retry gets the same answer.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "number", name="attempts_number"),
        Index("attempts_state", "state", "changed_at"),
    )

    id: str = Field(primary_key=True, max_length=32)
    job_id: str = Field(foreign_key="jobs.id", max_length=32)
    number: int
    state: str = Field(max_length=16)
    created_at: float
    changed_at: float
    refusals: str = Field(default="", sa_type=Text)

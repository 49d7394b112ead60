"""The tables. What is filtered or joined on is a column; the whole of a job travels as one JSON document.

Declared with SQLModel, used as SQLAlchemy tables (JOBS, SPECS, ATTEMPTS, EVENTS).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class JobRow(SQLModel, table=True):
    """One job, asked for here or seen in a listing; also one task of an array, one component of a het job.

    Attributes:
        id: 32 hexadecimal digits of a UUIDv7: sorts by creation.
        parent: For a task or component: id of the array or heterogeneous job that it is of.
        task: For a task: its number in the array; for a component: its offset.
        document: Job as JSON, as the API shows it.
        idempotency_key: As the caller gave it; one job per user and key.
        request_digest: SHA-256 of cluster and spec: tells a retry from another request with the same key.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("user", "idempotency_key", name="jobs_user_key"),
        Index("jobs_slurm", "cluster", "slurm_job_id"),
        Index("jobs_parent", "parent", "task"),
        Index("jobs_user", "user", "id"),
        Index("jobs_user_state", "user", "state", "id"),
        Index("jobs_account", "account", "id"),
        Index("jobs_state", "state", "id"),
    )

    id: str = Field(primary_key=True, max_length=32)
    cluster: str = Field(max_length=64)
    slurm_job_id: int | None = Field(default=None, sa_type=BigInteger)
    parent: str | None = Field(
        default=None, sa_column=Column(String(32), ForeignKey("jobs.id", name="jobs_parent_fkey"))
    )
    task: int | None = Field(default=None, sa_type=BigInteger)
    user: str = Field(max_length=64)
    account: str = Field(default="", max_length=255)
    partition: str = Field(default="", sa_type=Text)
    name: str = Field(default="", sa_type=Text)
    state: str = Field(max_length=16)
    fate: str | None = Field(default=None, max_length=16)
    created_at: float
    document: str = Field(sa_type=Text)
    idempotency_key: str | None = Field(default=None, max_length=255)
    request_digest: str | None = Field(default=None, max_length=64)


class SpecRow(SQLModel, table=True):
    """What was asked for, where it was asked for here: JobSpec as JSON, as admitted."""

    __tablename__ = "specs"

    job_id: str = Field(primary_key=True, foreign_key="jobs.id", max_length=32)
    spec: str = Field(sa_type=Text)


class AttemptRow(SQLModel, table=True):
    """One try to bring a job into Slurm, written before Slurm is called.

    Attributes:
        id: 32 hexadecimal digits; travels in the job's comment.
        number: 1 for the first try of the job.
        state: AttemptState.
        changed_at: Unix seconds of the last change of state.
        detail: Why it is not SENT, where that can be said.
        refusals: For REFUSED: the refusals as JSON, so that a retry gets the same answer.
        generation: The generation of plugins that admitted the job; 0: there were none.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "number", name="attempts_number"),
        Index("attempts_state", "state", "job_id"),
    )

    id: str = Field(primary_key=True, max_length=32)
    job_id: str = Field(foreign_key="jobs.id", max_length=32)
    number: int
    state: str = Field(max_length=16)
    created_at: float
    changed_at: float
    detail: str = Field(default="", sa_type=Text)
    refusals: str = Field(default="", sa_type=Text)
    generation: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class ClusterRow(SQLModel, table=True):
    """One cluster: when it was last listed (Unix seconds), so that a gap is seen after a restart."""

    __tablename__ = "clusters"

    name: str = Field(primary_key=True, max_length=64)
    listed_at: float


class EventRow(SQLModel, table=True):
    """One thing that happened; never changed after it is written.

    Attributes:
        seq: Grows by one with each event and is never given again.
        at: Unix seconds.
        job_id: Our id of the job that it is about, or None.
        user: Owner of that job.
        data: What else there is to say, as JSON.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("events_job", "job_id", "seq"),
        Index("events_user", "user", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    at: float
    kind: str = Field(max_length=32)
    cluster: str = Field(max_length=64)
    job_id: str | None = Field(default=None, max_length=32)
    user: str = Field(default="", max_length=64)
    account: str = Field(default="", max_length=255)
    data: str = Field(sa_type=Text)


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


JOBS: Final = _table("jobs")
SPECS: Final = _table("specs")
ATTEMPTS: Final = _table("attempts")
EVENTS: Final = _table("events")
CLUSTERS: Final = _table("clusters")

"""How far runs of jobs have come, as their agents told last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import BigInteger, Connection, Text, delete, insert, select
from sqlmodel import Field, SQLModel

from hpcjobs.model.progress import Progress
from hpcjobs.store.repository import chunks


class ProgressRow(SQLModel, table=True):
    """One run; see Progress."""

    __tablename__ = "progress"

    job_id: str = Field(primary_key=True, max_length=32)
    run: int = Field(primary_key=True)
    cluster: str = Field(max_length=64, index=True)
    attempt: int
    began: float
    alive: float
    heartbeat: float | None = None
    step: int | None = Field(default=None, sa_type=BigInteger)
    step_at: float | None = None
    checkpoint: str = Field(sa_type=Text)
    checkpoint_step: int | None = Field(default=None, sa_type=BigInteger)
    checkpoint_at: float | None = None
    save_s: float | None = None
    resumed: str = Field(sa_type=Text)
    fault: str = Field(sa_type=Text)
    seen_at: float


PROGRESS: Final = SQLModel.metadata.tables["progress"]


def keep(connection: Connection, told: Sequence[Progress]) -> None:
    """Write down how far runs have come, in place of what was written of them before."""
    for one in told:
        connection.execute(delete(PROGRESS).where(PROGRESS.c.job_id == one.job_id, PROGRESS.c.run == one.run))
    if told:
        connection.execute(insert(PROGRESS), [msgspec.structs.asdict(one) for one in told])


def of_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[Progress]]:
    """How far the runs of jobs have come, by our id, the first run first; jobs that told nothing are not among them."""
    found: dict[str, list[Progress]] = {}
    for chunk in chunks(job_ids):
        wanted = select(PROGRESS).where(PROGRESS.c.job_id.in_(chunk)).order_by(PROGRESS.c.run)
        for row in connection.execute(wanted).mappings():
            found.setdefault(row["job_id"], []).append(Progress(**row))
    return found

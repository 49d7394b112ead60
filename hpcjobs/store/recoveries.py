"""What was decided of runs that ended badly: written before anything is done about it, and what each job has tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, Text, UniqueConstraint, insert, select, update
from sqlmodel import Field, SQLModel

from hpcjobs.model.event import Event
from hpcjobs.model.failure import Diagnosis
from hpcjobs.model.recovery import Decision, Recovery, RecoveryState, Retry, Tried
from hpcjobs.store import events
from hpcjobs.store.repository import chunks
from hpcjobs.store.tables import JOBS


class RecoveryRow(SQLModel, table=True):
    """One run that ended; see Recovery. ``diagnosis`` and ``decision`` are JSON."""

    __tablename__ = "recoveries"
    __table_args__ = (UniqueConstraint("job_id", "run", name="recoveries_once"),)

    id: int | None = Field(default=None, primary_key=True)
    cluster: str = Field(max_length=64, index=True)
    job_id: str = Field(max_length=32)
    slurm_job_id: int
    run: int
    at: float
    progress: int | None = None
    diagnosis: str = Field(sa_type=Text)
    decision: str = Field(sa_type=Text)
    plugin: str = Field(max_length=64)
    decided_at: float
    state: str = Field(max_length=16)


RECOVERIES: Final = SQLModel.metadata.tables["recoveries"]
_COLUMNS: Final = [column for column in RECOVERIES.c if column.name != "id"]


def add(connection: Connection, recovery: Recovery, told: Iterable[Event] = ()) -> bool:
    """Keep what was decided of a run, and tell of it, together.

    Returns:
        False: something had been decided of it before, which stays.
    """
    there = select(RECOVERIES.c.id).where(RECOVERIES.c.job_id == recovery.job_id, RECOVERIES.c.run == recovery.run)
    if connection.execute(there).first() is not None:
        return False
    row = {field: getattr(recovery, field) for field in ("cluster", "job_id", "slurm_job_id", "run", "at", "progress")}
    row |= {"plugin": recovery.plugin, "decided_at": recovery.decided_at, "state": recovery.state.value}
    row |= {"diagnosis": _json(recovery.diagnosis), "decision": _json(recovery.decision)}
    connection.execute(insert(RECOVERIES).values(row))
    events.write(connection, list(told))
    return True


def of_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[Recovery]]:
    """What was decided of jobs, by our id, the oldest first; jobs of which nothing was are not among them."""
    found: dict[str, list[Recovery]] = {}
    for chunk in chunks(job_ids):
        wanted = select(*_COLUMNS).where(RECOVERIES.c.job_id.in_(chunk)).order_by(RECOVERIES.c.id)
        for row in connection.execute(wanted).mappings():
            found.setdefault(row["job_id"], []).append(_recovery(row))
    return found


def since(connection: Connection, at: float) -> list[Recovery]:
    """What was decided of jobs of which a run ended since then: of all of their runs, the oldest first.

    Args:
        connection: The database.
        at: Unix seconds.
    """
    lately = select(RECOVERIES.c.job_id).where(RECOVERIES.c.at >= at)
    wanted = select(*_COLUMNS).where(RECOVERIES.c.job_id.in_(lately)).order_by(RECOVERIES.c.id)
    return [_recovery(row) for row in connection.execute(wanted).mappings()]


def tasks_of(connection: Connection, array: str) -> list[int]:
    """The tasks of an array of which anything was decided, by number.

    Args:
        connection: The database.
        array: Our id of the array.
    """
    joined = RECOVERIES.join(JOBS, JOBS.c.id == RECOVERIES.c.job_id)
    wanted = select(JOBS.c.task).distinct().select_from(joined).where(JOBS.c.parent == array, JOBS.c.task.is_not(None))
    return list(connection.execute(wanted.order_by(JOBS.c.task)).scalars())


def open_of(connection: Connection, cluster: str) -> list[Recovery]:
    """What is still to be done on a cluster."""
    wanted = select(*_COLUMNS).where(RECOVERIES.c.cluster == cluster, RECOVERIES.c.state == RecoveryState.OPEN.value)
    return [_recovery(row) for row in connection.execute(wanted.order_by(RECOVERIES.c.id)).mappings()]


def after(connection: Connection, cluster: str, last: int) -> tuple[list[Recovery], int]:
    """What was decided on a cluster since one looked, the oldest first.

    Args:
        connection: The database.
        cluster: Which.
        last: As was returned then; 0: one has not.
    """
    wanted = select(RECOVERIES).where(RECOVERIES.c.cluster == cluster, RECOVERIES.c.id > last)
    rows = connection.execute(wanted.order_by(RECOVERIES.c.id)).mappings().all()
    return [_recovery(row) for row in rows], int(rows[-1]["id"]) if rows else last


def settle(connection: Connection, job_id: str, run: int, state: RecoveryState) -> None:
    """Say what came of it."""
    which = (RECOVERIES.c.job_id == job_id, RECOVERIES.c.run == run)
    connection.execute(update(RECOVERIES).where(*which).values(state=state.value))


def give_up(connection: Connection, job_id: str) -> bool:
    """Do no more about a job that was to be started again, because somebody has cancelled it.

    Returns:
        Whether anything was still to be done.
    """
    which = (RECOVERIES.c.job_id == job_id, RECOVERIES.c.state == RecoveryState.OPEN.value)
    return bool(connection.execute(update(RECOVERIES).where(*which).values(state=RecoveryState.OVER.value)).rowcount)


def tried_of(recoveries: Iterable[Recovery]) -> tuple[Tried, ...]:
    """The same as what plugins are told of it."""
    return tuple(
        Tried(
            at=one.at,
            kind=one.diagnosis.failure,
            again=isinstance(one.decision, Retry),
            progress=one.progress,
            nodes=tuple(suspect.node for suspect in one.diagnosis.suspects if suspect.node),
        )
        for one in recoveries
    )


def _json(value: Diagnosis | Decision) -> str:
    return msgspec.json.encode(value).decode()


def _recovery(row: RowMapping) -> Recovery:
    told = dict(row)
    told.pop("id", None)
    told["diagnosis"] = msgspec.json.decode(told["diagnosis"], type=Diagnosis)
    told["decision"] = msgspec.json.decode(told["decision"], type=Decision)
    return Recovery(**(told | {"state": RecoveryState(told["state"])}))

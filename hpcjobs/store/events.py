"""Events: written in the transaction of what they tell, read in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select

from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Job
from hpcjobs.store.tables import EVENTS


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: every field that is given must hold."""

    user: str | None = None
    cluster: str | None = None
    job_id: str | None = None
    kinds: tuple[EventKind, ...] = ()


def write(connection: Connection, events: Sequence[Event]) -> None:
    """Append; ``seq`` is given by the database."""
    if events:
        rows = [
            {
                "at": event.at,
                "kind": event.kind.value,
                "cluster": event.cluster,
                "job_id": event.job_id,
                "user": event.user,
                "account": event.account,
                "data": msgspec.json.encode(event.data).decode(),
            }
            for event in events
        ]
        connection.execute(insert(EVENTS), rows)


def of_job(kind: EventKind, job: Job, now: float, **data: str | float | bool | None) -> Event:
    """An event about a job."""
    return Event(0, now, kind, job.cluster, job.id, job.user, job.account, {**data})


def state_event(job: Job, before: Job | None, now: float) -> Event:
    """That a job came to where it is now.

    Args:
        job: As it is.
        before: As it was; None: it was not known.
        now: Unix seconds.
    """
    return of_job(
        EventKind.JOB_STATE,
        job,
        now,
        before=before.state.value if before else None,
        state=job.state.value,
        fate=job.fate.value if job.fate else None,
        raw_state=job.raw_state,
        reason=job.reason,
        detail=job.detail,
        slurm_job_id=job.slurm_job_id,
        slurm_name=job.slurm_name,
        parent=job.parent,
        exit_code=job.exit_code if job.final else None,
        exit_signal=job.exit_signal if job.final else None,
    )


def tells(job: Job, before: Job | None) -> bool:
    """Whether a change is one that a state event tells of; why a job waits may change with each listing and is not."""
    return before is None or (job.state, job.fate, job.slurm_job_id, job.restarts) != (
        before.state,
        before.fate,
        before.slurm_job_id,
        before.restarts,
    )


def page(connection: Connection, wanted: EventFilter, after: int, limit: int) -> list[Event]:
    """Events in order.

    Args:
        connection: The database.
        wanted: Which.
        after: Only those with a larger ``seq``.
        limit: Most events.
    """
    clauses: list[ColumnElement[bool]] = [EVENTS.c.seq > after]
    clauses += [
        EVENTS.c[name] == getattr(wanted, name)
        for name in ("user", "cluster", "job_id")
        if getattr(wanted, name) is not None
    ]
    if wanted.kinds:
        clauses.append(EVENTS.c.kind.in_([kind.value for kind in wanted.kinds]))
    rows = connection.execute(select(EVENTS).where(*clauses).order_by(EVENTS.c.seq).limit(limit))
    return [_event(row) for row in rows]


def latest_of(connection: Connection, job_id: str, limit: int) -> list[Event]:
    """The newest events of a job, oldest of them first."""
    rows = connection.execute(
        select(EVENTS).where(EVENTS.c.job_id == job_id).order_by(EVENTS.c.seq.desc()).limit(limit)
    ).all()
    return [_event(row) for row in reversed(rows)]


def _event(row: Row[Any]) -> Event:
    return Event(
        seq=row.seq,
        at=row.at,
        kind=EventKind(row.kind),
        cluster=row.cluster,
        job_id=row.job_id,
        user=row.user,
        account=row.account,
        data=msgspec.json.decode(row.data),
    )


def last_seq(connection: Connection) -> int:
    """The newest event's place; 0 where there is none."""
    return int(connection.execute(select(func.max(EVENTS.c.seq))).scalar() or 0)


def first_seq(connection: Connection) -> int:
    """The oldest event's place that is still kept; 0 where there is none."""
    return int(connection.execute(select(func.min(EVENTS.c.seq))).scalar() or 0)


def prune(connection: Connection, before: float) -> int:
    """Forget events older than a moment (Unix seconds); returns how many."""
    return connection.execute(delete(EVENTS).where(EVENTS.c.at < before)).rowcount

"""Events: written in the transaction of what they tell, read in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select

from hpcjobs.identity.policy import PUBLIC_KINDS, Visibility
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.store.bulk import execute_many
from hpcjobs.store.tables import EVENTS, JOBS

ORDER_LOCK: Final = 0x68706A6F6273
"""Of PostgreSQL: who appends events holds it until the commit, so that they come to be seen in the order of seq."""


_INSERT: Final = insert(EVENTS)


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: every field that is given must hold.

    Attributes:
        user: Of this user's jobs.
        cluster: Of this cluster.
        account: Of jobs under this account.
        job_id: Of this job; of an array, its tasks' too; ``<id of an array>_<task>``: of a task, split off or not.
        kinds: Of one of these kinds.
        states: Of jobs that came into one of these states.
        fates: Of jobs that ended in one of these ways.
        visible: Those that the caller may see; None: all.
    """

    user: str | None = None
    cluster: str | None = None
    account: str | None = None
    job_id: str | None = None
    kinds: tuple[EventKind, ...] = ()
    states: tuple[State, ...] = ()
    fates: tuple[Fate, ...] = ()
    visible: Visibility | None = None

    def covers(self, event: Event) -> bool:
        """Whether an event is one of those."""
        return (
            (self.user is None or event.user == self.user)
            and (self.cluster is None or event.cluster == self.cluster)
            and (self.account is None or event.account == self.account)
            and (self.job_id is None or self.job_id in _names(event))
            and (not self.kinds or event.kind in self.kinds)
            and (not (self.states or self.fates) or event.kind is EventKind.JOB_STATE)
            and (not self.states or event.data.get("state") in self.states)
            and (not self.fates or event.data.get("fate") in self.fates)
            and (self.visible is None or self.visible.shows(event))
        )


def _names(event: Event) -> tuple[object, ...]:
    """What the job of an event can be asked for by: itself, its array, and the task that it was before it had a row."""
    parent = event.data.get("parent")
    return (event.job_id,) if parent is None else (event.job_id, parent, f"{parent}_{event.data.get('task')}")


class Stretch(msgspec.Struct, frozen=True):
    """A piece of the table.

    Attributes:
        events: Those that were asked for, in order.
        upto: Everything up to this ``seq`` has been looked at.
        oldest: The first ``seq`` that is still kept; 0: none is.
        newest: The last ``seq`` there is; ``upto`` is the same where the piece goes to the end.
    """

    events: list[Event]
    upto: int
    oldest: int
    newest: int


def write(connection: Connection, events: Sequence[Event]) -> None:
    """Append; ``seq`` is given by the database."""
    if events:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(ORDER_LOCK)))
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
        execute_many(connection, _INSERT, rows)


def of_job(kind: EventKind, job: Job, now: float, **data: str | float | bool | None) -> Event:
    """An event about a job; of a task or component it names the whole too."""
    about = {"parent": job.parent, "task": job.task} if job.parent else {}
    return Event(0, now, kind, job.cluster, job.id, job.user, job.account, {**about, **data})


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
        restarts=job.restarts,
        node_list=job.node_list,
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


def _is_visible(visible: Visibility) -> ColumnElement[bool]:
    """What Visibility.covers says of events about jobs, in SQL."""
    accounts: dict[str, list[str]] = {}
    for cluster, account in sorted(visible.accounts):
        accounts.setdefault(cluster, []).append(account)
    return or_(
        EVENTS.c.user == visible.user,
        *(and_(EVENTS.c.cluster == cluster, EVENTS.c.account.in_(names)) for cluster, names in accounts.items()),
    )


def stretch(connection: Connection, wanted: EventFilter, after: int | None, limit: int) -> Stretch:
    """The events that follow, in order.

    Args:
        connection: The database.
        wanted: Which.
        after: Only those with a larger ``seq``; None: none, only where the table ends.
        limit: Most events that are looked at closely.
    """
    newest = last_seq(connection)  # before the rows: what is appended meanwhile is not this piece's
    oldest = first_seq(connection)
    if after is None or after >= newest:
        return Stretch([], newest if after is None else after, oldest, newest)
    clauses: list[ColumnElement[bool]] = [EVENTS.c.seq > after, EVENTS.c.seq <= newest, *_clauses(wanted)]
    rows = connection.execute(select(EVENTS).where(*clauses).order_by(EVENTS.c.seq).limit(limit)).all()
    found = [_event(row) for row in rows]
    upto = newest if len(rows) < limit else rows[-1].seq
    return Stretch([event for event in found if wanted.covers(event)], upto, oldest, newest)


def _clauses(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What EventFilter.covers says, as far as columns can: all that it covers, and more."""
    clauses: list[ColumnElement[bool]] = [
        EVENTS.c[name] == getattr(wanted, name)
        for name in ("user", "cluster", "account")
        if getattr(wanted, name) is not None
    ]
    if wanted.job_id is not None:
        whole, _, task = wanted.job_id.partition("_")
        tasks = select(JOBS.c.id).where(JOBS.c.parent == whole, *([JOBS.c.task == int(task)] if task else ()))
        clauses.append(or_(EVENTS.c.job_id == wanted.job_id, EVENTS.c.job_id.in_(tasks)))
    if wanted.kinds:
        clauses.append(EVENTS.c.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.states or wanted.fates:
        clauses.append(EVENTS.c.kind == EventKind.JOB_STATE.value)
    if wanted.visible is not None and not wanted.visible.everything:
        clauses.append(or_(EVENTS.c.kind.in_([kind.value for kind in PUBLIC_KINDS]), _is_visible(wanted.visible)))
    return clauses


def latest_of(connection: Connection, job_id: str, limit: int, kinds: Sequence[EventKind] = ()) -> list[Event]:
    """The newest events of a job, oldest of them first; of these kinds, where any are given."""
    wanted = select(EVENTS).where(EVENTS.c.job_id == job_id)
    if kinds:
        wanted = wanted.where(EVENTS.c.kind.in_([kind.value for kind in kinds]))
    rows = connection.execute(wanted.order_by(EVENTS.c.seq.desc()).limit(limit)).all()
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


def first_at(connection: Connection) -> float | None:
    """When the oldest event was that is still kept, in Unix seconds; None: there is none."""
    at = connection.execute(select(EVENTS.c.at).order_by(EVENTS.c.seq).limit(1)).scalar()
    return None if at is None else float(at)


def prune(connection: Connection, before: float, keep_after: int | None = None, most: int = 5_000) -> int:
    """Forget old events, the first ones first: what is kept has no holes. The newest stays, as the end of the count.

    Args:
        connection: The database.
        before: Those older than this, in Unix seconds.
        keep_after: Those with a larger ``seq`` stay; None: none does for that reason.
        most: No more at a time.

    Returns:
        How many were forgotten.
    """
    oldest = first_seq(connection)
    # Times have no index: no further than as many as are forgotten at a time.
    young = select(func.min(EVENTS.c.seq)).where(EVENTS.c.seq < oldest + most, EVENTS.c.at >= before)
    ends = [oldest + most, last_seq(connection), connection.execute(young).scalar()]
    if keep_after is not None:
        ends.append(keep_after + 1)
    return connection.execute(delete(EVENTS).where(EVENTS.c.seq < min(end for end in ends if end is not None))).rowcount

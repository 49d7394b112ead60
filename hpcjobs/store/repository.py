"""Jobs: found, listed, and kept true by the observer.

Every function takes a session that its caller opened (Store.read, Store.write). No SQL stands outside this folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import Session, col, select

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.job import Fate, Job, JobFacts, JobRecord, JobSpec, State
from hpcjobs.store.attempts import AttemptState
from hpcjobs.store.rows import facts_of, job_of, set_record
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import AttemptRow, JobRow


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs: every field that is given must hold.

    Attributes:
        visible: Which of them the caller may see; None: all.
    """

    user: str | None = None
    cluster: str | None = None
    states: tuple[State, ...] = ()
    fates: tuple[Fate, ...] = ()
    account: str | None = None
    partition: str | None = None
    name: str | None = None
    slurm_job_id: int | None = None
    visible: Visibility | None = None


def _is_visible(visible: Visibility) -> ColumnElement[bool]:
    """What Visibility.covers says, in SQL."""
    accounts: dict[str, list[str]] = {}
    for cluster, account in sorted(visible.accounts):
        accounts.setdefault(cluster, []).append(account)
    return or_(
        col(JobRow.user) == visible.user,
        *(and_(col(JobRow.cluster) == cluster, col(JobRow.account).in_(names)) for cluster, names in accounts.items()),
    )


def job_by_id(session: Session, job_id: str) -> Job | None:
    """The job with our id."""
    row = session.get(JobRow, job_id)
    return job_of(row) if row else None


def job_by_slurm_id(session: Session, cluster: str, slurm_job_id: int) -> Job | None:
    """The newest job that has or had this number on this cluster."""
    row = session.exec(
        select(JobRow)
        .where(JobRow.cluster == cluster, JobRow.slurm_job_id == slurm_job_id)
        .order_by(col(JobRow.id).desc())
        .limit(1)
    ).first()
    return job_of(row) if row else None


def page(session: Session, wanted: JobFilter, before: str | None, limit: int) -> list[Job]:
    """Jobs, newest first.

    Args:
        session: The database.
        wanted: Which.
        before: Only jobs older than the one with this id; None for the first page.
        limit: Most jobs.

    Returns:
        Up to ``limit`` jobs.
    """
    clauses: list[ColumnElement[bool]] = [
        col(getattr(JobRow, name)) == getattr(wanted, name)
        for name in ("user", "cluster", "account", "partition", "name", "slurm_job_id")
        if getattr(wanted, name) is not None
    ]
    if wanted.visible is not None and not wanted.visible.everything:
        clauses.append(_is_visible(wanted.visible))
    if wanted.states:
        clauses.append(col(JobRow.state).in_([state.value for state in wanted.states]))
    if wanted.fates:
        clauses.append(col(JobRow.fate).in_([fate.value for fate in wanted.fates]))
    if before is not None:
        clauses.append(col(JobRow.id) < before)
    rows = session.exec(select(JobRow).where(*clauses).order_by(col(JobRow.id).desc()).limit(limit))
    return [job_of(row) for row in rows]


def spec_of(session: Session, job_id: str) -> JobSpec | None:
    """What was asked for, where it was asked for here."""
    row = session.get(JobRow, job_id)
    return msgspec.json.decode(row.spec, type=JobSpec) if row and row.spec else None


class Known(msgspec.Struct, frozen=True):
    """What the observer remembers of a job: our id, and what Slurm last said."""

    id: str
    facts: JobFacts
    final: bool


def live_jobs(session: Session, cluster: str) -> dict[int, Known]:
    """Every job on this cluster that Slurm has and that has not ended, by Slurm's number."""
    rows = session.exec(
        select(JobRow).where(
            JobRow.cluster == cluster,
            col(JobRow.slurm_job_id).is_not(None),
            JobRow.state != State.FINISHED.value,
        )
    )
    return {int(row.slurm_job_id or 0): Known(row.id, msgspec.json.decode(row.facts, type=JobFacts), False)
            for row in rows}  # fmt: skip


def apply(
    session: Session,
    cluster: str,
    changed: Sequence[tuple[str | None, JobRecord]],
    lost: Mapping[str, str],
    now: float,
) -> dict[int, Known]:
    """Write what a listing changed.

    Args:
        session: The database.
        cluster: Which cluster was listed.
        changed: Our id (None where the job is new to the observer) and what Slurm says now.
        lost: Detail by our id, for jobs that the listing should have held and did not.
        now: Unix seconds of the listing.

    Returns:
        What to remember, by Slurm's number.
    """
    known: dict[int, Known] = {}
    for job_id, record in changed:
        row = session.get(JobRow, job_id) if job_id else _row_for(session, cluster, record, now)
        if row is None:
            continue
        if row.fate == Fate.REFUSED and _never_ran(record):
            # Slurm keeps a record of some jobs that it refuses; the caller has been told, and that holds.
            known[record.slurm_job_id] = Known(row.id, facts_of(record), True)
            continue
        set_record(row, record, now)
        session.add(row)
        known[record.slurm_job_id] = Known(row.id, facts_of(record), row.state == State.FINISHED.value)
    for job_id, detail in lost.items():
        row = session.get(JobRow, job_id)
        if row is not None and row.state != State.FINISHED.value:
            row.state, row.detail = State.UNKNOWN.value, detail
            session.add(row)
    return known


def _row_for(session: Session, cluster: str, record: JobRecord, now: float) -> JobRow:
    """The row of a job that the observer does not know: ours by its mark, known by its number, or new."""
    attempt = session.get(AttemptRow, record.attempt) if record.attempt else None
    if attempt is not None:
        row = session.get_one(JobRow, attempt.job_id)
        # Comments can be read and copied: a mark in another user's job, or in a second job, says nothing.
        if row.user == record.user and row.slurm_job_id in (None, record.slurm_job_id):
            refused = attempt.state == AttemptState.REFUSED and _never_ran(record)
            if attempt.state != AttemptState.SENT and not refused:
                attempt.state, attempt.changed_at = AttemptState.SENT.value, now
                session.add(attempt)
            return row
    rows: Sequence[Any] = session.exec(
        select(JobRow)
        .where(JobRow.cluster == cluster, JobRow.slurm_job_id == record.slurm_job_id)
        .order_by(col(JobRow.id).desc())
        .limit(1)
    ).all()
    if rows and _same_job(msgspec.json.decode(rows[0].facts, type=JobFacts), record):
        return rows[0]  # type: ignore[no-any-return]
    return JobRow(id=new_id(), cluster=cluster, user=record.user, state="", created_at=now, facts="{}")


def _never_ran(record: JobRecord) -> bool:
    """Whether a job failed without ever having had a node."""
    return record.fate is Fate.FAILED and not record.node_list


def _same_job(before: JobFacts, record: JobRecord) -> bool:
    """Whether a number still means the same job: Slurm starts again at the first number when its state is lost."""
    return record.user == before.user and (
        record.submit_time == before.submit_time or record.restarts > before.restarts or not before.submit_time
    )

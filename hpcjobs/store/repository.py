"""The only SQL. Every function takes a session that its caller opened (Store.read, Store.write)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from hpcjobs.errors import Refusal
from hpcjobs.model.job import Fate, Job, JobFacts, JobRecord, JobSpec, State
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import AttemptRow, JobRow

_FACT_NAMES: Final = JobFacts.__struct_fields__


class AttemptState(StrEnum):
    """How far an attempt has come."""

    SENDING = "SENDING"  # written, Slurm is being called
    UNKNOWN = "UNKNOWN"  # called, and the answer was lost
    SENT = "SENT"  # Slurm has the job
    REFUSED = "REFUSED"  # Slurm would not have it
    UNSENT = "UNSENT"  # it did not reach Slurm; the next attempt may


OPEN: Final = (AttemptState.SENDING, AttemptState.UNKNOWN)


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs: every field that is given must hold."""

    user: str | None = None
    cluster: str | None = None
    states: tuple[State, ...] = ()
    fates: tuple[Fate, ...] = ()
    account: str | None = None
    partition: str | None = None
    name: str | None = None
    slurm_job_id: int | None = None


def facts_of(record: JobFacts) -> JobFacts:
    """The part of a record that is stored."""
    return JobFacts(**{name: getattr(record, name) for name in _FACT_NAMES})


def job_of(row: JobRow) -> Job:
    """A row as the model's Job."""
    facts = msgspec.json.decode(row.facts, type=JobFacts)
    return Job(
        id=row.id,
        cluster=row.cluster,
        slurm_job_id=row.slurm_job_id,
        detail=row.detail,
        created_at=row.created_at,
        observed_at=row.observed_at,
        **{name: getattr(facts, name) for name in _FACT_NAMES}
        | {"state": State(row.state), "fate": Fate(row.fate) if row.fate else None},
    )


def _set_facts(row: JobRow, facts: JobFacts) -> None:
    row.user, row.account, row.partition, row.name = facts.user, facts.account, facts.partition, facts.name
    row.facts = msgspec.json.encode(facts).decode()


def _set_record(row: JobRow, record: JobRecord, observed_at: float) -> None:
    row.slurm_job_id = record.slurm_job_id
    row.state, row.fate = record.state.value, record.fate.value if record.fate else None
    row.detail, row.observed_at = "", observed_at
    _set_facts(row, facts_of(record))


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


class Begun(msgspec.Struct, frozen=True):
    """What begin() found or made.

    Attributes:
        job: The job of this user and key.
        attempt: Id of the newest attempt.
        state: Its state: SENDING where begin() made it.
        made: Whether this call made the attempt, so that this caller is to send it.
        digest: Digest of the request that made the job.
        refusals: Where Slurm refused it.
    """

    job: Job
    attempt: str
    state: AttemptState
    made: bool
    digest: str | None
    refusals: tuple[Refusal, ...] = ()


def begin(session: Session, user: str, cluster: str, spec: JobSpec, key: str | None, digest: str, now: float) -> Begun:
    """Write a job and its attempt, or find those that an earlier call with the same key wrote.

    A job whose newest attempt did not reach Slurm gets the next attempt, if the request is the same.
    """
    row: JobRow | None = None
    if key is not None:
        row = session.exec(select(JobRow).where(JobRow.user == user, JobRow.idempotency_key == key)).first()
    if row is None:
        row = JobRow(
            id=new_id(),
            cluster=cluster,
            user=user,
            state=State.SUBMITTING.value,
            created_at=now,
            facts="",
            spec=msgspec.json.encode(spec).decode(),
            idempotency_key=key,
            request_digest=digest,
        )
        _set_facts(row, asked_facts(user, spec))
        session.add(row)
        session.flush()
        return _new_attempt(session, row, 1, now)
    last = session.exec(
        select(AttemptRow).where(AttemptRow.job_id == row.id).order_by(col(AttemptRow.number).desc()).limit(1)
    ).one()
    if last.state == AttemptState.UNSENT and row.slurm_job_id is None and row.request_digest == digest:
        row.state, row.fate, row.detail = State.SUBMITTING.value, None, ""
        session.add(row)
        return _new_attempt(session, row, last.number + 1, now)
    refusals = msgspec.json.decode(last.refusals, type=tuple[Refusal, ...]) if last.refusals else ()
    return Begun(job_of(row), last.id, AttemptState(last.state), False, row.request_digest, refusals)


def _new_attempt(session: Session, row: JobRow, number: int, now: float) -> Begun:
    attempt = AttemptRow(
        id=new_id(),
        job_id=row.id,
        number=number,
        state=AttemptState.SENDING.value,
        created_at=now,
        changed_at=now,
    )
    session.add(attempt)
    return Begun(job_of(row), attempt.id, AttemptState.SENDING, True, row.request_digest)


def asked_facts(user: str, spec: JobSpec) -> JobFacts:
    """What can be said of a job before Slurm has said anything."""
    asked = spec.resources
    return JobFacts(
        user=user,
        name=spec.name or "",
        account=spec.account or "",
        partition=spec.partition or "",
        qos=spec.qos or "",
        comment=spec.comment or "",
        nodes=asked.nodes or 0,
        ntasks=asked.ntasks or 0,
        wall_s=asked.wall_s,
        dependency=spec.dependency or "",
        workdir=spec.workdir or "",
    )


def settle_sent(session: Session, attempt_id: str, slurm_job_id: int, now: float) -> Job:
    """Slurm has the job: note its number. The observer fills in the rest."""
    attempt, row = _attempt_and_job(session, attempt_id)
    attempt.state, attempt.changed_at = AttemptState.SENT.value, now
    if row.slurm_job_id is None:
        row.slurm_job_id = slurm_job_id
        row.state, row.fate, row.detail = State.PENDING.value, None, ""
    session.add_all([attempt, row])
    return job_of(row)


def settle_refused(session: Session, attempt_id: str, refusals: Sequence[Refusal], now: float) -> Job:
    """Slurm would not have it: the job is over, unless Slurm has it all the same."""
    attempt, row = _attempt_and_job(session, attempt_id)
    if row.slurm_job_id is not None:
        return settle_unsent(session, attempt_id, "", now)
    attempt.state, attempt.changed_at = AttemptState.REFUSED.value, now
    attempt.refusals = msgspec.json.encode(refusals).decode()
    row.state, row.fate = State.FINISHED.value, Fate.REFUSED.value
    row.detail = "; ".join(refusal.detail for refusal in refusals)
    session.add_all([attempt, row])
    return job_of(row)


def settle_unsent(session: Session, attempt_id: str, detail: str, now: float) -> Job:
    """It did not reach Slurm. The job is over unless the same request comes again with the same key."""
    attempt, row = _attempt_and_job(session, attempt_id)
    if attempt.state in OPEN:
        attempt.state, attempt.changed_at = AttemptState.UNSENT.value, now
        if row.slurm_job_id is None:  # else an earlier attempt brought it there after all
            row.state, row.fate, row.detail = State.FINISHED.value, Fate.NOT_SENT.value, detail
        session.add_all([attempt, row])
    return job_of(row)


def mark_unknown(session: Session, attempt_id: str, detail: str, now: float) -> Job:
    """It was sent and the answer was lost; an observed job or its absence settles it."""
    attempt, row = _attempt_and_job(session, attempt_id)
    if attempt.state in OPEN:
        attempt.state, attempt.changed_at = AttemptState.UNKNOWN.value, now
        row.detail = detail
        session.add_all([attempt, row])
    return job_of(row)


def _attempt_and_job(session: Session, attempt_id: str) -> tuple[AttemptRow, JobRow]:
    attempt = session.get_one(AttemptRow, attempt_id)
    return attempt, session.get_one(JobRow, attempt.job_id)


def adopt_sending(session: Session, cluster: str, now: float) -> None:
    """Attempts that an earlier life of the service was sending: their outcome is unknown from now on."""
    for attempt in session.exec(
        select(AttemptRow)
        .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
        .where(JobRow.cluster == cluster, AttemptRow.state == AttemptState.SENDING.value)
    ):
        attempt.state, attempt.changed_at = AttemptState.UNKNOWN.value, now
        session.add(attempt)


def open_attempts(session: Session, cluster: str, changed_before: float) -> list[str]:
    """Attempts whose outcome is open since before a moment: the ids."""
    return list(
        session.exec(
            select(AttemptRow.id)
            .join(JobRow, col(JobRow.id) == col(AttemptRow.job_id))
            .where(
                JobRow.cluster == cluster,
                col(AttemptRow.state).in_([state.value for state in OPEN]),
                AttemptRow.changed_at < changed_before,
            )
        )
    )


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
        _set_record(row, record, now)
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

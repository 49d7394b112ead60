"""The life of an attempt to bring a job into Slurm: written before the call, settled once after it.

Every function takes a session that its caller opened (Store.read, Store.write).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
from sqlmodel import Session, col, select

from hpcjobs.errors import Refusal
from hpcjobs.model.job import Fate, Job, JobFacts, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.store.rows import job_of, set_facts
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import AttemptRow, JobRow


class AttemptState(StrEnum):
    """How far an attempt has come."""

    SENDING = "SENDING"  # written, Slurm is being called
    UNKNOWN = "UNKNOWN"  # called, and the answer was lost
    SENT = "SENT"  # Slurm has the job
    REFUSED = "REFUSED"  # Slurm would not have it
    UNSENT = "UNSENT"  # it did not reach Slurm; the next attempt may


OPEN: Final = (AttemptState.SENDING, AttemptState.UNKNOWN)


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
        set_facts(row, asked_facts(user, spec))
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
        wall_s=asked.wall_s or None,
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

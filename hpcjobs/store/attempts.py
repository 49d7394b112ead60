"""The life of an attempt to bring a job into Slurm: written before the call (intake.py), settled once after it.

    WAITING ──► SENDING ──► SENT ──► UNSENT (Slurm lost it)
       ▲           ├──────► REFUSED
       │           ├──────► UNKNOWN ──► SENT
       │           ▼           │
       └──────── UNSENT ◄──────┘        an UNSENT attempt is followed by the next one, WAITING

The usual end, SENT, stands in intake.py too. Every function takes a connection whose transaction its caller opened
(Store.read, Store.write).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update

from hpcjobs.errors import Refusal
from hpcjobs.model.attempt import Attempt, AttemptState
from hpcjobs.model.job import Fate, Job, JobFacts, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.store import events
from hpcjobs.store.rows import job_of, update_jobs
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import ATTEMPTS, JOBS, SPECS

_NOT_IN_SLURM: Final[dict[str, Any]] = {
    "slurm_job_id": None, "attempt": None, "raw_state": "", "reason": "", "priority": 0, "tasks": {},
    "submit_time": 0, "eligible_time": 0, "start_time": 0, "end_time": 0, "stdout": "", "stderr": "",
    "array_job_id": 0, "array_task": "", "het_job_id": 0, "het_offset": 0,
}  # fmt: skip
"""What Slurm gave a job, as it is while Slurm does not have it."""

OPEN: Final = (AttemptState.SENDING, AttemptState.UNKNOWN)


class Waiting(msgspec.Struct, frozen=True):
    """An attempt whose turn it is."""

    attempt: str
    job: Job
    spec: JobSpec


class OpenAttempt(msgspec.Struct, frozen=True):
    """An attempt whose outcome is open: whose it is, and since when (Unix seconds)."""

    id: str
    changed_at: float
    user: str


def attempt_row(job_id: str, number: int, state: AttemptState, now: float, generation: int) -> dict[str, Any]:
    """A new attempt as a row, with an id of its own."""
    return {
        "id": new_id(),
        "job_id": job_id,
        "number": number,
        "state": state.value,
        "created_at": now,
        "changed_at": now,
        "detail": "",
        "refusals": "",
        "generation": generation,
    }


def last_of(connection: Connection, job_id: str) -> Row[tuple[object, ...]]:
    """The newest attempt of a job."""
    newest = select(ATTEMPTS).where(ATTEMPTS.c.job_id == job_id).order_by(ATTEMPTS.c.number.desc()).limit(1)
    return connection.execute(newest).one()


def _read(connection: Connection, attempt_id: str) -> tuple[Row[tuple[object, ...]], Job]:
    attempt = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id)).one()
    document = connection.execute(select(JOBS.c.document).where(JOBS.c.id == attempt.job_id)).scalar_one()
    return attempt, job_of(document)


def _set(
    connection: Connection, attempt_id: str, state: AttemptState, now: float, detail: str = "", refusals: str = ""
) -> None:
    values = {"state": state.value, "changed_at": now, "detail": detail, "refusals": refusals}
    connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id).values(values))


def save(connection: Connection, job: Job, before: Job, now: float) -> Job:
    """Write a changed job, and the event of its change where there is one to tell."""
    update_jobs(connection, [job])
    if events.tells(job, before) or job.detail != before.detail:
        events.write(connection, [events.state_event(job, before, now)])
    return job


def settle_refused(connection: Connection, attempt_id: str, refusals: Sequence[Refusal], now: float) -> Job:
    """Slurm would not have it: the job is over, unless Slurm has it all the same."""
    attempt, job = _read(connection, attempt_id)
    detail = "; ".join(refusal.detail for refusal in refusals)
    if job.slurm_job_id is not None:
        if attempt.state in OPEN:
            _set(connection, attempt_id, AttemptState.UNSENT, now, detail)
        return job
    _set(connection, attempt_id, AttemptState.REFUSED, now, detail, msgspec.json.encode(refusals).decode())
    over = msgspec.structs.replace(
        job, state=State.FINISHED, fate=Fate.REFUSED, detail=detail, end_time=int(now), changed_at=now
    )
    return save(connection, over, job, now)


def settle_unsent(connection: Connection, attempt_id: str, detail: str, now: float) -> Job:
    """It did not reach Slurm: the next attempt waits for its turn, unless an earlier one got there after all."""
    attempt, job = _read(connection, attempt_id)
    if attempt.state not in OPEN:
        return job
    _set(connection, attempt_id, AttemptState.UNSENT, now, detail)
    if job.slurm_job_id is not None or job.final:
        return job
    row = attempt_row(job.id, attempt.number + 1, AttemptState.WAITING, now, attempt.generation)
    connection.execute(insert(ATTEMPTS), row)
    return save(connection, msgspec.structs.replace(job, detail=detail, changed_at=now), job, now)


def began(job: JobFacts) -> bool:
    """Whether a job has been seen to begin, be it in a run before the present one. Pure."""
    return bool(job.node_list or job.restarts) or job.raw_state.partition(",")[0] not in ("", "PENDING")


def settle_lost(connection: Connection, lost: Job, detail: str, now: float) -> bool:
    """Slurm took a job and lost it before it began: it goes back to wait, without its number, as the next attempt.

    Args:
        connection: The database.
        lost: As it was when that was found.
        detail: How that was found.
        now: Unix seconds.

    Returns:
        Whether it was so. Not where the job has shown itself meanwhile, or where a task or component of it has begun
        or ended.
    """
    attempt = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == lost.attempt)).first()
    if attempt is None or attempt.job_id != lost.id or attempt.state != AttemptState.SENT:
        return False
    job = _read(connection, attempt.id)[1]
    parts = [
        job_of(document)
        for document in connection.execute(select(JOBS.c.document).where(JOBS.c.parent == job.id)).scalars()
    ]
    gone = (State.UNKNOWN, lost.slurm_job_id, lost.attempt)
    if (job.state, job.slurm_job_id, job.attempt) != gone or began(job):
        return False
    if any(began(part) or part.state is not State.UNKNOWN for part in parts):
        return False
    _set(connection, attempt.id, AttemptState.UNSENT, now, detail)
    number = last_of(connection, job.id).number + 1
    row = attempt_row(job.id, number, AttemptState.WAITING, now, attempt.generation)
    connection.execute(insert(ATTEMPTS), row)
    connection.execute(delete(JOBS).where(JOBS.c.parent == job.id))
    fresh = msgspec.structs.replace(
        job, **_NOT_IN_SLURM, state=State.SUBMITTING, detail=f"{detail} It goes to Slurm again.", changed_at=now
    )
    save(connection, fresh, job, now)
    return True


def mark_unknown(connection: Connection, attempt_id: str, detail: str, now: float) -> Job:
    """It was sent and the answer was lost; an observed job or its absence settles it."""
    attempt, job = _read(connection, attempt_id)
    if attempt.state not in OPEN:
        return job
    _set(connection, attempt_id, AttemptState.UNKNOWN, now, detail)
    return save(connection, msgspec.structs.replace(job, detail=detail, changed_at=now), job, now)


def cancel_waiting(connection: Connection, job_id: str, now: float) -> Job | None:
    """Cancel a job that has not been sent; None where its attempt waits no more."""
    last = last_of(connection, job_id)
    if last.state != AttemptState.WAITING:
        return None
    attempt, job = _read(connection, last.id)
    _set(connection, attempt.id, AttemptState.CANCELLED, now)
    over = msgspec.structs.replace(
        job, state=State.FINISHED, fate=Fate.CANCELLED, detail="", end_time=int(now), changed_at=now
    )
    return save(connection, over, job, now)


def adopt_sending(connection: Connection, cluster: str) -> None:
    """Attempts that an earlier life of the service was sending: their outcome is unknown; since then, not since now."""
    ours = select(JOBS.c.id).where(JOBS.c.id == ATTEMPTS.c.job_id, JOBS.c.cluster == cluster)
    connection.execute(
        update(ATTEMPTS)
        .where(ATTEMPTS.c.state == AttemptState.SENDING.value, ours.exists())
        .values(state=AttemptState.UNKNOWN.value, detail="The service was stopped while it was being sent.")
    )


def open_attempts(connection: Connection, cluster: str, changed_before: float) -> list[OpenAttempt]:
    """Attempts whose outcome is open since before a moment."""
    rows = (
        select(ATTEMPTS.c.id, ATTEMPTS.c.changed_at, JOBS.c.user)
        .join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
        .where(
            JOBS.c.cluster == cluster,
            ATTEMPTS.c.state.in_([state.value for state in OPEN]),
            ATTEMPTS.c.changed_at < changed_before,
        )
    )
    return [OpenAttempt(row.id, row.changed_at, row.user) for row in connection.execute(rows)]


def _waits(cluster: str) -> ColumnElement[bool]:
    """An attempt that waits, of a job that no earlier attempt has brought into Slurm after all."""
    return and_(
        ATTEMPTS.c.state == AttemptState.WAITING.value,
        JOBS.c.cluster == cluster,
        JOBS.c.slurm_job_id.is_(None),
        JOBS.c.state == State.SUBMITTING.value,
    )


def waiting_by_user(connection: Connection, cluster: str) -> dict[str, int]:
    """How many attempts wait for their turn."""
    joined = ATTEMPTS.join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
    counts = select(JOBS.c.user, func.count()).select_from(joined).where(_waits(cluster)).group_by(JOBS.c.user)
    return {row[0]: row[1] for row in connection.execute(counts)}


def turns(connection: Connection, cluster: str, without: Sequence[str], most: int) -> dict[str, list[str]]:
    """Attempts that wait, those of the oldest jobs first, by user.

    Args:
        connection: The database.
        cluster: For which cluster.
        without: Users whose attempts are left out.
        most: How many at most.
    """
    rows = (
        select(ATTEMPTS.c.id, JOBS.c.user)
        .join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
        .where(_waits(cluster), JOBS.c.user.not_in(without))
        .order_by(ATTEMPTS.c.job_id)
        .limit(most)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(rows):
        found.setdefault(row.user, []).append(row.id)
    return found


def take(connection: Connection, attempt_id: str, cluster: str, now: float) -> Waiting | None:
    """An attempt that waits becomes one that is being sent; None where it waits no more."""
    row = connection.execute(
        select(ATTEMPTS.c.id, JOBS.c.document, SPECS.c.spec)
        .join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
        .join(SPECS, SPECS.c.job_id == JOBS.c.id)
        .where(_waits(cluster), ATTEMPTS.c.id == attempt_id)
    ).first()
    if row is None:
        return None
    _set(connection, row.id, AttemptState.SENDING, now)
    return Waiting(row.id, job_of(row.document), msgspec.json.decode(row.spec, type=JobSpec))


def of_job(connection: Connection, job_id: str) -> list[Attempt]:
    """The attempts of a job, first to last."""
    rows = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.job_id == job_id).order_by(ATTEMPTS.c.number))
    return [
        Attempt(row.id, row.number, AttemptState(row.state), row.created_at, row.changed_at, row.detail, row.generation)
        for row in rows
    ]

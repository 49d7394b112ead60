"""The life of an attempt to bring a job into Slurm: written before the call, settled once after it.

    WAITING ──► SENDING ──► SENT
       ▲           ├──────► REFUSED
       │           ├──────► UNKNOWN ──► SENT
       │           ▼           │
       └──────── UNSENT ◄──────┘        an UNSENT attempt is followed by the next one, WAITING

Every function takes a connection whose transaction its caller opened (Store.read, Store.write).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from hpcjobs.errors import Refusal
from hpcjobs.model.attempt import Attempt, AttemptState
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Fate, Job, JobFacts, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.store import events
from hpcjobs.store.rows import columns_of, job_of
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import ATTEMPTS, JOBS, SPECS

OPEN: Final = (AttemptState.SENDING, AttemptState.UNKNOWN)


class Begun(msgspec.Struct, frozen=True):
    """What begin() found or made.

    Attributes:
        job: The job of this user and key.
        attempt: Id of the newest attempt.
        state: Its state.
        made: Whether this call made it.
        digest: Digest of the request that made the job.
        refusals: Where Slurm refused it.
    """

    job: Job
    attempt: str
    state: AttemptState
    made: bool
    digest: str | None
    refusals: tuple[Refusal, ...] = ()


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


class Request(msgspec.Struct, frozen=True):
    """A submission as it is kept.

    Attributes:
        spec: As admitted.
        key: Idempotency key, or None.
        digest: What tells this request from another with the same key.
        array_size: How many tasks the array has; 0: it is none.
    """

    user: str
    cluster: str
    spec: JobSpec
    key: str | None
    digest: str
    array_size: int = 0


def begin(connection: Connection, request: Request, waiting: str, now: float) -> Begun:
    """Write a job and its first attempt, or find those that an earlier call with the same key wrote.

    Args:
        connection: The database.
        request: What is asked for.
        waiting: Why the attempt has to wait, or ``""``: the caller sends it now.
        now: Unix seconds.
    """
    if request.key is not None:
        clause = (JOBS.c.user == request.user) & (JOBS.c.idempotency_key == request.key)
        row = connection.execute(select(JOBS.c.document, JOBS.c.id, JOBS.c.request_digest).where(clause)).first()
        if row is not None:
            last = _last(connection, row.id)
            refusals = msgspec.json.decode(last.refusals, type=tuple[Refusal, ...]) if last.refusals else ()
            state = AttemptState(last.state)
            return Begun(job_of(row.document), last.id, state, False, row.request_digest, refusals)
    job = Job(
        id=new_id(),
        cluster=request.cluster,
        slurm_job_id=None,
        state=State.SUBMITTING,
        detail=waiting,
        created_at=now,
        changed_at=now,
        array_size=request.array_size,
        **_asked_facts(request.user, request.spec),
    )
    columns = columns_of(job) | {"idempotency_key": request.key, "request_digest": request.digest}
    connection.execute(insert(JOBS), columns)
    connection.execute(insert(SPECS), {"job_id": job.id, "spec": msgspec.json.encode(request.spec).decode()})
    state = AttemptState.WAITING if waiting else AttemptState.SENDING
    attempt = _new_attempt(connection, job.id, 1, state, now)
    events.write(connection, [events.of_job(EventKind.JOB_SUBMITTED, job, now, name=job.name, detail=waiting)])
    return Begun(job, attempt, state, True, request.digest)


def _asked_facts(user: str, spec: JobSpec) -> dict[str, Any]:
    """What can be said of a job before Slurm has said anything."""
    asked = spec.resources
    facts = JobFacts(
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
    return {name: value for name, value in msgspec.structs.asdict(facts).items() if name not in ("state", "fate")}


def _new_attempt(connection: Connection, job_id: str, number: int, state: AttemptState, now: float) -> str:
    attempt = new_id()
    connection.execute(
        insert(ATTEMPTS),
        {
            "id": attempt,
            "job_id": job_id,
            "number": number,
            "state": state.value,
            "created_at": now,
            "changed_at": now,
            "detail": "",
            "refusals": "",
        },
    )
    return attempt


def _last(connection: Connection, job_id: str) -> Row[tuple[object, ...]]:
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
    columns = columns_of(job)
    connection.execute(update(JOBS).where(JOBS.c.id == columns.pop("id")).values(columns))
    if events.tells(job, before) or job.detail != before.detail:
        events.write(connection, [events.state_event(job, before, now)])
    return job


def settle_sent(connection: Connection, attempt_id: str, slurm_job_id: int, now: float) -> Job:
    """Slurm has the job: note its number. The observer fills in the rest."""
    attempt, job = _read(connection, attempt_id)
    if attempt.state != AttemptState.SENT:
        _set(connection, attempt_id, AttemptState.SENT, now)
    if job.slurm_job_id is not None:
        return job
    sent = msgspec.structs.replace(
        job,
        slurm_job_id=slurm_job_id,
        attempt=attempt_id,
        state=State.PENDING,
        fate=None,
        detail="",
        changed_at=now,
    )
    return save(connection, sent, job, now)


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
    _new_attempt(connection, job.id, attempt.number + 1, AttemptState.WAITING, now)
    return save(connection, msgspec.structs.replace(job, detail=detail, changed_at=now), job, now)


def mark_unknown(connection: Connection, attempt_id: str, detail: str, now: float) -> Job:
    """It was sent and the answer was lost; an observed job or its absence settles it."""
    attempt, job = _read(connection, attempt_id)
    if attempt.state not in OPEN:
        return job
    _set(connection, attempt_id, AttemptState.UNKNOWN, now, detail)
    return save(connection, msgspec.structs.replace(job, detail=detail, changed_at=now), job, now)


def cancel_waiting(connection: Connection, job_id: str, now: float) -> Job | None:
    """Cancel a job that has not been sent; None where its attempt waits no more."""
    last = _last(connection, job_id)
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


def count_waiting(connection: Connection, cluster: str) -> int:
    """How many attempts wait for their turn."""
    joined = ATTEMPTS.join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
    return connection.execute(select(func.count()).select_from(joined).where(_waits(cluster))).scalar_one()


def take_next(connection: Connection, cluster: str, now: float) -> Waiting | None:
    """The oldest job that waits becomes one that is being sent."""
    row = connection.execute(
        select(ATTEMPTS.c.id, JOBS.c.document, SPECS.c.spec)
        .join(JOBS, JOBS.c.id == ATTEMPTS.c.job_id)
        .join(SPECS, SPECS.c.job_id == JOBS.c.id)
        .where(_waits(cluster))
        .order_by(ATTEMPTS.c.job_id)
        .limit(1)
    ).first()
    if row is None:
        return None
    _set(connection, row.id, AttemptState.SENDING, now)
    return Waiting(row.id, job_of(row.document), msgspec.json.decode(row.spec, type=JobSpec))


def of_job(connection: Connection, job_id: str) -> list[Attempt]:
    """The attempts of a job, first to last."""
    rows = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.job_id == job_id).order_by(ATTEMPTS.c.number))
    return [
        Attempt(row.id, row.number, AttemptState(row.state), row.created_at, row.changed_at, row.detail) for row in rows
    ]

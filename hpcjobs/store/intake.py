"""The way of a submission that goes well: written before Slurm is called, its number noted after. Many at once.

Everything else that can become of an attempt stands in attempts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from hpcjobs.errors import Refusal
from hpcjobs.model.attempt import AttemptState
from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Job, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.store import events
from hpcjobs.store.attempts import attempt_row, last_of
from hpcjobs.store.bulk import execute_many
from hpcjobs.store.repository import chunks, jobs_by_id
from hpcjobs.store.rows import columns_of, document_of, insert_jobs, job_of
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import ATTEMPTS, JOBS, SPECS

_OF_KEYS: Final = select(JOBS.c.idempotency_key, JOBS.c.id, JOBS.c.document, JOBS.c.request_digest).where(
    JOBS.c.user == bindparam("user"), JOBS.c.idempotency_key.in_(bindparam("keys", expanding=True))
)
"""User by user: of pairs of user and key SQLite makes a scan of all jobs."""
_INSERT_SPECS: Final = insert(SPECS)
_INSERT_ATTEMPTS: Final = insert(ATTEMPTS)
_SENT: Final = (
    update(ATTEMPTS)
    .where(ATTEMPTS.c.id == bindparam("attempt"), ATTEMPTS.c.state != AttemptState.SENT.value)
    .values(state=AttemptState.SENT.value, changed_at=bindparam("at"), detail="", refusals="")
)
_NUMBERED: Final = (
    update(JOBS)
    .where(JOBS.c.id == bindparam("job"), JOBS.c.slurm_job_id.is_(None), JOBS.c.state == State.SUBMITTING.value)
    .values(slurm_job_id=bindparam("number"), state=State.PENDING.value, document=bindparam("json"))
)


class Request(msgspec.Struct, frozen=True):
    """A submission as it is kept.

    Attributes:
        spec: As admitted.
        key: Idempotency key, or None.
        digest: What tells this request from another with the same key.
        at: When it came, in Unix seconds.
        array_size: How many tasks the array has; 0: it is none.
        waits: Why its attempt has to wait, or ``""``: the caller sends it now.
        generation: The generation of plugins that admitted it; 0: there were none.
    """

    user: str
    cluster: str
    spec: JobSpec
    key: str | None
    digest: str
    at: float
    array_size: int = 0
    waits: str = ""
    generation: int = 0


class Begun(msgspec.Struct, frozen=True):
    """What begin() found or made.

    Attributes:
        job: The job of this user and key.
        attempt: Id of the newest attempt.
        state: Its state.
        made: Whether this request made it.
        digest: Digest of the request that made the job.
        refusals: Where Slurm refused it.
    """

    job: Job
    attempt: str
    state: AttemptState
    made: bool
    digest: str | None
    refusals: tuple[Refusal, ...] = ()


class Sent(msgspec.Struct, frozen=True):
    """That Slurm took an attempt.

    Attributes:
        job: As begin() returned it.
        attempt: Id of the attempt.
        slurm_job_id: Slurm's number.
        at: When Slurm said so, in Unix seconds.
    """

    job: Job
    attempt: str
    slurm_job_id: int
    at: float

    def now(self) -> Job:
        """The job with its number; the observer fills in the rest."""
        return msgspec.structs.replace(
            self.job,
            slurm_job_id=self.slurm_job_id,
            attempt=self.attempt,
            state=State.PENDING,
            fate=None,
            detail="",
            changed_at=self.at,
        )


def made_before(connection: Connection, user: str, key: str) -> Begun | None:
    """What an earlier request of this user made with a key."""
    request = Request(user, "", JobSpec(""), key, "", 0.0)
    found = _find(connection, [request]).get((user, key))
    return None if found is None else msgspec.structs.replace(found, made=False)


def begin(connection: Connection, requests: Sequence[Request]) -> list[Begun]:
    """Write jobs with their first attempts, or find those that earlier requests with the same keys made.

    Args:
        connection: The database.
        requests: What is asked for; the same key may be among them twice.
    """
    by_key = _find(connection, requests)
    all_begun: list[Begun] = []
    jobs, specs, attempts, told = [], [], [], []
    for request in requests:
        before = by_key.get((request.user, request.key))
        if before is not None:
            all_begun.append(msgspec.structs.replace(before, made=False))
            continue
        job = _job_of(request)
        jobs.append(columns_of(job) | {"idempotency_key": request.key, "request_digest": request.digest})
        specs.append({"job_id": job.id, "spec": msgspec.json.encode(request.spec).decode()})
        state = AttemptState.WAITING if request.waits else AttemptState.SENDING
        attempts.append(attempt_row(job.id, 1, state, request.at, request.generation))
        told.append(events.of_job(EventKind.JOB_SUBMITTED, job, request.at, name=job.name, detail=request.waits))
        begun = Begun(job, attempts[-1]["id"], state, True, request.digest)
        all_begun.append(begun)
        if request.key is not None:
            by_key[request.user, request.key] = begun
    if jobs:
        insert_jobs(connection, jobs)
        execute_many(connection, _INSERT_SPECS, specs)
        execute_many(connection, _INSERT_ATTEMPTS, attempts)
        events.write(connection, told)
    return all_begun


def _find(connection: Connection, requests: Sequence[Request]) -> dict[tuple[str, str | None], Begun]:
    """What earlier requests with the same keys made, by user and key."""
    keys: dict[str, list[str]] = {}
    for request in requests:
        if request.key is not None:
            keys.setdefault(request.user, []).append(request.key)
    found = {}
    for user, wanted in keys.items():
        for chunk in chunks(wanted):
            for row in connection.execute(_OF_KEYS, {"user": user, "keys": chunk}).all():
                last = last_of(connection, row.id)
                refusals = msgspec.json.decode(last.refusals, type=tuple[Refusal, ...]) if last.refusals else ()
                state = AttemptState(last.state)
                found[user, row.idempotency_key] = Begun(
                    job_of(row.document), last.id, state, False, row.request_digest, refusals
                )
    return found


def _job_of(request: Request) -> Job:
    """The job, with what can be said of it before Slurm has said anything."""
    spec, asked = request.spec, request.spec.resources
    return Job(
        id=new_id(),
        cluster=request.cluster,
        slurm_job_id=None,
        detail=request.waits,
        created_at=request.at,
        changed_at=request.at,
        array_size=request.array_size,
        user=request.user,
        state=State.SUBMITTING,
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


def settle_sent(connection: Connection, sent: Sequence[Sent]) -> list[Job]:
    """Slurm has the jobs: note their numbers.

    Args:
        connection: The database.
        sent: Attempts, each once.

    Returns:
        The jobs as they are now, in the order of the attempts.
    """
    execute_many(connection, _SENT, [{"attempt": one.attempt, "at": one.at} for one in sent])
    jobs = [one.now() for one in sent]
    rows = [{"job": job.id, "number": job.slurm_job_id, "json": document_of(job)} for job in jobs]
    if execute_many(connection, _NUMBERED, rows) != len(sent):
        # A listing was faster: it knows more than the answer did.
        known = jobs_by_id(connection, [one.job.id for one in sent])
        jobs = [known[one.job.id] for one in sent]
    told = [
        events.state_event(job, one.job, one.at)
        for job, one in zip(jobs, sent, strict=True)
        if (job.changed_at, job.state) == (one.at, State.PENDING)
    ]
    events.write(connection, told)
    return jobs

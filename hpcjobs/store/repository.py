"""Jobs: found and listed. What writes them stands in attempts.py and listing.py.

Every function takes a connection that its caller opened (Store.read, Store.write). No SQL stands outside this folder.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, select, true

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.job import Fate, Job, JobRecord, State
from hpcjobs.model.spec import JobSpec
from hpcjobs.store.rows import job_of, record_of
from hpcjobs.store.tables import ATTEMPTS, JOBS, SPECS

T = TypeVar("T")
CHUNK = 500
"""How many values stand in one IN (...)."""


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs: every field that is given must hold.

    Attributes:
        tasks: Whether tasks of arrays and further components of heterogeneous jobs are listed beside the jobs.
        parent: Only the tasks or components of the job with this id.
        since: Only jobs that hpcjobs has known since this Unix second or later.
        until: Only jobs that hpcjobs knew before this Unix second.
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
    tasks: bool = False
    parent: str | None = None
    since: float | None = None
    until: float | None = None
    visible: Visibility | None = None


def _branches(wanted: JobFilter) -> list[ColumnElement[bool]]:
    """What the caller may see, as alternatives each of which an index answers in the order of a page."""
    visible = wanted.visible
    if visible is None or visible.everything or wanted.user == visible.user:
        return [true()]
    accounts = sorted(visible.accounts)
    return [JOBS.c.user == visible.user, *((JOBS.c.cluster == c) & (JOBS.c.account == a) for c, a in accounts)]


def job_by_id(connection: Connection, job_id: str) -> Job | None:
    """The job with our id."""
    document = connection.execute(select(JOBS.c.document).where(JOBS.c.id == job_id)).scalar()
    return job_of(document) if document else None


def job_by_slurm_id(connection: Connection, cluster: str, slurm_job_id: int) -> Job | None:
    """The newest job that has or had this number on this cluster; the array, where its last task has it too."""
    document = connection.execute(
        select(JOBS.c.document)
        .where(JOBS.c.cluster == cluster, JOBS.c.slurm_job_id == slurm_job_id)
        .order_by(JOBS.c.parent.is_not(None), JOBS.c.id.desc())
        .limit(1)
    ).scalar()
    return job_of(document) if document else None


def task_of(connection: Connection, parent: str, task: int) -> Job | None:
    """One task of an array or component of a heterogeneous job, if Slurm has it apart from the rest."""
    document = connection.execute(
        select(JOBS.c.document).where(JOBS.c.parent == parent, JOBS.c.task == task).limit(1)
    ).scalar()
    return job_of(document) if document else None


def _clauses(wanted: JobFilter) -> list[ColumnElement[bool]]:
    clauses = [
        JOBS.c[name] == getattr(wanted, name)
        for name in ("user", "cluster", "account", "partition", "name", "slurm_job_id", "parent")
        if getattr(wanted, name) is not None
    ]
    if wanted.states:
        clauses.append(JOBS.c.state.in_([state.value for state in wanted.states]))
    if wanted.fates:
        clauses.append(JOBS.c.fate.in_([fate.value for fate in wanted.fates]))
    if not wanted.tasks and wanted.parent is None:
        # Written so that no index answers it: almost every job is so, and a page is walked by id.
        clauses.append(func.coalesce(JOBS.c.parent, "") == "")
    if wanted.since is not None:
        clauses.append(JOBS.c.created_at >= wanted.since)
    if wanted.until is not None:
        clauses.append(JOBS.c.created_at < wanted.until)
    return clauses


def page(connection: Connection, wanted: JobFilter, before: str | None, limit: int) -> list[str]:
    """Jobs as they are stored, newest first: JSON documents of Job.

    Args:
        connection: The database.
        wanted: Which.
        before: Only jobs older than the one with this id; None for the first page.
        limit: Most jobs.
    """
    clauses = _clauses(wanted)
    if before is not None:
        clauses.append(JOBS.c.id < before)
    newest = [
        connection.execute(
            select(JOBS.c.id, JOBS.c.document).where(*clauses, branch).order_by(JOBS.c.id.desc()).limit(limit)
        ).all()
        for branch in _branches(wanted)
    ]
    documents = {row.id: row.document for row in heapq.merge(*newest, key=lambda row: row.id, reverse=True)}
    return list(documents.values())[:limit]


def documents_of(connection: Connection, ids: Iterable[str]) -> list[str]:
    """The jobs with our ids as they are stored, newest first; those that are not there are left out."""
    found: dict[str, str] = {}
    for chunk in chunks(ids):
        rows = connection.execute(select(JOBS.c.id, JOBS.c.document).where(JOBS.c.id.in_(chunk)))
        found.update((row.id, row.document) for row in rows)
    return [found[job_id] for job_id in sorted(found, reverse=True)]


def spec_of(connection: Connection, job_id: str) -> JobSpec | None:
    """What was asked for, where it was asked for here."""
    spec = connection.execute(select(SPECS.c.spec).where(SPECS.c.job_id == job_id)).scalar()
    return msgspec.json.decode(spec, type=JobSpec) if spec else None


class _Hinted(msgspec.Struct):
    """What is read of a specification for its hints."""

    hints: Hints = NO_HINTS


def hints_of(connection: Connection, attempts: Iterable[str]) -> dict[str, Hints]:
    """What jobs tell the policies, by the ids of their attempts."""
    found: dict[str, Hints] = {}
    for chunk in chunks(attempts):
        rows = connection.execute(
            select(ATTEMPTS.c.id, SPECS.c.spec)
            .join(SPECS, SPECS.c.job_id == ATTEMPTS.c.job_id)
            .where(ATTEMPTS.c.id.in_(chunk))
        )
        found.update((row.id, msgspec.json.decode(row.spec, type=_Hinted).hints) for row in rows)
    return found


class Known(msgspec.Struct, frozen=True, gc=False):
    """What the observer remembers of a job: our id, and what Slurm last said.

    Attributes:
        since: Only a listing that was asked for after this (Unix seconds) must hold it: when Slurm said that it has
            it, of a job that was in no listing yet.
    """

    id: str
    record: JobRecord
    since: float = 0.0

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.record.state is State.FINISHED


def live_jobs(connection: Connection, cluster: str) -> list[Known]:
    """Every job on this cluster that Slurm has and that has not ended, oldest first, tasks and components last.

    Two may have one number: Slurm gave it again. An array that is known by its tasks only (its number is that of the
    last task) is not among them.
    """
    documents = connection.execute(
        select(JOBS.c.document)
        .where(and_(JOBS.c.cluster == cluster, JOBS.c.slurm_job_id.is_not(None), JOBS.c.state != State.FINISHED.value))
        .order_by(JOBS.c.parent.is_not(None), JOBS.c.id)
    ).scalars()
    jobs = [job for job in map(job_of, documents) if not (job.array_size and not _expects(job))]
    sent_at = answered_at(connection, jobs)
    return [Known(job.id, record_of(job), sent_at.get(job.id, 0.0)) for job in jobs]


def answered_at(connection: Connection, jobs: Iterable[Job]) -> dict[str, float]:
    """When Slurm said that it has jobs from here that were in no listing yet, by our id (Unix seconds)."""
    unseen = {job.attempt: job.id for job in jobs if job.attempt and not job.submit_time}
    found: dict[str, float] = {}
    for chunk in chunks(unseen):
        rows = connection.execute(select(ATTEMPTS.c.id, ATTEMPTS.c.changed_at).where(ATTEMPTS.c.id.in_(chunk)))
        found.update((unseen[row.id], row.changed_at) for row in rows)
    return found


def _expects(array: Job) -> bool:
    """Whether a listing must hold an array's own number: some of its tasks wait together, or it was never listed."""
    return bool(array.array_task or not array.submit_time)


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Values in lists that each stand in one IN (...)."""
    wanted = list(values)
    for at in range(0, len(wanted), CHUNK):
        yield wanted[at : at + CHUNK]


def jobs_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Job]:
    """Jobs by our ids; those that are not there are left out."""
    found: dict[str, Job] = {}
    for chunk in chunks(ids):
        rows = connection.execute(select(JOBS.c.document).where(JOBS.c.id.in_(chunk)))
        found.update((job.id, job) for job in map(job_of, rows.scalars()))
    return found


def newest_by_number(connection: Connection, cluster: str, numbers: Iterable[int]) -> dict[int, list[Job]]:
    """Every job that has or had one of these numbers, newest first."""
    found: dict[int, list[Job]] = {}
    for chunk in chunks(numbers):
        rows = connection.execute(
            select(JOBS.c.document)
            .where(JOBS.c.cluster == cluster, JOBS.c.slurm_job_id.in_(chunk))
            .order_by(JOBS.c.id.desc())
        )
        for job in map(job_of, rows.scalars()):
            found.setdefault(job.slurm_job_id or 0, []).append(job)
    return found

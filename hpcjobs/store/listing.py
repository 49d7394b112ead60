"""What a listing changed, written: rows of jobs, tasks and components, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from hpcjobs.model.attempt import AttemptState
from hpcjobs.model.event import Event
from hpcjobs.model.job import Fate, Job, JobFacts, JobRecord, State
from hpcjobs.model.spans import count_together, tasks_of
from hpcjobs.model.tasks import tally
from hpcjobs.slurm.states import read_state
from hpcjobs.store import events
from hpcjobs.store.repository import Known, answered_at, chunks, jobs_by_id, newest_by_number
from hpcjobs.store.rows import columns_of, insert_jobs, update_jobs, with_record
from hpcjobs.store.store import new_id
from hpcjobs.store.tables import ATTEMPTS, CLUSTERS, JOBS

CANCELLED_WAITING: Final = "Cancelled while it waited; Slurm keeps no record of such a task."
SKEW_S: Final = 5.0
"""By how much Slurm's clock and ours may differ."""

ANSWER_S: Final = 30.0
"""How long the answer to a submission may take."""

UNKNOWN_END: Final = "Slurm no longer lists this job; its end is not known (yet)."


def task_number(record: JobFacts) -> int | None:
    """Which task or further component a record is; None: it is the job itself."""
    if record.array_task.isdigit():
        return int(record.array_task)
    return record.het_offset if record.het_job_id and record.het_offset else None


def never_ran(record: JobFacts) -> bool:
    """Whether a job has ended without ever having had a node: of what it refuses Slurm keeps such records.

    They are FAILED; of a heterogeneous job of which it refuses a later component, CANCELLED.
    """
    return record.fate in (Fate.FAILED, Fate.CANCELLED) and not record.node_list


def sent_about(record: JobRecord, answered_at: float) -> bool:
    """Whether a job was submitted when an answer says so.

    Args:
        record: What Slurm says of the job.
        answered_at: When Slurm said that it has it, in Unix seconds.
    """
    return answered_at - ANSWER_S <= record.submit_time <= answered_at + SKEW_S


def same_job(before: Job | JobRecord, record: JobRecord, answered_at: float = 0.0) -> bool:
    """Whether a number still means the same job.

    A controller that was killed has forgotten the numbers that it gave last and gives them again; one that lost its
    state starts again at the first number. Of a job that was in no listing yet its mark tells, and where the mark did
    not survive (a site's plugin writes comments, a user changes them) the time at which it was submitted.

    Args:
        before: What is known under the number.
        record: What Slurm says of it now.
        answered_at: When Slurm said that it has the job, in Unix seconds; 0: not known.
    """
    if record.user != before.user or (before.attempt and record.attempt and record.attempt != before.attempt):
        return False
    if not before.submit_time:
        return record.attempt == before.attempt or (record.attempt is None and sent_about(record, answered_at))
    return record.submit_time == before.submit_time or record.restarts > before.restarts


def apply(
    connection: Connection,
    cluster: str,
    changed: Sequence[tuple[str | None, JobRecord]],
    lost: Sequence[str],
    now: float,
    unbroken: bool = False,
) -> dict[int, Known]:
    """Write what a listing changed.

    Args:
        connection: The database.
        cluster: Which cluster was listed.
        changed: Our id (None where the job is new to the observer) and what Slurm says now.
        lost: Our ids of jobs that the listing should have held and did not.
        now: Unix seconds of the listing.
        unbroken: Whether the listing before was so recent that no job can have come and gone between the two.

    Returns:
        What to remember, by Slurm's number.
    """
    writer = _Writer(connection, cluster, changed, now)
    known = {record.slurm_job_id: writer.take(job_id, record) for job_id, record in changed}
    for job in jobs_by_id(connection, lost).values():
        if job.state not in (State.SUBMITTING, State.FINISHED, State.UNKNOWN) and job.id not in writer.touched:
            writer.lose(job)
    if unbroken:
        writer.bury()
    writer.flush()
    writer.add_up()
    return {number: one for number, one in known.items() if one is not None}


def listed_at(connection: Connection, cluster: str) -> float | None:
    """When the cluster was last listed, as far as it was noted (Unix seconds)."""
    return connection.execute(select(CLUSTERS.c.listed_at).where(CLUSTERS.c.name == cluster)).scalar()


def note_listed(connection: Connection, cluster: str, now: float) -> None:
    """Note that the cluster was listed at a moment (Unix seconds)."""
    noted = connection.execute(update(CLUSTERS).where(CLUSTERS.c.name == cluster).values(listed_at=now))
    if not noted.rowcount:
        connection.execute(insert(CLUSTERS), {"name": cluster, "listed_at": now})


def of_unknown_end(connection: Connection, cluster: str) -> list[str]:
    """Our ids of all jobs that Slurm has had and whose end is not known, oldest first; arrays with such tasks."""
    rows = connection.execute(
        select(JOBS.c.id)
        .where(JOBS.c.state == State.UNKNOWN.value, JOBS.c.cluster == cluster, JOBS.c.slurm_job_id.is_not(None))
        .order_by(JOBS.c.id)
    )
    return list(rows.scalars())


class _Writer:
    """One listing on its way into the tables: everything it may need is read first, in few statements."""

    def __init__(
        self, connection: Connection, cluster: str, changed: Sequence[tuple[str | None, JobRecord]], now: float
    ) -> None:
        self.connection = connection
        self.cluster = cluster
        self.now = now
        strangers = [record for job_id, record in changed if job_id is None]
        self.jobs = jobs_by_id(connection, {job_id for job_id, _ in changed if job_id})
        self.attempts = self._attempts({record.attempt for record in strangers if record.attempt})
        self.jobs |= jobs_by_id(connection, {job_id for job_id, _ in self.attempts.values()} - self.jobs.keys())
        numbers = {
            number
            for record in strangers
            for number in (record.slurm_job_id, record.array_job_id, record.het_job_id)
            if number
        }
        self.by_number = newest_by_number(connection, cluster, numbers)
        for jobs in self.by_number.values():
            self.jobs |= {job.id: job for job in jobs if job.id not in self.jobs}
        self.answered_at = answered_at(connection, (job for jobs in self.by_number.values() for job in jobs))
        self.parts = self._parts(strangers)
        """By parent and number: the ids of the tasks and components that the records may be of."""
        self.before = dict(self.jobs)
        self.touched: dict[str, Job] = {}
        self.parents: set[str] = set()
        self.left: dict[str, set[int]] = {}
        """By array: the tasks that no longer wait together with the others."""

    def _parts(self, strangers: Sequence[JobRecord]) -> dict[tuple[str, int], str]:
        wanted = {number for record in strangers if (number := task_number(record)) is not None}
        parents = {job.id for job in self.jobs.values() if job.parent is None} if wanted else set()
        found: dict[tuple[str, int], str] = {}
        for some in chunks(parents):
            for tasks in chunks(wanted):
                rows = self.connection.execute(
                    select(JOBS.c.id, JOBS.c.parent, JOBS.c.task).where(JOBS.c.parent.in_(some), JOBS.c.task.in_(tasks))
                )
                found.update(((row.parent, row.task), row.id) for row in rows)
        self.jobs |= jobs_by_id(self.connection, set(found.values()) - self.jobs.keys())
        return found

    def _attempts(self, ids: set[str]) -> dict[str, tuple[str, AttemptState]]:
        found: dict[str, tuple[str, AttemptState]] = {}
        for chunk in chunks(ids):
            rows = self.connection.execute(
                select(ATTEMPTS.c.id, ATTEMPTS.c.job_id, ATTEMPTS.c.state).where(ATTEMPTS.c.id.in_(chunk))
            )
            found.update((row.id, (row.job_id, AttemptState(row.state))) for row in rows)
        return found

    def put(self, job: Job) -> None:
        """Note a job to be written."""
        self.jobs[job.id] = self.touched[job.id] = job
        if job.parent and job.array_job_id:
            self.parents.add(job.parent)
        if job.array_size:
            self.parents.add(job.id)

    def _note_left(self, array: Job, still: str) -> None:
        before, now = tasks_of(array.array_task), tasks_of(still)
        if before is not None and now is not None and before - now:
            self.left.setdefault(array.id, set()).update(before - now)

    def bury(self) -> None:
        """Tasks that wait no more and have no record of their own were cancelled: whatever starts has one."""
        for array_id, tasks in self.left.items():
            has_one = set(self.connection.execute(select(JOBS.c.task).where(JOBS.c.parent == array_id)).scalars()) | {
                job.task for job in self.touched.values() if job.parent == array_id
            }
            array = self.jobs[array_id]
            for task in sorted(tasks - has_one):
                buried = msgspec.structs.replace(
                    array,
                    id=new_id(),
                    parent=array_id,
                    task=task,
                    slurm_job_id=None,
                    array_task=str(task),
                    array_size=0,
                    tasks={},
                    state=State.FINISHED,
                    fate=Fate.CANCELLED,
                    raw_state="CANCELLED",
                    reason="",
                    detail=CANCELLED_WAITING,
                    end_time=int(self.now),
                    created_at=self.now,
                    changed_at=self.now,
                )
                self.put(buried)

    def lose(self, job: Job) -> None:
        """A job that is not listed any more though it has not ended."""
        self.before[job.id] = job
        if job.array_size:  # the tasks that waited together
            job = msgspec.structs.replace(job, array_task="", raw_state="", reason="")
        self.put(msgspec.structs.replace(job, state=State.UNKNOWN, detail=UNKNOWN_END, changed_at=self.now))

    def take(self, job_id: str | None, record: JobRecord) -> Known | None:
        """One record: find or make its row. Returns what to remember."""
        number = task_number(record)
        if job_id is not None:
            job = self.jobs.get(job_id)
            if job is None:
                return None
        elif number is None:
            job = self._job_of(record)
        else:
            job = self._task_of(record, number)
        if job.fate is Fate.REFUSED and never_ran(record):
            # Slurm keeps a record of some jobs that it refuses; the caller has been told, and that holds.
            return Known(job.id, record)
        if number is None and job.array_task:
            self._note_left(job, record.array_task)
        after = with_record(job, record, self.now)
        if number is None and record.array_task and not job.array_size:
            after = msgspec.structs.replace(after, array_size=count_together(record.array_task) or 1)
        if job.array_size or after.array_size:
            after = msgspec.structs.replace(after, tasks=job.tasks, state=job.state, fate=job.fate)
        if job.id not in self.before or msgspec.structs.replace(after, changed_at=job.changed_at) != job:
            self.put(after)
        return Known(job.id, record)

    def _new(self, record: JobRecord, **more: object) -> Job:
        job = Job(
            id=new_id(),
            cluster=self.cluster,
            slurm_job_id=None,
            user=record.user,
            created_at=self.now,
            changed_at=self.now,
            **more,  # type: ignore[arg-type]
        )
        self.jobs[job.id] = job
        if job.parent is None:
            number = record.array_job_id or record.het_job_id or record.slurm_job_id
            self.by_number.setdefault(number, []).insert(0, job)
        return job

    def _marked(self, record: JobRecord) -> Job | None:
        """The job that the record's mark names, if it can be believed."""
        job_id, state = self.attempts.get(record.attempt or "", ("", AttemptState.SENT))
        job = self.jobs.get(job_id)
        number = record.array_job_id or record.het_job_id or record.slurm_job_id
        # Comments can be read and copied: a mark in another user's job, or in a second job, says nothing.
        if job is None or job.user != record.user or job.slurm_job_id not in (None, number):
            return None
        refused = state is AttemptState.REFUSED and never_ran(record)
        if state is not AttemptState.SENT and not refused:
            values = {"state": AttemptState.SENT.value, "changed_at": self.now, "detail": ""}
            self.connection.execute(update(ATTEMPTS).where(ATTEMPTS.c.id == record.attempt).values(values))
            self.attempts[record.attempt or ""] = (job_id, AttemptState.SENT)
        return job

    def _job_of(self, record: JobRecord) -> Job:
        """The job that a record is of: ours by its mark, known by its number, or new."""
        return self._marked(record) or self._numbered(record.slurm_job_id, record) or self._new(record)

    def _numbered(self, number: int, record: JobRecord) -> Job | None:
        """The newest job of this number that is no task, if the record can be of it."""
        # As it is by now: one that this listing has made is there without what its record said.
        newest = next((self.jobs[job.id] for job in self.by_number.get(number, ()) if job.parent is None), None)
        return newest if newest and same_job(newest, record, self.answered_at.get(newest.id, 0.0)) else None

    def _parent_of(self, record: JobRecord) -> Job:
        """The array or heterogeneous job that a task or component is of; made where it was never seen."""
        number = record.array_job_id or record.het_job_id
        job = self._marked(record) or self._numbered(number, record) or self._new(record)
        if job.slurm_job_id is None:
            # Nothing is known of the whole but what its tasks share.
            shared = msgspec.structs.replace(
                with_record(job, record, self.now), slurm_job_id=number, array_task="", het_offset=0
            )
            size = shared.array_size or (1 if record.array_job_id else 0)
            self.put(msgspec.structs.replace(shared, array_size=size))
        return self.jobs[job.id]

    def _task_of(self, record: JobRecord, number: int) -> Job:
        parent = self._parent_of(record)
        if record.slurm_job_id == parent.slurm_job_id and parent.array_task:
            # The last task has taken the array's own number: nothing waits together any more.
            self._note_left(parent, str(number))
            self.put(msgspec.structs.replace(parent, array_task="", raw_state="", reason="", changed_at=self.now))
        for job in self.by_number.get(record.slurm_job_id, ()):
            if job.parent == parent.id and job.task == number:
                return self.jobs[job.id]
        if known := self.parts.get((parent.id, number)):
            return self.jobs[known]
        return self._new(record, parent=parent.id, task=number)

    def flush(self, *, arrays: bool = False) -> None:
        """Write the rows that changed, and their events; of arrays only when they have been added up."""
        fresh = [job for job in self.touched.values() if job.id not in self.before]
        old = [job for job in self.touched.values() if job.id in self.before]
        # Parents first: a task's row refers to its array's.
        insert_jobs(self.connection, [columns_of(job) for job in sorted(fresh, key=lambda job: job.parent is not None)])
        update_jobs(self.connection, old)
        told: list[Event] = [
            events.state_event(job, self.before.get(job.id), self.now)
            for job in self.touched.values()
            if (arrays or not job.array_size) and events.tells(job, self.before.get(job.id))
        ]
        events.write(self.connection, told)
        self.before |= self.touched
        self.touched = {}

    def add_up(self) -> None:
        """Bring the arrays whose tasks changed up to date."""
        arrays = {job_id: job for job_id, job in jobs_by_id(self.connection, self.parents).items() if job.array_size}
        counts: dict[str, dict[str, int]] = {job_id: {} for job_id in arrays}
        for chunk in chunks(arrays):
            rows = self.connection.execute(
                select(JOBS.c.parent, JOBS.c.state, JOBS.c.fate, func.count().label("number"))
                .where(JOBS.c.parent.in_(chunk))
                .group_by(JOBS.c.parent, JOBS.c.state, JOBS.c.fate)
            )
            for row in rows:
                counts[row.parent][row.fate or row.state] = row.number
        for job_id, array in arrays.items():
            tasks = counts[job_id]
            if array.array_task:
                state, fate = read_state(array.raw_state, array.reason)
                word = str(fate or state)
                together = count_together(array.array_task)
                if together is None:
                    together = max(array.array_size - sum(tasks.values()), 1)
                tasks[word] = tasks.get(word, 0) + together
            size = max(array.array_size, sum(tasks.values()))
            tasks, state, fate = tally(tasks, size)
            ended = array.end_time or int(self.now) if state is State.FINISHED else 0
            after = msgspec.structs.replace(
                array, tasks=tasks, array_size=size, state=state, fate=fate, end_time=ended, changed_at=self.now
            )
            if msgspec.structs.replace(after, changed_at=array.changed_at) != array:
                self.touched[job_id] = after
                self.before[job_id] = array
        self.flush(arrays=True)

"""What a job is: as Slurm reports it (JobRecord), as hpcjobs shows it (Job). As asked for: model/spec.py."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.model.particulars import UNTOLD, Particulars


class State(StrEnum):
    """Where a job is in its life. The raw Slurm state stands beside it everywhere."""

    SUBMITTING = "SUBMITTING"  # kept here, not (known to be) in Slurm
    PENDING = "PENDING"
    HELD = "HELD"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETING = "COMPLETING"
    FINISHED = "FINISHED"
    UNKNOWN = "UNKNOWN"  # Slurm says something we do not know, or no longer lists the job; never final


class Fate(StrEnum):
    """How a finished job ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    DEADLINE = "DEADLINE"
    PREEMPTED = "PREEMPTED"
    NODE_FAIL = "NODE_FAIL"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    BOOT_FAIL = "BOOT_FAIL"
    REFUSED = "REFUSED"  # Slurm would not have it


LIVE: Final = tuple(state for state in State if state is not State.FINISHED)
"""States of jobs that have not ended."""
WAITING: Final = frozenset({State.PENDING, State.HELD})
"""States of jobs that Slurm has and that have not started, or wait again."""
UNHAPPY: Final = tuple(fate for fate in Fate if fate not in (Fate.COMPLETED, Fate.REFUSED))
"""Ends of jobs that Slurm took, after which one might try again."""


class JobFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What Slurm says of a job. Times are Unix seconds, 0 where Slurm has none.

    Attributes:
        user: Name of the owner.
        state: Our reading of the raw state.
        fate: How it ended; None while it has not.
        raw_state: Slurm's state, the flags after commas, as ``RUNNING`` or ``COMPLETED,COMPLETING``.
        name: Slurm's JobName.
        account: Slurm's account that it is charged to.
        partition: Where it runs; while it waits, all that it may run in, comma-separated.
        qos: Slurm's quality of service.
        reason: Slurm's reason word, as ``Resources``; ``""`` for none.
        comment: The user's comment, without our mark.
        nodes: How many: allocated once it runs, asked for before.
        node_list: The allocated nodes as a hostlist, as ``n[1-4]``; ``""`` before it runs.
        ntasks: How many tasks.
        cpus: How many CPUs: allocated once it runs, asked for before.
        gpus: Count by type (``""`` untyped): allocated once it runs, asked for before.
        mem_bytes: Memory of the whole job in bytes.
        wall_s: Time limit in seconds; None is unlimited or the partition's.
        submit_time: When it was submitted, or last requeued.
        eligible_time: When it may start, as far as ``begin`` and dependencies go.
        start_time: When it started; while it waits, when Slurm expects it to.
        end_time: When it ended; while it runs, when its time is up.
        exit_code: Of the batch script.
        exit_signal: Number of the signal that ended the batch script, 0 for none.
        restarts: How often Slurm has requeued it.
        priority: Slurm's priority; 0 while it is held.
        dependency: What it still waits for, as ``afterok:123(unfulfilled)``.
        workdir: Working directory.
        stdout: Path of its standard output.
        stderr: Path of its standard error.
        array_job_id: Slurm's number of the array that it is of; 0: it is of none.
        array_task: ``4`` for one task, ``5-10%2`` for those of an array that still wait together.
        het_job_id: Slurm's number of the heterogeneous job that it is a component of; 0: of none.
        het_offset: Which component.
        particulars: What Slurm's own commands print of it beside that.
    """

    user: str = ""
    state: State = State.UNKNOWN
    fate: Fate | None = None
    raw_state: str = ""
    name: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    reason: str = ""
    comment: str = ""
    nodes: int = 0
    node_list: str = ""
    ntasks: int = 0
    cpus: int = 0
    gpus: dict[str, int] = {}
    mem_bytes: int = 0
    wall_s: int | None = None
    submit_time: int = 0
    eligible_time: int = 0
    start_time: int = 0
    end_time: int = 0
    exit_code: int = 0
    exit_signal: int = 0
    restarts: int = 0
    priority: int = 0
    dependency: str = ""
    workdir: str = ""
    stdout: str = ""
    stderr: str = ""
    array_job_id: int = 0
    array_task: str = ""
    het_job_id: int = 0
    het_offset: int = 0
    particulars: Particulars = UNTOLD


class JobRecord(JobFacts, frozen=True, kw_only=True, gc=False):
    """One job as Slurm's controller lists it.

    Attributes:
        slurm_job_id: Slurm's number of the job.
        attempt: Our attempt's id found in the job's comment; None for a job that came another way.
    """

    slurm_job_id: int
    attempt: str | None = None

    @property
    def target(self) -> str:
        """What Slurm is told to act on for this alone: the last task of an array has the array's own number."""
        if self.slurm_job_id == self.array_job_id and self.array_task.isdecimal():
            return f"{self.array_job_id}_{self.array_task}"
        return str(self.slurm_job_id)


class Job(JobFacts, frozen=True, kw_only=True, gc=False):
    """One job as hpcjobs shows it: Slurm's facts, our id and our reading of its state.

    An array is one Job whose ``tasks`` count; each of its tasks that Slurm has split off is a Job of its own, whose
    ``parent`` is the array's id. So is each further component of a heterogeneous job.

    Attributes:
        id: Our id: 32 hexadecimal digits, sortable by creation; holds from before Slurm knows the job.
        cluster: Name of the cluster.
        slurm_job_id: Slurm's number; None while Slurm has not taken it.
        attempt: Id of the attempt that brought it into Slurm; None for a job that came another way.
        parent: Id of the array or heterogeneous job that this is a task or component of.
        task: Number of the task in its array, or offset of the component; None for neither.
        tasks: For an array: how many of its tasks are in each state, those that have ended under their fate.
        array_size: For an array: how many tasks it has.
        detail: One sentence for a person where the state needs one, else ``""``.
        created_at: Unix seconds when hpcjobs first knew of the job.
        changed_at: Unix seconds when what is shown here last changed.
    """

    id: str
    cluster: str
    slurm_job_id: int | None
    attempt: str | None = None
    parent: str | None = None
    task: int | None = None
    tasks: dict[str, int] = {}
    array_size: int = 0
    detail: str = ""
    created_at: float
    changed_at: float

    @property
    def final(self) -> bool:
        """Whether nothing will change any more (short of a requeue)."""
        return self.state is State.FINISHED

    @property
    def slurm_name(self) -> str:
        """What Slurm calls it: ``123``, ``123_4``, ``123+1``; ``""`` while Slurm has not taken it."""
        if self.array_job_id and self.task is not None:
            return f"{self.array_job_id}_{self.task}"
        if self.het_job_id and self.task is not None:
            return f"{self.het_job_id}+{self.task}"
        return str(self.slurm_job_id or "")


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, newest first.

    Attributes:
        items: The jobs.
        next_cursor: Ask for the next page with it; None: this was the last.
        observed_at: Unix seconds of the listing behind the answer, by cluster.
        stale: Why what is shown of a cluster is older than was accepted, by cluster.
    """

    items: list[Job]
    next_cursor: str | None
    observed_at: dict[str, float]
    stale: dict[str, str] = {}

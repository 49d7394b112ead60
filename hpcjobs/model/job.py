"""What a job is: as asked for (JobSpec), as Slurm reports it (JobRecord), as hpcjobs shows it (Job)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

Gpus = str
"""GPUs in sbatch's form: ``8`` or ``a100:4`` or ``a100:4,h100:4``."""


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


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job needs. A field that is None was not asked for; Slurm's default holds.

    Attributes:
        nodes: Least number of nodes; same as the minimum of --nodes of sbatch.
        nodes_max: Most nodes; same as the maximum of --nodes. None: as many as ``nodes``.
        ntasks: Same as --ntasks.
        ntasks_per_node: Same as --ntasks-per-node.
        cpus_per_task: Same as --cpus-per-task.
        gpus: GPUs of the whole job; same as --gpus.
        gpus_per_node: Same as --gpus-per-node.
        gpus_per_task: Same as --gpus-per-task.
        mem_per_node_bytes: Memory per node in bytes, rounded up to MiB; 0 is all of it; same as --mem.
        mem_per_cpu_bytes: Memory per CPU in bytes, rounded up to MiB; same as --mem-per-cpu.
        wall_s: Time limit in seconds, rounded up to minutes; same as --time.
        constraint: Node features; same as --constraint.
        nodelist: Nodes that must be among those given, as a hostlist; same as --nodelist.
        exclude: Nodes not to use, as a hostlist; same as --exclude.
        exclusive: No other job on the nodes; same as --exclusive.
    """

    nodes: int | None = None
    nodes_max: int | None = None
    ntasks: int | None = None
    ntasks_per_node: int | None = None
    cpus_per_task: int | None = None
    gpus: int | Gpus | None = None
    gpus_per_node: int | Gpus | None = None
    gpus_per_task: int | Gpus | None = None
    mem_per_node_bytes: int | None = None
    mem_per_cpu_bytes: int | None = None
    wall_s: int | None = None
    constraint: str | None = None
    nodelist: str | None = None
    exclude: str | None = None
    exclusive: bool | None = None


class JobSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A job as asked for. ``#SBATCH`` lines of the script fill in what is None here.

    Attributes:
        script: The batch script itself, not a path; its first line names the interpreter.
        args: Arguments of the script.
        script_name: File name of the script: the job's name where nothing else names it.
        resources: What the job needs.
        name: Same as --job-name of sbatch. None: ``script_name``, or ``hpcjobs``.
        account: Same as --account. None: the user's default account.
        partition: One or several, comma-separated; same as --partition.
        qos: Same as --qos.
        reservation: Same as --reservation.
        dependency: As ``afterok:123``; same as --dependency.
        comment: Same as --comment.
        workdir: Absolute path; same as --chdir. None: the user's home.
        stdout: File pattern; same as --output. None: ``slurm-%j.out`` in the working directory.
        stderr: File pattern; same as --error. None: together with stdout.
        stdin: File pattern; same as --input. None: /dev/null.
        environment: Variables set for the job on top of the user's login environment.
        requeue: Same as --requeue (true) and --no-requeue (false).
        hold: Submit held; same as --hold.
    """

    script: str
    args: tuple[str, ...] = ()
    script_name: str | None = None
    resources: Resources = Resources()
    name: str | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    reservation: str | None = None
    dependency: str | None = None
    comment: str | None = None
    workdir: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    stdin: str | None = None
    environment: dict[str, str] = {}
    requeue: bool | None = None
    hold: bool | None = None


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What Slurm says of a job. Times are Unix seconds, 0 where Slurm has none.

    Attributes:
        user: Name of the owner.
        state: Our reading of the raw state.
        fate: How it ended; None while it has not.
        raw_state: Slurm's state, the flags after commas, as ``RUNNING`` or ``COMPLETED,COMPLETING``.
        reason: Slurm's reason word, as ``Resources``; ``""`` for none.
        comment: The user's comment, without our mark.
        gpus: Count by type (``""`` untyped): allocated once it runs, asked for before.
        mem_bytes: Memory of the whole job in bytes.
        wall_s: Time limit in seconds; None is unlimited or the partition's.
        exit_signal: Number of the signal that ended the batch script, 0 for none.
        restarts: How often Slurm has requeued it.
        array_job_id: Slurm's number of the array that it is of; 0: it is of none.
        array_task: ``4`` for one task, ``5-10%2`` for those of an array that still wait together.
        het_job_id: Slurm's number of the heterogeneous job that it is a component of; 0: of none.
        het_offset: Which component.
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


class JobRecord(JobFacts, frozen=True, kw_only=True):
    """One job as Slurm's controller lists it.

    Attributes:
        slurm_job_id: Slurm's number of the job.
        attempt: Our attempt's id found in the job's comment; None for a job that came another way.
    """

    slurm_job_id: int
    attempt: str | None = None


class Job(JobFacts, frozen=True, kw_only=True):
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

"""What accounting (slurmdbd) knows of jobs that the controller may have forgotten."""

from __future__ import annotations

import msgspec

from hpcjobs.model.job import JobRecord


class Usage(msgspec.Struct, frozen=True):
    """What the tasks of a step used, by Slurm's names of resources; empty where nothing was measured.

    ``cpu`` counts milliseconds, ``mem``, ``vmem`` and ``fs/disk`` bytes, ``energy`` joules, ``pages`` page faults.

    Attributes:
        max: The most that one task used; ``mem`` is its largest resident, ``vmem`` its largest virtual memory.
        max_node: On which node that was.
        max_task: Which task that was; -1: it was measured for a whole node.
        min: The least that one task used.
        min_node: On which node that was.
        min_task: Which task that was.
        average: The average of all tasks.
        total: The sum of all tasks.
    """

    max: dict[str, int] = {}
    max_node: dict[str, str] = {}
    max_task: dict[str, int] = {}
    min: dict[str, int] = {}
    min_node: dict[str, str] = {}
    min_task: dict[str, int] = {}
    average: dict[str, int] = {}
    total: dict[str, int] = {}


class Step(msgspec.Struct, frozen=True):
    """One step of a job. Times are Unix seconds, 0 where there is none.

    Attributes:
        id: ``batch``, ``extern``, ``interactive`` or the step's number.
        name: As given to srun.
        raw_state: Slurm's state.
        exit_code: Its exit code.
        exit_signal: Number of the signal that ended it, 0 for none.
        start_time: When it started.
        end_time: When it ended.
        node_list: Where it ran, as a hostlist.
        ntasks: Tasks.
        cpus: CPUs allocated.
        gpus: GPUs allocated, by type (``""`` untyped).
        mem_max_bytes: Largest resident memory of a task (MaxRSS), in bytes; 0 where it was not measured.
        nodes: How many nodes it ran on.
        elapsed_s: How long it ran, in seconds, without the time in which it was suspended.
        suspended_s: How long it was suspended, in seconds.
        user_cpu_s: CPU time of its programs, in seconds.
        system_cpu_s: CPU time of the kernel for it, in seconds.
        total_cpu_s: Both together, in seconds.
        tres_alloc: What it had, as Slurm writes it: ``cpu=2,mem=1800M,node=1``.
        layout: How its tasks were spread over nodes, as ``Block``; ``Unknown`` for none.
        cpu_frequency_khz: Average frequency of its CPUs, in kHz.
        cpu_frequency_min: Least frequency asked for, in kHz or as a word; ``Unknown``: none.
        cpu_frequency_max: Highest frequency asked for, in kHz or as a word; ``Unknown``: none.
        cpu_governor: Governor asked for, or ``Unknown``.
        energy_j: Energy that it consumed, in joules.
        killed_by: Name of the user who had it killed, or ``""``.
        container: Path of its OCI bundle.
        submit_line: The command that started it.
        stdin: Pattern of the path of its standard input.
        stdout: Pattern of the path of its standard output.
        stderr: Pattern of the path of its standard error.
        usage_in: What it used, and what it read.
        usage_out: What it wrote.
    """

    id: str
    name: str = ""
    raw_state: str = ""
    exit_code: int = 0
    exit_signal: int = 0
    start_time: int = 0
    end_time: int = 0
    node_list: str = ""
    ntasks: int = 0
    cpus: int = 0
    gpus: dict[str, int] = {}
    mem_max_bytes: int = 0
    nodes: int = 0
    elapsed_s: int = 0
    suspended_s: int = 0
    user_cpu_s: float = 0.0
    system_cpu_s: float = 0.0
    total_cpu_s: float = 0.0
    tres_alloc: str = ""
    layout: str = ""
    cpu_frequency_khz: int = 0
    cpu_frequency_min: str = "Unknown"
    cpu_frequency_max: str = "Unknown"
    cpu_governor: str = "Unknown"
    energy_j: int = 0
    killed_by: str = ""
    container: str = ""
    submit_line: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    usage_in: Usage = msgspec.field(default_factory=Usage)
    usage_out: Usage = msgspec.field(default_factory=Usage)


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What accounting has of a job beside its record.

    Attributes:
        elapsed_s: How long it ran, in seconds, without the time in which it was suspended.
        suspended_s: How long it was suspended, in seconds.
        planned_s: How long it waited from the time when it could start, in seconds; negative while that is to come.
        user_cpu_s: CPU time of its programs, in seconds; 0 where the steps were not asked for.
        system_cpu_s: CPU time of the kernel for it, in seconds.
        total_cpu_s: Both together, in seconds.
        wall_unlimited: Whether it had no time limit at all.
        energy_j: Energy that it consumed, in joules; None: not known.
        derived_exit_code: Highest exit code of its steps.
        derived_exit_signal: Signal that goes with it, 0 for none.
        tres_req: What was asked for, as Slurm writes it: ``billing=2,cpu=2,mem=1800M,node=1``.
        tres_alloc: What it had; ``""`` before it runs.
        cpus_req: CPUs asked for.
        nodes_req: Nodes asked for.
        nodes_alloc: Nodes that it had; 0 before it runs.
        mem_per_node_bytes: Memory of each node in bytes; None where it was asked for in another way.
        mem_per_cpu_bytes: Memory of each CPU in bytes; None where it was asked for in another way.
        user_id: Number of the user; None where the service does not know it.
        group_id: Number of the group; None where the service does not know it.
        group: Name of the group.
        association_id: Number of Slurm's association of user and account.
        cluster: Name of the cluster.
        sluid: Slurm's name of this run of the job; ``""`` before Slurm 25.11.
        original_sluid: That of its first run.
        wckey: Workload characterization key.
        reservation: Name of the reservation that it ran in.
        reservation_id: Number of that reservation; 0: none.
        reservation_req: Reservations asked for, comma-separated.
        qos_req: Qualities of service asked for, comma-separated.
        constraint: Features that nodes must have.
        licenses: Licenses asked for.
        exclusive: Whether it had its nodes to itself, in Slurm's words: ``NO``, ``YES``, ``USER``, ``MCS`` or
            ``TOPO``; ``""`` before Slurm 26.05.
        oversubscribe: Whether it shared its CPUs, in Slurm's words; ``""`` before Slurm 26.05.
        segment_size: Nodes of a segment, on a block topology; 0: none.
        array_max_running: Most tasks of its array that run at a time; 0: no limit.
        array_bits: Tasks of its array that wait, as Slurm keeps them, as ``0xAA``.
        flags: How it was scheduled, in Slurm's words: ``STARTED_ON_BACKFILL``.
        submit_line: The command that submitted it.
        container: Path of its OCI bundle.
        extra: Slurm's --extra.
        admin_comment: Comment of an administrator.
        system_comment: Comment of a plugin.
        mcs_label: Label of multi-category security.
        block: Name of a block, of old machines.
        failed_node: Node whose failure ended it.
        killed_by: Name of the user who had it cancelled, or ``""``.
        stdin: Pattern of the path of its standard input.
        stdout: Pattern of the path of its standard output, as asked for.
        stderr: Pattern of the path of its standard error, as asked for.
        stdin_path: That path with everything filled in.
    """

    elapsed_s: int = 0
    suspended_s: int = 0
    planned_s: int = 0
    user_cpu_s: float = 0.0
    system_cpu_s: float = 0.0
    total_cpu_s: float = 0.0
    wall_unlimited: bool = False
    energy_j: int | None = None
    derived_exit_code: int = 0
    derived_exit_signal: int = 0
    tres_req: str = ""
    tres_alloc: str = ""
    cpus_req: int = 0
    nodes_req: int = 0
    nodes_alloc: int = 0
    mem_per_node_bytes: int | None = None
    mem_per_cpu_bytes: int | None = None
    user_id: int | None = None
    group_id: int | None = None
    group: str = ""
    association_id: int = 0
    cluster: str = ""
    sluid: str = ""
    original_sluid: str = ""
    wckey: str = ""
    reservation: str = ""
    reservation_id: int = 0
    reservation_req: str = ""
    qos_req: str = ""
    constraint: str = ""
    licenses: str = ""
    exclusive: str = ""
    oversubscribe: str = ""
    segment_size: int = 0
    array_max_running: int = 0
    array_bits: str = ""
    flags: tuple[str, ...] = ()
    submit_line: str = ""
    container: str = ""
    extra: str = ""
    admin_comment: str = ""
    system_comment: str = ""
    mcs_label: str = ""
    block: str = ""
    failed_node: str = ""
    killed_by: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    stdin_path: str = ""


class Accounted(msgspec.Struct, frozen=True):
    """One job as slurmdbd has it, and its steps where they were asked for.

    Attributes:
        record: What the controller would say of it. A comment is without our mark.
        steps: Its steps, the batch script's first.
        ledger: What only accounting has.
    """

    record: JobRecord
    steps: tuple[Step, ...] = ()
    ledger: Ledger = Ledger()


class AccountedList(msgspec.Struct, frozen=True):
    """Jobs of accounting.

    Attributes:
        items: The jobs, in slurmdbd's order.
        asked_at: Unix seconds at which slurmdbd was asked.
        user_ids: Numbers of the users who are named, where the service knows them.
    """

    items: tuple[Accounted, ...]
    asked_at: float
    user_ids: dict[str, int] = {}


class HistoryQuery(msgspec.Struct, frozen=True):
    """Which jobs of accounting: all conditions hold together; an empty one is none.

    Attributes:
        numbers: Slurm's numbers; an array's or heterogeneous job's number means all of it. Empty: any.
        since: Only jobs that were eligible, running or ended in or after this Unix second; 0: any.
        until: Only jobs that were so before this Unix second; 0: now.
        steps: Whether to bring the steps.
        users: Of these users.
        accounts: Charged to these accounts.
        partitions: In these partitions.
        names: With these names.
        states: In one of these states, in Slurm's words, at some time from since to until.
        nodes: That ran on one of these nodes: a hostlist.
        qos: With these qualities of service.
        wckeys: With these workload characterization keys.
        reasons: That waited for one of these reasons last.
        groups: Of these groups, by name or number.
        constraints: That asked for all of these features.
        associations: Of these associations, by number.
        cpus: On so many CPUs: ``4`` or ``2-8``.
        node_count: On so many nodes: ``4`` or ``2-8``.
        duplicates: Whether each run of a requeued job is told, and each job that had one number.
    """

    numbers: tuple[int, ...] = ()
    since: int = 0
    until: int = 0
    steps: bool = False
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    nodes: str = ""
    qos: tuple[str, ...] = ()
    wckeys: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    associations: tuple[str, ...] = ()
    cpus: str = ""
    node_count: str = ""
    duplicates: bool = False

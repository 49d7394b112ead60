"""What Slurm's own commands print of a job beside the facts that everything else here needs."""

from __future__ import annotations

import msgspec


class Particulars(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What squeue and scontrol print of a job beside JobFacts. Times are Unix seconds, 0 where Slurm has none.

    Nothing is in it that changes while a job merely waits: a changed job is a write to the database. What is as
    usual stands in no document. Which of it a way to Slurm cannot tell: ``slurm/pyslurm_particulars.py``.

    Attributes:
        user_id: Number of the owner.
        group_id: Number of the owner's group.
        group: Its name.
        association_id: Number of Slurm's association that is charged.
        sluid: Slurm's own lasting id; ``""`` where the way to Slurm does not tell it.
        submit_host: Where it was submitted; same as AllocNode.
        submit_session: Session or process there; same as Sid.
        submit_line: The command that submitted it.
        command: Path of the batch script.
        stdin: Path of its standard input.
        batch: Whether it has a batch script.
        batch_host: The node that runs the batch script.
        state_description: Slurm's words that stand for the reason where there are some.
        constraint: Features that nodes must have; same as Features.
        prefer: Features that are preferred.
        cluster_constraint: Features of clusters.
        batch_constraint: Features of the batch script's node; same as BatchFeatures.
        required_nodes: Same as ReqNodeList.
        excluded_nodes: Same as ExcNodeList.
        scheduled_nodes: Where Slurm means to start it; same as SchedNodeList.
        failed_node: The node that failed under it.
        nodes_max: Most nodes; 0: as many as ``nodes``.
        licenses: Asked for.
        licenses_alloc: Allocated.
        reservation: Same as Reservation.
        wckey: Same as WCKey.
        network: Same as Network.
        mcs_label: Same as MCS_label.
        nice: Same as Nice.
        cpus_per_task: Same as CPUs/Task.
        ntasks_per_node: 0 where it was not asked for.
        ntasks_per_socket: None: no limit.
        ntasks_per_core: None: no limit.
        ntasks_per_tres: Tasks a GPU; 0 where it was not asked for.
        mincpus: Least CPUs of each node; same as MinCPUsNode.
        mem_per_node_bytes: Memory of each node in bytes; None where it was asked for in another way.
        mem_per_cpu_bytes: Memory of each CPU in bytes; None where it was asked for in another way.
        tmp_bytes: Least temporary disk of each node in bytes; same as MinTmpDiskNode.
        sockets_per_node: None where it was not asked for.
        cores_per_socket: None where it was not asked for.
        threads_per_core: None where it was not asked for.
        core_spec: Cores of each node left to the system; None where it was not asked for.
        thread_spec: Threads of each node left to the system; None where it was not asked for.
        oversubscribe: Whether nodes are shared: ``""`` as the partition has it, ``YES``, ``NO`` (exclusive), ``USER``,
            ``MCS`` or ``TOPO``.
        contiguous: Whether nodes must be neighbours.
        requeue: Whether it may be requeued.
        reboot: Whether nodes are booted before.
        tres_req: What it asks for, as ``cpu=2,mem=1800M,node=1,billing=2``.
        tres_alloc: What it has been given, in the same words.
        tres_per_job: Asked for by the whole job, as ``gres/gpu:4``.
        tres_per_node: Asked for by each node.
        tres_per_socket: Asked for by each socket.
        tres_per_task: Asked for by each task.
        tres_bind: How tasks are bound to them.
        tres_freq: At which frequency.
        cpus_per_tres: CPUs of each, as ``gres/gpu:2``.
        mem_per_tres: Memory of each in MiB, as ``gres/gpu:512``.
        time_min_s: Least time limit in seconds.
        deadline: When it must have ended.
        accrue_time: Since when it gathers priority by age.
        suspend_time: When it was last suspended or resumed.
        pre_suspend_s: Seconds that it had run until then.
        resize_time: When its size last changed.
        preempt_time: When it was preempted.
        preemptable_time: From when it may be preempted.
        delay_boot_s: For how many seconds nodes are not booted for its features.
        switches: Most leaf switches; 0 where it was not asked for.
        switches_wait_s: For how many seconds it waits for that.
        mail_types: Events that are mailed.
        mail_user: To whom.
        admin_comment: Same as AdminComment.
        system_comment: Same as SystemComment.
        extra: Same as Extra.
        container: Path of its OCI bundle.
        container_id: Its container's id.
        container_type: Same as ContainerType.
        burst_buffer: What it asks of burst buffers.
        burst_buffer_state: What became of that.
        profile: Kinds of samples that are kept; none: as Slurm is set up.
        derived_exit_code: Highest exit code of its steps.
        derived_exit_signal: Signal that goes with it.
        array_max_running: Most tasks of its array that run at a time; 0: no limit.
        het_job_ids: Numbers of the components of its heterogeneous job, as ``70-72``.
        segment_size: Nodes that must be together.
        reserved_ports: Ports that are kept for it.
        selinux_context: Same as SELinuxContext.
        cron: Line of the crontab that it is of.
    """

    user_id: int = 0
    group_id: int = 0
    group: str = ""
    association_id: int = 0
    sluid: str = ""
    submit_host: str = ""
    submit_session: int = 0
    submit_line: str = ""
    command: str = ""
    stdin: str = ""
    batch: bool = True
    batch_host: str = ""
    state_description: str = ""
    constraint: str = ""
    prefer: str = ""
    cluster_constraint: str = ""
    batch_constraint: str = ""
    required_nodes: str = ""
    excluded_nodes: str = ""
    scheduled_nodes: str = ""
    failed_node: str = ""
    nodes_max: int = 0
    licenses: str = ""
    licenses_alloc: str = ""
    reservation: str = ""
    wckey: str = ""
    network: str = ""
    mcs_label: str = ""
    nice: int = 0
    cpus_per_task: int = 1
    ntasks_per_node: int = 0
    ntasks_per_socket: int | None = None
    ntasks_per_core: int | None = None
    ntasks_per_tres: int = 0
    mincpus: int = 1
    mem_per_node_bytes: int | None = None
    mem_per_cpu_bytes: int | None = None
    tmp_bytes: int = 0
    sockets_per_node: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    core_spec: int | None = None
    thread_spec: int | None = None
    oversubscribe: str = ""
    contiguous: bool = False
    requeue: bool = True
    reboot: bool = False
    tres_req: str = ""
    tres_alloc: str = ""
    tres_per_job: str = ""
    tres_per_node: str = ""
    tres_per_socket: str = ""
    tres_per_task: str = ""
    tres_bind: str = ""
    tres_freq: str = ""
    cpus_per_tres: str = ""
    mem_per_tres: str = ""
    time_min_s: int = 0
    deadline: int = 0
    accrue_time: int = 0
    suspend_time: int = 0
    pre_suspend_s: int = 0
    resize_time: int = 0
    preempt_time: int = 0
    preemptable_time: int = 0
    delay_boot_s: int = 0
    switches: int = 0
    switches_wait_s: int = 0
    mail_types: tuple[str, ...] = ()
    mail_user: str = ""
    admin_comment: str = ""
    system_comment: str = ""
    extra: str = ""
    container: str = ""
    container_id: str = ""
    container_type: str = ""
    burst_buffer: str = ""
    burst_buffer_state: str = ""
    profile: tuple[str, ...] = ()
    derived_exit_code: int = 0
    derived_exit_signal: int = 0
    array_max_running: int = 0
    het_job_ids: str = ""
    segment_size: int = 0
    reserved_ports: str = ""
    selinux_context: str = ""
    cron: str = ""


UNTOLD = Particulars()
"""Those of a job of which Slurm has told none: one that it has not taken yet, or that accounting alone knows."""

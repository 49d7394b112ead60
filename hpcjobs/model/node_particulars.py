"""What there is to say of a node beside what a scheduler looks at first."""

from __future__ import annotations

import msgspec


class NodeParticulars(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A node's make, software, times and texts; what is left out is as its default says.

    Attributes:
        address: Where the controller reaches it (NodeAddr).
        hostname: What it calls itself (NodeHostName).
        broadcast_address: Its address for files that are broadcast; ``""``: as ``address``.
        port: TCP port of its slurmd.
        version: Slurm's version there.
        os: Operating system.
        architecture: As ``x86_64``.
        boards: Boards.
        sockets: Sockets.
        cores: Cores a socket.
        threads: Threads a core.
        cpus_total: CPUs, those reserved for the system too.
        cpu_load: Load average of the last minutes, in CPUs; None: not known.
        free_mem_bytes: Memory that its operating system calls free, in bytes; None: not known.
        tmp_disk_bytes: Size of its temporary file system, in bytes.
        weight: Nodes of less weight are taken first.
        cpu_bind: How tasks are bound to CPUs where a job says nothing, in Slurm's words.
        features_active: Those of its features that it has now.
        gres: Generic resources, as Slurm writes them: ``gpu:a100:8(S:0-1)``.
        gres_used: Those in use, with their indices: ``gpu:a100:2(IDX:0-1)``.
        gres_drained: Those that take no new work.
        tres: What it has, as Slurm writes it: ``cpu=64,mem=62.50G``.
        tres_alloc: What of it jobs have.
        cores_reserved: Cores for the system (CoreSpecCount).
        cpus_reserved: Numbers of CPUs for the system (CPUSpecList).
        mem_reserved_bytes: Memory for Slurm's daemon there, in bytes.
        cores_per_gpu_reserved: Cores that each of its GPUs keeps for jobs with GPUs.
        gpu_cores: Which cores these are.
        boot_time: Unix seconds when it booted; 0: not known, as for the other times.
        slurmd_start_time: Unix seconds when its slurmd started.
        last_busy_time: Unix seconds when it last had a job.
        resume_time: Unix seconds when it is to be resumed by itself.
        suspend_s: Seconds of idleness after which it is powered down; None: never.
        next_state: The state that it will have after a reboot that is asked for.
        owner: The only user whose jobs it takes; ``""``: any.
        owner_uid: That user's number.
        mcs_label: Security label of the jobs that it takes.
        reason_user: Who gave the reason for which it is down or drained.
        reason_uid: That user's number; None: nobody's, or it is not known.
        reason_time: Unix seconds when the reason was given.
        comment: A comment.
        extra: A text that constraints can name.
        instance_id: Its number with a cloud provider.
        instance_type: Its kind with a cloud provider.
        reservation: The reservation that it is in now.
        topology: Where it is in the network.
        watts: Power that it takes now; None: not measured.
        watts_average: Power that it takes on average; None: not measured.
    """

    address: str = ""
    hostname: str = ""
    broadcast_address: str = ""
    port: int = 6818
    version: str = ""
    os: str = ""
    architecture: str = ""
    boards: int = 1
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    cpus_total: int = 0
    cpu_load: float | None = None
    free_mem_bytes: int | None = None
    tmp_disk_bytes: int = 0
    weight: int = 1
    cpu_bind: str = ""
    features_active: tuple[str, ...] = ()
    gres: str = ""
    gres_used: str = ""
    gres_drained: str = ""
    tres: str = ""
    tres_alloc: str = ""
    cores_reserved: int = 0
    cpus_reserved: str = ""
    mem_reserved_bytes: int = 0
    cores_per_gpu_reserved: int = 0
    gpu_cores: str = ""
    boot_time: int = 0
    slurmd_start_time: int = 0
    last_busy_time: int = 0
    resume_time: int = 0
    suspend_s: int | None = None
    next_state: str = ""
    owner: str = ""
    owner_uid: int | None = None
    mcs_label: str = ""
    reason_user: str = ""
    reason_uid: int | None = None
    reason_time: int = 0
    comment: str = ""
    extra: str = ""
    instance_id: str = ""
    instance_type: str = ""
    reservation: str = ""
    topology: str = ""
    watts: int | None = None
    watts_average: int | None = None

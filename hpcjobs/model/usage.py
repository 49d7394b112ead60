"""What a job used: one run of it as accounting has it, and the GPUs of that run (docs/adr/0021)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Basis(StrEnum):
    """How the kind of a run's GPUs is known."""

    NAMED = "named"  # the job named the type, so accounting has it
    NODES = "nodes"  # its nodes had one type only at that time, or the whole of what they had was the job's
    ASKED = "asked"  # accounting has no GPUs of it: its own command asked for them
    UNRESOLVED = "unresolved"  # not known


class GpuUse(msgspec.Struct, frozen=True, gc=False):
    """GPUs of one kind that one run of a job had, all of the time.

    Attributes:
        kind: As Slurm's type: ``a100``, ``a100_1g.5gb``; ``""``: not known.
        sharing: ``""`` whole devices, ``mig``, ``shard`` or ``mps``.
        devices: How many devices its programs saw: a slice is one, shares of one GPU are one.
        equivalent: What that is in whole GPUs: 1/7 for the smallest slice of seven, 1/4 for one of four shards.
        held: Whole GPUs that nobody else could have meanwhile: ``equivalent``, or all of a node that the job had to
            itself.
        basis: How the kind is known.
    """

    kind: str
    sharing: str
    devices: int
    equivalent: float
    held: float
    basis: Basis


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run of a job as accounting has it: an array's task, a component of a heterogeneous job, one try of several.

    Accounting makes a new one where a job is requeued or changes its size. ``cluster``, ``slurm_job_id`` and
    ``submit_time`` together are no other's. Times are Unix seconds, 0 where there is none.

    Attributes:
        slurm_job_id: Slurm's number of the job, of the task, of the component.
        submit_time: When it was submitted, requeued, or made smaller.
        eligible_time: When it could start, as far as ``begin`` and dependencies go.
        start_time: When it started; 0: it waits, or ended without.
        end_time: When it ended; 0: it has not.
        user: Whose it is; ``""``: a user whom accounting has forgotten.
        account: What it is charged to.
        partition: Where it ran, or all that it may run in.
        qos: Its quality of service.
        raw_state: Slurm's state, without who cancelled it.
        suspended_s: How long of its time it was suspended, in seconds; it keeps its GPUs meanwhile.
        wall_s: Its time limit in seconds; None: none.
        nodes: Nodes that it had, or asked for where it never ran.
        cpus: CPUs that it had, or asked for.
        mem_bytes: Memory that it had, or asked for.
        node_list: The nodes, as a hostlist; ``""``: none.
        tres_alloc: What it had, as Slurm writes it; ``""``: nothing.
        tres_req: What it asked for.
        submit_line: The command that submitted it; ``""``: not known.
        exclusive: Whether it had its nodes to itself; None: accounting does not say (before Slurm 26.05).
        exit_code: Of the batch script.
        exit_signal: Number of the signal that ended it; 0: none.
        restarts: How often Slurm had requeued it before.
        reason: Why it waited last.
        cpu_used_s: CPU time of its steps, in seconds; None: not asked for, or not measured.
        mem_max_bytes: Largest resident memory of one of its tasks; None: not measured.
        energy_j: Energy of its nodes, in joules; None: not measured.
        array_job_id: Number of the array that it is of; 0: none.
        het_job_id: Number of the heterogeneous job that it is of; 0: none.
        reservation: The reservation in which it ran.
        wckey: Its workload characterization key.
    """

    slurm_job_id: int
    submit_time: int
    eligible_time: int = 0
    start_time: int = 0
    end_time: int = 0
    user: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    raw_state: str = ""
    suspended_s: int = 0
    wall_s: int | None = None
    nodes: int = 0
    cpus: int = 0
    mem_bytes: int = 0
    node_list: str = ""
    tres_alloc: str = ""
    tres_req: str = ""
    submit_line: str = ""
    exclusive: bool | None = None
    exit_code: int = 0
    exit_signal: int = 0
    restarts: int = 0
    reason: str = ""
    cpu_used_s: float | None = None
    mem_max_bytes: int | None = None
    energy_j: int | None = None
    array_job_id: int = 0
    het_job_id: int = 0
    reservation: str = ""
    wckey: str = ""


class NodeKind(msgspec.Struct, frozen=True):
    """What GPUs a node had and whether jobs could start there, from some time on until the next that is told of it.

    Attributes:
        node: Its name.
        since: Unix seconds.
        gres: Its generic resources, as Slurm writes them: ``gpu:a100:8(S:0-1),shard:a100:32``; ``""``: none, or the
            node is gone.
        cpus: CPUs that could be scheduled.
        usable: Whether Slurm would start a job there now or when it is free: not down, drained or failing.
    """

    node: str
    since: int
    gres: str
    cpus: int = 0
    usable: bool = True

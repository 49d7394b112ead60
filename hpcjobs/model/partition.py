"""A partition: nodes, and the rules for jobs there."""

from __future__ import annotations

from typing import Final

import msgspec

CLUSTER_GLOBAL: Final = "CLUSTER_GLOBAL"
"""The preempt mode of a partition that has none of its own."""


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition as Slurm's controller reports it.

    Attributes:
        name: Slurm's PartitionName.
        state: ``UP``; ``DOWN`` starts no job, ``DRAIN`` takes no new one, ``INACTIVE`` does neither.
        flags_told: Whether the next six are told; slurmrestd before v0.0.45 does not, and they stand as False.
        default: Whether jobs go there that name no partition.
        hidden: Whether Slurm's commands leave it out unless asked for all.
        root_only: Whether only root brings jobs there.
        root_jobs_disabled: Whether root's jobs are refused.
        reservation_required: Whether a job there must name a reservation.
        least_loaded: Whether jobs go to the least loaded nodes (LLN).
        nodes: Its nodes, as Slurm folds them: ``c[1-4]``.
        nodesets: The node sets that it was made of.
        total_nodes: Number of nodes.
        total_cpus: Number of CPUs.
        wall_max_s: Longest time limit in seconds; None: unlimited.
        wall_default_s: Time limit in seconds of jobs that name none; None: ``wall_max_s``.
        wall_default_unlimited: Whether jobs that name no time limit have none.
        nodes_min: Fewest nodes of a job.
        nodes_max: Most nodes of a job; None: unlimited.
        cpus_per_node_max: Most CPUs of a node that its jobs together may have; None: all.
        cpus_per_socket_max: The same of a socket.
        allow_groups: The only groups whose users may run jobs there; empty: any. So are the other ``allow``.
        allow_accounts: The only accounts.
        deny_accounts: Accounts that may not.
        allow_qos: The only qualities of service.
        deny_qos: Qualities of service that may not.
        allow_submit_nodes: The only nodes from which jobs may come, as Slurm folds them; ``""``: any.
        alternate: The partition that takes its jobs while it drains; ``""``: none.
        qos: The quality of service whose limits all its jobs have; ``""``: none.
        priority_tier: Jobs of a higher tier start first.
        priority_job_factor: What it adds to its jobs' priority.
        oversubscribe: ``NO``, or how many jobs share a resource: ``YES:4``, ``FORCE:2``.
        exclusive: What a job has for itself: ``NO``, ``NODE``, ``USER`` (its user's jobs share) or ``TOPO``.
        preempt_mode: What becomes of a job there that another pushes aside, as ``OFF`` or ``REQUEUE``;
            ``CLUSTER_GLOBAL``: what the cluster's settings say, which this way to the cluster does not tell.
        grace_s: Seconds that such a job has left.
        overrun: Minutes by which jobs may outlast their time limit, or ``UNLIMITED``; ``""``: the cluster's own.
        mem_default_per_cpu_bytes: Memory per CPU of jobs that ask for none, in bytes; 0: unlimited; None: see the
            next.
        mem_default_per_node_bytes: The same per node; None: unlimited.
        mem_max_per_cpu_bytes: Most memory per CPU, in bytes; 0: unlimited; None: see the next.
        mem_max_per_node_bytes: Most memory per node, in bytes; None: unlimited.
        job_defaults: What jobs get that do not say, as ``DefCpuPerGPU=2``.
        tres: What it has, as Slurm writes it: ``cpu=256,mem=250G,node=4``.
        billing_weights: What each resource costs (TRESBillingWeights).
        select: How its resources are chosen, in Slurm's words; ``NONE``: as the cluster's.
        topology: Name of its topology; ``""``: the cluster's.
        cpu_bind: How tasks are bound to CPUs where a job says nothing, in Slurm's words.
        resume_timeout: Seconds that its nodes have to come up, ``GLOBAL`` or ``INFINITE``; ``""``: the cluster saves
            no power, or it is not told. So are the next two.
        suspend_timeout: Seconds that its nodes have to go down.
        suspend_time: Seconds of idleness after which its nodes go down.
        power_down_on_idle: Whether its nodes go down as soon as they are idle.
    """

    name: str
    state: str = "UP"
    flags_told: bool = True
    default: bool = False
    hidden: bool = False
    root_only: bool = False
    root_jobs_disabled: bool = False
    reservation_required: bool = False
    least_loaded: bool = False
    nodes: str = ""
    nodesets: str = ""
    total_nodes: int = 0
    total_cpus: int = 0
    wall_max_s: int | None = None
    wall_default_s: int | None = None
    wall_default_unlimited: bool = False
    nodes_min: int = 0
    nodes_max: int | None = None
    cpus_per_node_max: int | None = None
    cpus_per_socket_max: int | None = None
    allow_groups: tuple[str, ...] = ()
    allow_accounts: tuple[str, ...] = ()
    deny_accounts: tuple[str, ...] = ()
    allow_qos: tuple[str, ...] = ()
    deny_qos: tuple[str, ...] = ()
    allow_submit_nodes: str = ""
    alternate: str = ""
    qos: str = ""
    priority_tier: int = 1
    priority_job_factor: int = 1
    oversubscribe: str = "NO"
    exclusive: str = "NO"
    preempt_mode: str = CLUSTER_GLOBAL
    grace_s: int = 0
    overrun: str = ""
    mem_default_per_cpu_bytes: int | None = None
    mem_default_per_node_bytes: int | None = None
    mem_max_per_cpu_bytes: int | None = None
    mem_max_per_node_bytes: int | None = None
    job_defaults: str = ""
    tres: str = ""
    billing_weights: str = ""
    select: str = "NONE"
    topology: str = ""
    cpu_bind: str = ""
    resume_timeout: str = ""
    suspend_timeout: str = ""
    suspend_time: str = ""
    power_down_on_idle: bool = False


class PartitionList(msgspec.Struct, frozen=True):
    """The partitions of a cluster.

    Attributes:
        items: The partitions, in the order of Slurm's configuration.
        observed_at: Unix seconds of the listing that they are from.
    """

    items: list[Partition]
    observed_at: float

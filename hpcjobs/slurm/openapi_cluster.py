"""Nodes and partitions as Slurm's own JSON says them (data_parser v0.0.42 to v0.0.45), and our reading of it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.model.amount import MIB, NO_VAL
from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.partition import Partition
from hpcjobs.slurm.openapi_numbers import NONE, Number
from hpcjobs.slurm.states import node_usable

ABSENT: Final = "N/A"
UNKNOWN_LOAD: Final = NO_VAL
"""NO_VAL of slurm.h."""

ROOT: Final = "root"


class EnergyWords(msgspec.Struct, frozen=True):
    """What a node takes."""

    average_watts: int = 0
    current_watts: Number = NONE


class NodeWords(msgspec.Struct, frozen=True):
    """A node of the controller."""

    name: str
    state: tuple[str, ...] = ()
    effective_cpus: int = 0
    alloc_cpus: int = 0
    real_memory: int = 0
    alloc_memory: int = 0
    gres: str = ""
    gres_used: str = ""
    gres_drained: str = ""
    partitions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    active_features: tuple[str, ...] = ()
    reason: str = ""
    reason_set_by_user: str = ""
    reason_changed_at: Number = NONE
    address: str = ""
    hostname: str = ""
    burstbuffer_network_address: str = ""
    port: int = 6818
    version: str = ""
    operating_system: str = ""
    architecture: str = ""
    boards: int = 1
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    cpus: int = 0
    cpu_load: int = UNKNOWN_LOAD
    free_mem: Number = NONE
    temporary_disk: int = 0
    weight: int = 1
    tres: str = ""
    tres_used: str | None = None
    specialized_cores: int = 0
    specialized_cpus: str = ""
    specialized_memory: int = 0
    res_cores_per_gpu: int = 0
    gpu_spec: str = ""
    boot_time: Number = NONE
    slurmd_start_time: Number = NONE
    last_busy: Number = NONE
    resume_after: Number = NONE
    suspend_time: Number = NONE
    next_state_after_reboot: tuple[str, ...] = ()
    owner: str = ""
    mcs_label: str = ""
    comment: str = ""
    extra: str = ""
    instance_id: str = ""
    instance_type: str = ""
    reservation: str = ""
    topology: str = ""
    energy: EnergyWords = EnergyWords()


def _present(text: str) -> str:
    return "" if text == ABSENT else text


def _uid(name: str) -> int | None:
    """The JSON says names only; root's number is everywhere the same."""
    return 0 if name == ROOT else None


def node_of(node: NodeWords) -> Node:
    """A node of the controller as ours."""
    raw_state = "+".join(node.state)
    free = node.free_mem.maybe
    measured = node.energy.current_watts.set
    particulars = NodeParticulars(
        address=node.address,
        hostname=node.hostname,
        broadcast_address=node.burstbuffer_network_address,
        port=node.port,
        version=node.version,
        os=node.operating_system,
        architecture=node.architecture,
        boards=node.boards,
        sockets=node.sockets,
        cores=node.cores,
        threads=node.threads,
        cpus_total=node.cpus,
        cpu_load=None if node.cpu_load >= UNKNOWN_LOAD else node.cpu_load / 100,
        free_mem_bytes=None if free is None else free * MIB,
        tmp_disk_bytes=node.temporary_disk * MIB,
        weight=node.weight,
        features_active=node.active_features,
        gres=node.gres,
        gres_used=node.gres_used,
        gres_drained=_present(node.gres_drained),
        tres=node.tres,
        tres_alloc=node.tres_used or "",
        cores_reserved=node.specialized_cores,
        cpus_reserved=node.specialized_cpus,
        mem_reserved_bytes=node.specialized_memory * MIB,
        cores_per_gpu_reserved=node.res_cores_per_gpu,
        gpu_cores=node.gpu_spec,
        boot_time=node.boot_time.value,
        slurmd_start_time=node.slurmd_start_time.value,
        last_busy_time=node.last_busy.value,
        resume_time=node.resume_after.value,
        suspend_s=node.suspend_time.maybe,
        next_state="+".join(word for word in node.next_state_after_reboot if word != "INVALID"),
        owner=node.owner,
        owner_uid=_uid(node.owner),
        mcs_label=node.mcs_label,
        reason_user=node.reason_set_by_user,
        reason_uid=_uid(node.reason_set_by_user),
        reason_time=node.reason_changed_at.value,
        comment=node.comment,
        extra=node.extra,
        instance_id=node.instance_id,
        instance_type=node.instance_type,
        reservation=node.reservation,
        topology=node.topology,
        watts=node.energy.current_watts.maybe,
        watts_average=node.energy.average_watts if measured else None,
    )
    return Node(
        name=node.name,
        raw_state=raw_state,
        usable=node_usable(raw_state),
        cpus=node.effective_cpus,
        cpus_alloc=node.alloc_cpus,
        mem_bytes=node.real_memory * MIB,
        mem_alloc_bytes=node.alloc_memory * MIB,
        gpus=parse_node_gres(node.gres),
        gpus_alloc=parse_node_gres(node.gres_used),
        partitions=node.partitions,
        features=node.features,
        reason=node.reason,
        particulars=particulars,
    )


class _Nodes(msgspec.Struct, frozen=True):
    allowed_allocation: str = ""
    configured: str = ""
    total: int = 0


class _Allowed(msgspec.Struct, frozen=True):
    allowed: str = ""
    deny: str = ""
    assigned: str = ""


class _Tres(msgspec.Struct, frozen=True):
    billing_weights: str = ""
    configured: str = ""


class _Cpus(msgspec.Struct, frozen=True):
    total: int = 0


class _Defaults(msgspec.Struct, frozen=True):
    partition_memory_per_cpu: Number = NONE
    partition_memory_per_node: Number = NONE
    time: Number = NONE
    job: str = ""


class _Oversubscribe(msgspec.Struct, frozen=True):
    jobs: int = 1
    flags: tuple[str, ...] = ()


class _Maximums(msgspec.Struct, frozen=True):
    cpus_per_node: Number = NONE
    cpus_per_socket: Number = NONE
    partition_memory_per_cpu: Number = NONE
    partition_memory_per_node: Number = NONE
    nodes: Number = NONE
    time: Number = NONE
    over_time_limit: Number = NONE
    shares: int = 1
    oversubscribe: _Oversubscribe = _Oversubscribe()


class _Minimums(msgspec.Struct, frozen=True):
    nodes: int = 0


class _Priority(msgspec.Struct, frozen=True):
    job_factor: int = 1
    tier: int = 1


class _OwnWords(msgspec.Struct, frozen=True):
    """``exclusive`` and ``oversubscribe`` since v0.0.45; before, ``maximums`` says some of it."""

    state: tuple[str, ...] = ()
    exclusive: str = ""
    oversubscribe: str = ""


class PartitionWords(msgspec.Struct, frozen=True):
    """A partition of the controller."""

    name: str
    nodes: _Nodes = _Nodes()
    accounts: _Allowed = _Allowed()
    groups: _Allowed = _Allowed()
    qos: _Allowed = _Allowed()
    alternate: str = ""
    tres: _Tres = _Tres()
    cpus: _Cpus = _Cpus()
    defaults: _Defaults = _Defaults()
    flags: tuple[str, ...] | None = None
    grace_time: int = 0
    maximums: _Maximums = _Maximums()
    minimums: _Minimums = _Minimums()
    node_sets: str = ""
    partition: _OwnWords = _OwnWords()
    preempt_mode: tuple[str, ...] = ()
    priority: _Priority = _Priority()
    select_type: tuple[str, ...] = ()
    topology: str = ""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _bytes(per_cpu: Number) -> int | None:
    return per_cpu.value * MIB if per_cpu.set or per_cpu.infinite else None


def _bytes_per_node(per_node: Number) -> int | None:
    return per_node.value * MIB or None


def _minutes(number: Number) -> int | None:
    return None if number.maybe is None else number.value * 60


def _oversubscribe(partition: PartitionWords) -> str:
    if partition.partition.oversubscribe:
        return partition.partition.oversubscribe
    shared = partition.maximums.oversubscribe
    if not partition.maximums.shares or ("force" not in shared.flags and shared.jobs <= 1):
        return "NO"
    return f"{'FORCE' if 'force' in shared.flags else 'YES'}:{shared.jobs}"


def _exclusive(partition: PartitionWords) -> str:
    if partition.partition.exclusive:
        return partition.partition.exclusive
    return "NO" if partition.maximums.shares else "NODE"


def partition_of(partition: PartitionWords) -> Partition:
    """A partition of the controller as ours; the cluster's own preempt mode is not told, nor are defaults per GPU."""
    most, defaults, flags = partition.maximums, partition.defaults, partition.flags or ()
    mode = ",".join(partition.preempt_mode)
    overrun = most.over_time_limit
    return Partition(
        name=partition.name,
        state=",".join(partition.partition.state) or "UNKNOWN",
        flags_told=partition.flags is not None,
        default="DEFAULT" in flags,
        hidden="HIDDEN" in flags,
        root_only="ROOT_ONLY" in flags,
        root_jobs_disabled="NO_ROOT" in flags,
        reservation_required="REQ_RESV" in flags,
        least_loaded="LLN" in flags,
        nodes=partition.nodes.configured,
        nodesets=partition.node_sets,
        total_nodes=partition.nodes.total,
        total_cpus=partition.cpus.total,
        wall_max_s=_minutes(most.time),
        wall_default_s=_minutes(defaults.time),
        wall_default_unlimited=defaults.time.infinite,
        nodes_min=partition.minimums.nodes,
        nodes_max=most.nodes.maybe,
        cpus_per_node_max=most.cpus_per_node.maybe,
        cpus_per_socket_max=most.cpus_per_socket.maybe,
        allow_groups=_names(partition.groups.allowed),
        allow_accounts=_names(partition.accounts.allowed),
        deny_accounts=_names(partition.accounts.deny),
        allow_qos=_names(partition.qos.allowed),
        deny_qos=_names(partition.qos.deny),
        allow_submit_nodes=partition.nodes.allowed_allocation,
        alternate=partition.alternate,
        qos=partition.qos.assigned,
        priority_tier=partition.priority.tier,
        priority_job_factor=partition.priority.job_factor,
        oversubscribe=_oversubscribe(partition),
        exclusive=_exclusive(partition),
        preempt_mode="OFF" if mode == "DISABLED" else mode or "CLUSTER_GLOBAL",
        grace_s=partition.grace_time,
        overrun="UNLIMITED" if overrun.infinite else str(overrun.value) if overrun.set else "",
        mem_default_per_cpu_bytes=_bytes(defaults.partition_memory_per_cpu),
        mem_default_per_node_bytes=_bytes_per_node(defaults.partition_memory_per_node),
        mem_max_per_cpu_bytes=_bytes(most.partition_memory_per_cpu),
        mem_max_per_node_bytes=_bytes_per_node(most.partition_memory_per_node),
        job_defaults=defaults.job,
        tres=partition.tres.configured,
        billing_weights=partition.tres.billing_weights,
        select="+".join(partition.select_type) or "NONE",
        topology=partition.topology,
        power_down_on_idle="PDOI" in flags,
    )

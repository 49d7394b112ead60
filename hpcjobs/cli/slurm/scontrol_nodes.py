"""``scontrol show node`` and ``scontrol show partition``, as scontrol prints them. Pure but for the service."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm import service_read
from hpcjobs.cli.slurm.common import Failed, say
from hpcjobs.cli.slurm.node_states import bits_of, complete_state
from hpcjobs.cli.slurm.scontrol_job import PROGRAM
from hpcjobs.cli.slurm.times import Moment, full_span, time_text
from hpcjobs.model.amount import MIB, NO_VAL
from hpcjobs.sbatch.hostlists import expand_hostlist, natural

if TYPE_CHECKING:
    from hpcjobs.cli.slurm.scontrol import Request
    from hpcjobs.model.cluster import Node
    from hpcjobs.model.partition import Partition

SLURMD_PORT: Final = 6818
"""Slurm's own; scontrol prints a node's port where it is another."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "TLSCertTokenSet": "certificates between Slurm's daemons are not listed",
    "TLSCertLastRenewal": "certificates between Slurm's daemons are not listed",
}
"""What scontrol prints of nodes or partitions and the service does not know, and why."""


def node_lines(node: Node, moment: Moment, *, detail: bool = False) -> list[str]:
    """What stands on each line of a node.

    Args:
        node: The node.
        moment: When, and the style of times.
        detail: Whether GRES in use are printed (``-d``).
    """
    return list(_node_lines(node, moment, detail=detail))


def _node_lines(node: Node, moment: Moment, *, detail: bool) -> Iterator[str]:
    told = node.particulars
    make = f"Arch={told.architecture} " if told.architecture else ""
    bind = f"CpuBind={told.cpu_bind} " if told.cpu_bind else ""
    yield f"NodeName={node.name} {make}{bind}CoresPerSocket={told.cores} "
    load = NO_VAL / 100 if told.cpu_load is None else told.cpu_load
    yield f"CPUAlloc={node.cpus_alloc} CPUEfctv={node.cpus} CPUTot={told.cpus_total} CPULoad={load:.2f}"
    yield f"AvailableFeatures={','.join(node.features) or '(null)'}"
    yield f"ActiveFeatures={','.join(told.features_active) or '(null)'}"
    yield f"Gres={told.gres or '(null)'}"
    if detail:
        yield f"GresDrain={told.gres_drained or 'N/A'}"
        yield f"GresUsed={told.gres_used}"
    yield _addresses(node)
    if told.os:
        yield f"OS={told.os} "
    free = "N/A" if told.free_mem_bytes is None else told.free_mem_bytes // MIB
    memory = f"RealMemory={node.mem_bytes // MIB} AllocMem={node.mem_alloc_bytes // MIB} FreeMem={free}"
    yield f"{memory} Sockets={told.sockets} Boards={told.boards}"
    yield from _reserved(node)
    state = complete_state(bits_of(node.raw_state))
    owner = f"{told.owner}({told.owner_uid})" if told.owner else "N/A"
    yield (
        f"State={state} ThreadsPerCore={told.threads} TmpDisk={told.tmp_disk_bytes // MIB} Weight={told.weight} "
        f"Owner={owner} MCS_label={told.mcs_label or 'N/A'}"
    )
    if told.next_state and "REBOOT" in state:
        yield f"NextState={told.next_state}"
    if node.partitions:
        yield f"Partitions={','.join(node.partitions)} "
    yield (
        f"BootTime={time_text(told.boot_time, moment, 'None')} "
        f"SlurmdStartTime={time_text(told.slurmd_start_time, moment, 'None')}"
    )
    yield (
        f"LastBusyTime={time_text(told.last_busy_time, moment, 'Unknown')} "
        f"ResumeAfterTime={time_text(told.resume_time, moment, 'None')} "
        f"SuspendTime={'INFINITE' if told.suspend_s is None else told.suspend_s}"
    )
    yield f"CfgTRES={told.tres}"
    yield f"AllocTRES={told.tres_alloc}"
    watts = ("n/a", "n/a") if told.watts is None else (told.watts, told.watts_average)
    yield f"CurrentWatts={watts[0]} AveWatts={watts[1]}"
    yield from _texts(node, moment)


def _addresses(node: Node) -> str:
    told = node.particulars
    words = [f"NodeAddr={told.address} "] if told.address else []
    words += [f"NodeHostName={told.hostname} "] if told.hostname else []
    words += [f"BcastAddr={told.broadcast_address} "] if told.broadcast_address else []
    words += [f"Port={told.port} "] if told.port != SLURMD_PORT else []
    return "".join(words) + (f"Version={told.version}" if told.version else "")


def _reserved(node: Node) -> Iterator[str]:
    told = node.particulars
    cores = f"CoreSpecCount={told.cores_reserved} " if told.cores_reserved else ""
    cpus = f"CPUSpecList={told.cpus_reserved} " if told.cpus_reserved else ""
    memory = f"MemSpecLimit={told.mem_reserved_bytes // MIB}" if told.mem_reserved_bytes else ""
    if cores or cpus or memory:
        yield cores + cpus + memory
    if told.cores_per_gpu_reserved:
        yield f"RestrictedCoresPerGPU={told.cores_per_gpu_reserved}({told.gpu_cores}) "


def _texts(node: Node, moment: Moment) -> Iterator[str]:
    told = node.particulars
    for at, line in enumerate(filter(None, node.reason.split("\n"))):
        signed = f" [{told.reason_user}@{time_text(told.reason_time, moment, 'Unknown')}]" if told.reason_time else ""
        yield f"Reason={line}{signed}" if not at else f"       {line}"
    if told.comment:
        yield f"Comment={told.comment}"
    if told.extra:
        yield f"Extra={told.extra}"
    if told.instance_id or told.instance_type:
        instance = f"InstanceId={told.instance_id} " if told.instance_id else ""
        yield instance + (f"InstanceType={told.instance_type}" if told.instance_type else "")
    if told.reservation:
        yield f"ReservationName={told.reservation}"
    if told.topology:
        yield f"Topology={told.topology}"


def _yes(is_so: bool) -> str:
    return "YES" if is_so else "NO"


def _most(value: int | None) -> str:
    return "UNLIMITED" if value is None else str(value)


def _allowed(word: str, allowed: Sequence[str], denied: Sequence[str]) -> str:
    if denied and not allowed:
        return f"Deny{word}={','.join(denied)}"
    return f"Allow{word}={','.join(allowed) or 'ALL'}"


def _memory(word: str, per_cpu: int | None, per_node: int | None) -> str:
    if per_cpu is None:
        return f"{word}MemPerNode={'UNLIMITED' if per_node is None else per_node // MIB}"
    return f"{word}MemPerCPU={per_cpu // MIB or 'UNLIMITED'}"


def partition_lines(partition: Partition) -> list[str]:
    """What stands on each line of a partition."""
    return list(_partition_lines(partition))


def _partition_lines(partition: Partition) -> Iterator[str]:
    yield f"PartitionName={partition.name}"
    yield " ".join(
        (
            f"AllowGroups={','.join(partition.allow_groups) or 'ALL'}",
            _allowed("Accounts", partition.allow_accounts, partition.deny_accounts),
            _allowed("Qos", partition.allow_qos, partition.deny_qos),
        )
    )
    alternate = f" Alternate={partition.alternate}" if partition.alternate else ""
    bind = f" CpuBind={partition.cpu_bind} " if partition.cpu_bind else ""
    default = f" Default={_yes(partition.default)}"
    yield f"AllocNodes={partition.allow_submit_nodes or 'ALL'}{alternate}{default}{bind} QoS={partition.qos or 'N/A'}"
    usual = "NONE" if partition.wall_default_s is None else full_span(partition.wall_default_s)
    yield (
        f"DefaultTime={'UNLIMITED' if partition.wall_default_unlimited else usual} "
        f"DisableRootJobs={_yes(partition.root_jobs_disabled)} Exclusive={partition.exclusive} "
        f"GraceTime={partition.grace_s} Hidden={_yes(partition.hidden)}"
    )
    longest = "UNLIMITED" if partition.wall_max_s is None else full_span(partition.wall_max_s)
    yield (
        f"MaxNodes={_most(partition.nodes_max)} MaxTime={longest} MinNodes={partition.nodes_min} "
        f"LLN={_yes(partition.least_loaded)} MaxCPUsPerNode={_most(partition.cpus_per_node_max)} "
        f"MaxCPUsPerSocket={_most(partition.cpus_per_socket_max)}"
    )
    if partition.nodesets:
        yield f"NodeSets={partition.nodesets}"
    yield f"Nodes={partition.nodes or '(null)'}"
    yield (
        f"PriorityJobFactor={partition.priority_job_factor} PriorityTier={partition.priority_tier} "
        f"RootOnly={_yes(partition.root_only)} ReqResv={_yes(partition.reservation_required)} "
        f"OverSubscribe={partition.oversubscribe}"
    )
    yield f"OverTimeLimit={partition.overrun or 'NONE'} PreemptMode={partition.preempt_mode}"
    if partition.topology:
        yield f"Topology={partition.topology}"
    yield (
        f"State={partition.state} TotalCPUs={partition.total_cpus} TotalNodes={partition.total_nodes} "
        f"SelectTypeParameters={partition.select}"
    )
    yield f"JobDefaults={partition.job_defaults or '(null)'}"
    usual = _memory("Def", partition.mem_default_per_cpu_bytes, partition.mem_default_per_node_bytes)
    yield f"{usual} {_memory('Max', partition.mem_max_per_cpu_bytes, partition.mem_max_per_node_bytes)}"
    yield f"TRES={partition.tres or '(null)'}"
    if partition.billing_weights:
        yield f"TRESBillingWeights={partition.billing_weights}"
    if partition.resume_timeout:
        yield (
            f"ResumeTimeout={partition.resume_timeout} SuspendTimeout={partition.suspend_timeout} "
            f"SuspendTime={partition.suspend_time} PowerDownOnIdle={_yes(partition.power_down_on_idle)}"
        )


def joined(lines: Sequence[str], *, one_line: bool) -> str:
    """One node or partition as it is written."""
    return f"{' '.join(lines)}\n" if one_line else "\n   ".join(lines) + "\n\n"


def show_nodes(request: Request) -> int:
    """``scontrol show node [LIST]``.

    Raises:
        Failed: The names are no hostlist.
    """
    names = request.words[0] if request.words else ""
    cluster = request.cluster_name
    nodes = service_read.nodes(request.call, cluster)
    known = {node.name: node for node in sorted(nodes, key=lambda node: natural(node.name))}
    wanted = _named(names) if names else list(known)
    found = [known[name] for name in wanted if name in known]
    if "json" in request.options:
        from hpcjobs.cli.slurm.node_json import node_document

        sys.stdout.write(node_document(request.call, cluster, found))
        return 0
    if not wanted:
        sys.stdout.write("No nodes in the system\n")
    code, moment = 0, Moment.of(request.call.environment)
    for name in wanted:
        if name in known:
            lines = node_lines(known[name], moment, detail="details" in request.options)
            sys.stdout.write(joined(lines, one_line="oneliner" in request.options))
        else:
            sys.stdout.write(f"Node {name} not found\n")
            code = 1
    return code


def _named(names: str) -> list[str]:
    try:
        return expand_hostlist(names)
    except ValueError as error:
        raise Failed(f"error: {error}") from error


def show_partitions(request: Request) -> int:
    """``scontrol show partition [NAME]``."""
    name = request.words[0] if request.words else ""
    cluster = request.cluster_name
    known = service_read.partitions(request.call, cluster)
    found = [one for one in known if (one.name == name if name else "all" in request.options or not one.hidden)]
    if "json" in request.options:
        from hpcjobs.cli.slurm.node_json import partition_document

        sys.stdout.write(partition_document(request.call, cluster, found))
        return 0
    for one in found:
        sys.stdout.write(joined(partition_lines(one), one_line="oneliner" in request.options))
    if not all(one.flags_told for one in found):
        say(PROGRAM, "note: which partition is the default or hidden is not told on this way to the cluster")
    if not found:
        sys.stdout.write(f"Partition {name} not found\n" if name else "No partitions in the system\n")
    return 0 if found or not name else 1

"""Nodes, partitions and lines of sinfo as Slurm's own JSON (data_parser v0.0.45). Pure.

What the service does not know is left out: ``NODE_UNKNOWN`` and ``PARTITION_UNKNOWN`` say what and why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from hpcjobs.cli.slurm.common import Call
from hpcjobs.cli.slurm.json_document import INFINITE, UNSET, Entry, document, number
from hpcjobs.cli.slurm.node_states import bits_of, json_states
from hpcjobs.cli.slurm.sinfo_lines import Line
from hpcjobs.model.amount import MIB, NO_VAL
from hpcjobs.model.cluster import Node
from hpcjobs.model.partition import CLUSTER_GLOBAL, Partition
from hpcjobs.sbatch.hostlists import natural

NODE_UNKNOWN: Final[Mapping[str, str]] = {
    "tls_cert_last_renewal": "certificates between Slurm's daemons are not listed",
    "cert_flags": "certificates between Slurm's daemons are not listed",
    "energy/base_consumed_energy": "of a node's energy only the power of now and its average are listed",
    "energy/consumed_energy": "of a node's energy only the power of now and its average are listed",
    "energy/previous_consumed_energy": "of a node's energy only the power of now and its average are listed",
    "energy/last_collected": "of a node's energy only the power of now and its average are listed",
    "cpu_binding": "known as words, not as Slurm's bits; told only where there are none",
}
PARTITION_UNKNOWN: Final[Mapping[str, str]] = {
    "preempt_mode": "known is the mode that holds, not whether it is the partition's own",
    "timeouts/resume": "listed only where the cluster saves power",
    "timeouts/suspend": "listed only where the cluster saves power",
    "suspend_time": "listed only where the cluster saves power",
    "cpus/task_binding": "known as words, not as Slurm's bits; told only where there are none",
    "select_type": "known as words, not as Slurm's bits; told only where there are none",
}


def sinfo_document(call: Call, cluster: str, lines: Sequence[Line], matches: Collection[str]) -> str:
    """Lines of sinfo as a document; ``matches`` as for sinfo_entry()."""
    return document(call, cluster, {"sinfo": [sinfo_entry(line, matches) for line in lines]})


def node_document(call: Call, cluster: str, nodes: Sequence[Node]) -> str:
    """Nodes as a document. When the controller's table changed last is not known, and left out."""
    warning = "" if nodes else "No nodes to dump"
    return document(call, cluster, {"nodes": [node_entry(node) for node in nodes]}, warning)


def partition_document(call: Call, cluster: str, partitions: Sequence[Partition]) -> str:
    """Partitions as a document, likewise."""
    return document(call, cluster, {"partitions": [partition_entry(one) for one in partitions]})


def _endless(value: int | None) -> Entry:
    """A number; None is infinite."""
    return number(value, INFINITE)


def node_entry(node: Node) -> Entry:
    """One node."""
    told = node.particulars
    energy = {"average_watts": told.watts_average or 0, "current_watts": number(told.watts)}
    entry: Entry = {
        "architecture": told.architecture,
        "burstbuffer_network_address": told.broadcast_address,
        "boards": told.boards,
        "boot_time": number(told.boot_time),
        "cluster_name": "",
        "cores": told.cores,
        "specialized_cores": told.cores_reserved,
        **({} if told.cpu_bind else {"cpu_binding": 0}),
        "cpu_load": NO_VAL if told.cpu_load is None else round(told.cpu_load * 100),
        "free_mem": number(None if told.free_mem_bytes is None else told.free_mem_bytes // MIB),
        "cpus": told.cpus_total,
        "effective_cpus": node.cpus,
        "specialized_cpus": told.cpus_reserved,
        "energy": energy,
        "extra": told.extra,
        "features": list(node.features),
        "active_features": list(told.features_active),
        "gpu_spec": told.gpu_cores,
        "gres": told.gres,
        "gres_drained": told.gres_drained or "N/A",
        "gres_used": told.gres_used,
        "instance_id": told.instance_id,
        "instance_type": told.instance_type,
        "last_busy": number(told.last_busy_time),
        "mcs_label": told.mcs_label,
        "specialized_memory": told.mem_reserved_bytes // MIB,
        "name": node.name,
        "next_state_after_reboot": told.next_state.split("+") if told.next_state else ["INVALID"],
        "address": told.address,
        "hostname": told.hostname,
        "state": json_states(bits_of(node.raw_state)),
        "operating_system": told.os,
        "owner": told.owner,
        "partitions": list(node.partitions),
        "port": told.port,
        "real_memory": node.mem_bytes // MIB,
        "res_cores_per_gpu": told.cores_per_gpu_reserved,
        "comment": told.comment,
        "reason": node.reason,
        "reason_changed_at": number(told.reason_time),
        "reason_set_by_user": told.reason_user,
        "resume_after": number(told.resume_time),
        "reservation": told.reservation,
        "suspend_time": _endless(told.suspend_s),
        "alloc_memory": node.mem_alloc_bytes // MIB,
        "alloc_cpus": node.cpus_alloc,
        "alloc_idle_cpus": node.cpus - node.cpus_alloc,
        "tres_used": told.tres_alloc,
        "slurmd_start_time": number(told.slurmd_start_time),
        "sockets": told.sockets,
        "threads": told.threads,
        "temporary_disk": told.tmp_disk_bytes // MIB,
        "weight": told.weight,
        "topology": told.topology,
        "tres": told.tres,
        "version": told.version,
    }
    return entry


def _memory(per_cpu: int | None, per_node: int | None) -> Entry:
    if per_cpu is None:
        return {"partition_memory_per_cpu": dict(UNSET), "partition_memory_per_node": number((per_node or 0) // MIB)}
    return {"partition_memory_per_cpu": number(per_cpu // MIB), "partition_memory_per_node": dict(UNSET)}


def _timeout(text: str) -> Entry:
    return dict(UNSET) if text == "GLOBAL" else _endless(None if text == "INFINITE" else int(text))


def partition_entry(partition: Partition) -> Entry:
    """One partition."""
    default = number(None if partition.wall_default_s is None else partition.wall_default_s // 60)
    overrun = dict(UNSET) if not partition.overrun else number(int(partition.overrun.replace("UNLIMITED", "0")))
    flags = {
        "DEFAULT": partition.default,
        "HIDDEN": partition.hidden,
        "NO_ROOT": partition.root_jobs_disabled,
        "ROOT_ONLY": partition.root_only,
        "REQ_RESV": partition.reservation_required,
        "LLN": partition.least_loaded,
        "PDOI": partition.power_down_on_idle,
    }
    entry: Entry = {
        "nodes": {
            "allowed_allocation": partition.allow_submit_nodes,
            "configured": partition.nodes,
            "total": partition.total_nodes,
        },
        "accounts": {"allowed": ",".join(partition.allow_accounts), "deny": ",".join(partition.deny_accounts)},
        "groups": {"allowed": ",".join(partition.allow_groups)},
        "qos": {
            "allowed": ",".join(partition.allow_qos),
            "deny": ",".join(partition.deny_qos),
            "assigned": partition.qos,
        },
        "alternate": partition.alternate,
        "tres": {"billing_weights": partition.billing_weights, "configured": partition.tres},
        "cluster": "",
        **({"select_type": ["NONE"]} if partition.select == "NONE" else {}),
        "cpus": {**({} if partition.cpu_bind else {"task_binding": []}), "total": partition.total_cpus},
        "defaults": {
            "memory_per_cpu": 0,
            **_memory(partition.mem_default_per_cpu_bytes, partition.mem_default_per_node_bytes),
            "time": dict(INFINITE) if partition.wall_default_unlimited else default,
            "job": "",
        },
        **({"flags": [name for name, is_set in flags.items() if is_set]} if partition.flags_told else {}),
        "partition": {
            "exclusive": partition.exclusive,
            "oversubscribe": partition.oversubscribe,
            "state": [partition.state],
        },
        "grace_time": partition.grace_s,
        "maximums": {
            "cpus_per_node": _endless(partition.cpus_per_node_max),
            "cpus_per_socket": _endless(partition.cpus_per_socket_max),
            "memory_per_cpu": 0,
            **_memory(partition.mem_max_per_cpu_bytes, partition.mem_max_per_node_bytes),
            "nodes": _endless(partition.nodes_max),
            "shares": 0,
            "oversubscribe": {"jobs": 0, "flags": []},
            "time": _endless(None if partition.wall_max_s is None else partition.wall_max_s // 60),
            "over_time_limit": dict(INFINITE) if partition.overrun == "UNLIMITED" else overrun,
        },
        "minimums": {"nodes": partition.nodes_min},
        "name": partition.name,
        "node_sets": partition.nodesets,
        **({"preempt_mode": [CLUSTER_GLOBAL]} if partition.preempt_mode == CLUSTER_GLOBAL else {}),
        "priority": {"job_factor": partition.priority_job_factor, "tier": partition.priority_tier},
        "topology": partition.topology,
    }
    if partition.resume_timeout:
        entry["timeouts"] = {
            "resume": _timeout(partition.resume_timeout),
            "suspend": _timeout(partition.suspend_timeout),
        }
        entry["suspend_time"] = _timeout(partition.suspend_time)
    return entry


def _span(line: Line, name: str) -> Entry:
    return {"minimum": line.least[name], "maximum": line.most[name]}


def _free(mib: int) -> Entry:
    return dict(UNSET) if mib >= NO_VAL else number(mib)


def sinfo_entry(line: Line, matches: Collection[str]) -> Entry:
    """One line of sinfo.

    Args:
        line: The line.
        matches: By what nodes are parted into lines: addresses and host names are gathered there only.
    """
    first = line.first
    told = first.particulars if first else None
    per_node = line.partition.cpus_per_node_max

    def names(tell: str) -> list[str]:
        return sorted({str(entry.tells[tell]) for entry in line.entries}, key=natural) if tell in matches else []

    return {
        "port": told.port if told else 0,
        "node": {"state": json_states(line.bits)},
        "nodes": {
            "allocated": line.allocated,
            "idle": line.idle,
            "other": line.other,
            "total": line.total,
            "hostnames": names("hostname"),
            "addresses": names("address"),
            "nodes": sorted((entry.node.name for entry in line.entries), key=natural),
        },
        "cpus": {
            "allocated": line.cpus_allocated,
            "idle": line.cpus_idle,
            "other": line.cpus_other,
            "total": line.cpus_total,
            **_span(line, "cpus"),
            "load": _span(line, "load"),
            "per_node": {"max": _endless(per_node) if told else number(0)},
        },
        "sockets": _span(line, "sockets"),
        "cores": _span(line, "cores"),
        "threads": _span(line, "threads"),
        "disk": _span(line, "disk"),
        "memory": {
            **_span(line, "memory"),
            "free": {"minimum": _free(line.least["free"]), "maximum": _free(line.most["free"])},
            "allocated": line.mem_alloc_bytes // MIB,
        },
        "weight": _span(line, "weight"),
        "features": {
            "total": ",".join(first.features) if first else "",
            "active": ",".join(told.features_active) if told else "",
        },
        "gres": {"total": told.gres if told else "", "used": told.gres_used if told else ""},
        "cluster": line.cluster,
        "comment": told.comment if told else "",
        "extra": told.extra if told else "",
        "reason": {"description": first.reason if first else "", "time": told.reason_time if told else 0},
        "reservation": told.reservation if told else "",
        "reason_set_by_user": told.reason_user if told else "",
        "resource_spec": {
            "cpus": told.cpus_reserved if told else "",
            "memory": told.mem_reserved_bytes // MIB if told else 0,
        },
        "partition": partition_entry(line.partition),
    }

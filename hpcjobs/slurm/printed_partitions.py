"""Partitions as ``scontrol -a -o show partition`` prints them, and our reading of it. Pure.

The text says more than Slurm's JSON does: which preempt mode holds, and what jobs get that do not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hpcjobs.model.amount import MIB
from hpcjobs.model.partition import Partition
from hpcjobs.sbatch.units import parse_time

WORDS: Final = ("scontrol", "-a", "-o", "show", "partitions")
"""What prints them."""

_PAIR: Final = re.compile(r"(\w+)=(\S*)")
NOTHING: Final = frozenset({"", "(null)", "N/A", "NONE"})


def _text(facts: Mapping[str, str], name: str) -> str:
    text = facts.get(name, "")
    return "" if text in NOTHING else text


def _names(facts: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = _text(facts, name)
    return tuple(text.split(",")) if text and text != "ALL" else ()


def _most(facts: Mapping[str, str], name: str) -> int | None:
    text = facts.get(name, "UNLIMITED")
    return int(text) if text.isdigit() else None


def _seconds(facts: Mapping[str, str], name: str) -> int | None:
    text = facts.get(name, "UNLIMITED")
    return None if text in ("UNLIMITED", "NONE") else parse_time(text)


def _memory(facts: Mapping[str, str], name: str) -> int | None:
    """Bytes; 0 where per CPU and unlimited."""
    text = facts.get(name)
    if text is None or (text == "UNLIMITED" and name.endswith("Node")):
        return None
    return 0 if text == "UNLIMITED" else int(text) * MIB


def partition_of(line: str) -> Partition:
    """One partition.

    Args:
        line: What is printed of it.
    """
    facts = dict(_PAIR.findall(line))
    return Partition(
        name=facts["PartitionName"],
        state=facts.get("State", "UNKNOWN"),
        default=facts.get("Default") == "YES",
        hidden=facts.get("Hidden") == "YES",
        root_only=facts.get("RootOnly") == "YES",
        root_jobs_disabled=facts.get("DisableRootJobs") == "YES",
        reservation_required=facts.get("ReqResv") == "YES",
        least_loaded=facts.get("LLN") == "YES",
        nodes=_text(facts, "Nodes"),
        nodesets=_text(facts, "NodeSets"),
        total_nodes=int(facts.get("TotalNodes", 0)),
        total_cpus=int(facts.get("TotalCPUs", 0)),
        wall_max_s=_seconds(facts, "MaxTime"),
        wall_default_s=_seconds(facts, "DefaultTime"),
        wall_default_unlimited=facts.get("DefaultTime") == "UNLIMITED",
        nodes_min=int(facts.get("MinNodes", 0)),
        nodes_max=_most(facts, "MaxNodes"),
        cpus_per_node_max=_most(facts, "MaxCPUsPerNode"),
        cpus_per_socket_max=_most(facts, "MaxCPUsPerSocket"),
        allow_groups=_names(facts, "AllowGroups"),
        allow_accounts=_names(facts, "AllowAccounts"),
        deny_accounts=_names(facts, "DenyAccounts"),
        allow_qos=_names(facts, "AllowQos"),
        deny_qos=_names(facts, "DenyQos"),
        allow_submit_nodes="" if facts.get("AllocNodes") == "ALL" else _text(facts, "AllocNodes"),
        alternate=_text(facts, "Alternate"),
        qos=_text(facts, "QoS"),
        priority_tier=int(facts.get("PriorityTier", 1)),
        priority_job_factor=int(facts.get("PriorityJobFactor", 1)),
        oversubscribe=_oversubscribe(facts),
        exclusive=_exclusive(facts),
        preempt_mode=facts.get("PreemptMode", "OFF"),
        grace_s=int(facts.get("GraceTime", 0)),
        overrun=_text(facts, "OverTimeLimit"),
        mem_default_per_cpu_bytes=_memory(facts, "DefMemPerCPU"),
        mem_default_per_node_bytes=_memory(facts, "DefMemPerNode"),
        mem_max_per_cpu_bytes=_memory(facts, "MaxMemPerCPU"),
        mem_max_per_node_bytes=_memory(facts, "MaxMemPerNode"),
        job_defaults=_text(facts, "JobDefaults"),
        tres=_text(facts, "TRES"),
        billing_weights=_text(facts, "TRESBillingWeights"),
        select=facts.get("SelectTypeParameters", "NONE"),
        topology=_text(facts, "Topology"),
        cpu_bind=_text(facts, "CpuBind"),
        resume_timeout=_text(facts, "ResumeTimeout"),
        suspend_timeout=_text(facts, "SuspendTimeout"),
        suspend_time=_text(facts, "SuspendTime"),
        power_down_on_idle=facts.get("PowerDownOnIdle") == "YES",
    )


def _oversubscribe(facts: Mapping[str, str]) -> str:
    """Slurm 24.11 calls a partition whose jobs have whole nodes ``EXCLUSIVE`` here."""
    text = facts.get("OverSubscribe", "NO")
    return "NO" if text == "EXCLUSIVE" else text


def _exclusive(facts: Mapping[str, str]) -> str:
    """Slurm 24.11 says so in three keys."""
    if "Exclusive" in facts:
        return facts["Exclusive"]
    if facts.get("ExclusiveTopo") == "YES":
        return "TOPO"
    if facts.get("OverSubscribe") == "EXCLUSIVE":
        return "NODE"
    return "USER" if facts.get("ExclusiveUser") == "YES" else "NO"


def partitions_of(text: str) -> list[Partition]:
    """All of them, in Slurm's order.

    Args:
        text: A line each.
    """
    return [partition_of(line) for line in text.splitlines() if line.startswith("PartitionName=")]

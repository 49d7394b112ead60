"""Nodes as Slurm prints them (``scontrol show node``), with times in Unix seconds, and our reading of it. Pure.

Slurm's own library prints so: it says more of a node than pyslurm does, and in one call for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from hpcjobs.model.amount import MIB
from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import UNTYPED, parse_node_gres
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.slurm.states import node_usable

WHOLE_LINES: Final = frozenset(
    {
        "AvailableFeatures", "ActiveFeatures", "Gres", "GresDrain", "GresUsed", "OS", "Partitions", "CfgTRES",
        "AllocTRES", "Reason", "Comment", "Extra", "ReservationName", "Topology", "Parameters", "NextState",
    }
)  # fmt: skip
"""What stands on a line of its own, blanks and all."""

_PAIR: Final = re.compile(r"(\w+)=(\S*)")
_FIRST: Final = re.compile(r"(\w+)=")
_SIGNED: Final = re.compile(r" \[(?P<user>[^\]@]*)@(?P<time>\d+)\]\Z")
_OWNER: Final = re.compile(r"(?P<name>.*)\((?P<uid>\d+)\)")
_SPECIFIC: Final = re.compile(r"(?P<cores>\d+)\((?P<which>.*)\)")

MOST_LOAD: Final = 40_000_000
"""Slurm prints a load that it does not know as 42,949,672.94."""

NOTHING: Final = frozenset({"", "(null)", "N/A", "None", "Unknown", "n/a"})


def blocks_of(text: str) -> dict[str, str]:
    """What is printed of each node, by its name.

    Args:
        text: Of all of them, one below the other. What people write of a node may hold empty lines, and what Slurm
            prints of that stands further right.
    """
    blocks = {}
    for body in re.split(r"^(?=NodeName=)", text, flags=re.MULTILINE):
        if body.startswith("NodeName="):
            blocks[body[len("NodeName=") :].split(None, 1)[0]] = body.rstrip("\n")
    return blocks


def _facts(block: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    last = ""
    for line in block.split("\n"):
        first = _FIRST.match(line.strip())
        if first is None or (last == "Reason" and line.startswith("          ")):
            if last == "Reason":  # of several lines
                facts[last] += f"\n{line.strip()}"
        elif first[1] in WHOLE_LINES:
            last = first[1]
            facts[last] = line.strip()[first.end() :]
        else:
            last = ""
            facts.update(_PAIR.findall(line))
    return facts


def _text(facts: Mapping[str, str], name: str) -> str:
    text = facts.get(name, "")
    return "" if text in NOTHING else text


def _number(facts: Mapping[str, str], name: str, otherwise: int = 0) -> int:
    text = facts.get(name, "")
    return int(text) if text.isdigit() else otherwise


def _maybe(facts: Mapping[str, str], name: str) -> int | None:
    text = facts.get(name, "")
    return int(text) if text.isdigit() else None


def _names(facts: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = _text(facts, name)
    return tuple(text.split(",")) if text else ()


def _reason(text: str) -> tuple[str, str, int]:
    """The reason, who gave it and when."""
    first, break_, rest = text.partition("\n")
    signed = _SIGNED.search(first)
    if signed is None:
        return text, "", 0
    return first[: signed.start()] + break_ + rest, signed["user"], int(signed["time"])


def node_of(block: str, uid_of: Callable[[str], int | None]) -> Node:
    """A node.

    Args:
        block: What is printed of it.
        uid_of: Finds a user's number by name.
    """
    facts = _facts(block)
    raw_state = facts.get("State", "UNKNOWN")
    memory = _maybe(facts, "FreeMem")
    load = float(facts.get("CPULoad", "nan"))
    reason, reason_user, reason_time = _reason(_text(facts, "Reason"))
    owner = _OWNER.fullmatch(_text(facts, "Owner"))
    specific = _SPECIFIC.fullmatch(_text(facts, "RestrictedCoresPerGPU"))
    gres = _text(facts, "Gres")
    gpus, gpus_alloc = parse_node_gres(gres), parse_node_gres(_text(facts, "GresUsed"))
    if set(gpus_alloc) == {UNTYPED} and len(gpus) == 1:
        # The controller tracks no types; on a node with one type there is no doubt.
        gpus_alloc = {next(iter(gpus)): gpus_alloc[UNTYPED]}
    particulars = NodeParticulars(
        address=_text(facts, "NodeAddr"),
        hostname=_text(facts, "NodeHostName"),
        broadcast_address=_text(facts, "BcastAddr"),
        port=_number(facts, "Port", 6818),
        version=_text(facts, "Version"),
        os=_text(facts, "OS"),
        architecture=_text(facts, "Arch"),
        boards=_number(facts, "Boards", 1),
        sockets=_number(facts, "Sockets", 1),
        cores=_number(facts, "CoresPerSocket", 1),
        threads=_number(facts, "ThreadsPerCore", 1),
        cpus_total=_number(facts, "CPUTot"),
        cpu_load=load if load < MOST_LOAD else None,
        free_mem_bytes=None if memory is None else memory * MIB,
        tmp_disk_bytes=_number(facts, "TmpDisk") * MIB,
        weight=_number(facts, "Weight", 1),
        cpu_bind=_text(facts, "CpuBind"),
        features_active=_names(facts, "ActiveFeatures"),
        gres=gres,
        gres_used=_text(facts, "GresUsed"),
        gres_drained=_text(facts, "GresDrain"),
        tres=_text(facts, "CfgTRES"),
        tres_alloc=_text(facts, "AllocTRES"),
        cores_reserved=_number(facts, "CoreSpecCount"),
        cpus_reserved=_text(facts, "CPUSpecList"),
        mem_reserved_bytes=_number(facts, "MemSpecLimit") * MIB,
        cores_per_gpu_reserved=int(specific["cores"]) if specific else 0,
        gpu_cores=specific["which"] if specific else "",
        boot_time=_number(facts, "BootTime"),
        slurmd_start_time=_number(facts, "SlurmdStartTime"),
        last_busy_time=_number(facts, "LastBusyTime"),
        resume_time=_number(facts, "ResumeAfterTime"),
        suspend_s=_maybe(facts, "SuspendTime"),
        next_state=_text(facts, "NextState"),
        owner=owner["name"] if owner else "",
        owner_uid=int(owner["uid"]) if owner else None,
        mcs_label=_text(facts, "MCS_label"),
        reason_user=reason_user,
        reason_uid=uid_of(reason_user) if reason_user else None,
        reason_time=reason_time,
        comment=_text(facts, "Comment"),
        extra=_text(facts, "Extra"),
        instance_id=_text(facts, "InstanceId"),
        instance_type=_text(facts, "InstanceType"),
        reservation=_text(facts, "ReservationName"),
        topology=_text(facts, "Topology"),
        watts=_maybe(facts, "CurrentWatts"),
        watts_average=_maybe(facts, "AveWatts"),
    )
    return Node(
        name=facts["NodeName"],
        raw_state=raw_state,
        usable=node_usable(raw_state),
        cpus=_number(facts, "CPUEfctv"),
        cpus_alloc=_number(facts, "CPUAlloc"),
        mem_bytes=_number(facts, "RealMemory") * MIB,
        mem_alloc_bytes=_number(facts, "AllocMem") * MIB,
        gpus=gpus,
        gpus_alloc=gpus_alloc,
        partitions=_names(facts, "Partitions"),
        features=_names(facts, "AvailableFeatures"),
        reason=reason,
        particulars=particulars,
    )

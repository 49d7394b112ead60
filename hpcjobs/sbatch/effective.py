"""What sbatch makes of a request before it sends it: defaults of one option that follow from another."""

from __future__ import annotations

import math

import msgspec

from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import Resources
from hpcjobs.sbatch.layout import parse_tres_per_task
from hpcjobs.sbatch.values import parse_extra_node_info


def effective(asked: Resources) -> Resources:
    """Work out what follows from what was asked for, as sbatch of 24.11 and later does.

    Args:
        asked: As admitted.

    Returns:
        The resources with ``extra_node_info`` and ``hint`` spelled out (``hint`` is None where sbatch disregards it),
        the CPUs of a task taken from ``tres_per_task``, and no more nodes than tasks.
    """
    changes: dict[str, object] = {}
    if asked.extra_node_info is not None:
        parts = parse_extra_node_info(asked.extra_node_info)
        named_parts = zip(("sockets_per_node", "cores_per_socket", "threads_per_core"), parts, strict=True)
        changes |= {name: part for name, part in named_parts if part is not None}
        if asked.ntasks is None:
            changes["ntasks"] = (asked.nodes or 1) * math.prod(part or 1 for part in parts)
    cpus = {} if asked.tres_per_task is None else parse_tres_per_task(asked.tres_per_task)
    if "cpu" in cpus and asked.cpus_per_task is None:
        changes["cpus_per_task"] = int(cpus["cpu"])
    if asked.hint is not None:
        named = (asked.sockets_per_node, asked.cores_per_socket, asked.threads_per_core, asked.ntasks_per_core,
            asked.extra_node_info)  # fmt: skip
        if any(part is not None for part in named):
            changes["hint"] = None
        elif asked.hint != "multithread":
            changes["threads_per_core"] = 1
            if asked.hint == "memory_bound":
                changes["cores_per_socket"] = 1
    ntasks = asked.ntasks
    if ntasks is not None and asked.nodes is not None and ntasks < asked.nodes:
        changes |= {"nodes": ntasks, "nodes_max": None}
    return msgspec.structs.replace(asked, **changes) if changes else asked


def tres_per_task(asked: Resources) -> tuple[str | None, str | None]:
    """What a task needs, as sbatch of 24.11 and later says it: one list, and the task's GPUs bound to it.

    Args:
        asked: As admitted.

    Returns:
        TRES per task (``cpu=2,gres/gpu:a100=1``) and TRES binding (``gres/gpu:per_task:1``); None: not asked for.
    """
    named = {} if asked.tres_per_task is None else parse_tres_per_task(asked.tres_per_task)
    counts = {} if asked.gpus_per_task is None else parse_gpus(str(asked.gpus_per_task))
    needs = [] if asked.tres_per_task is None else [asked.tres_per_task]
    for kind, count in counts.items():  # each before the others: so it is in sbatch's own list
        needs.insert(0, f"gres/gpu:{kind}={count}" if kind else f"gres/gpu={count}")
    if asked.cpus_per_task is not None and "cpu" not in named:
        needs.insert(0, f"cpu={asked.cpus_per_task}")
    gpus = sum(counts.values()) + sum(
        int(amount) for name, amount in named.items() if name == "gres/gpu" or name.startswith("gres/gpu:")
    )
    bind = f"gres/gpu:per_task:{gpus}" if gpus else None
    if asked.gpu_bind is not None:
        bind = f"gres/gpu:{asked.gpu_bind}"
    elif asked.tres_bind is not None:
        bind = asked.tres_bind
    return ",".join(needs) or None, bind

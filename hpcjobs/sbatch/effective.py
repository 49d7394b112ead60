"""What sbatch makes of a request before it sends it: defaults of one option that follow from another."""

from __future__ import annotations

import math
from datetime import tzinfo
from typing import Final

import msgspec

from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.hostlists import count_hosts
from hpcjobs.sbatch.layout import gpus_of_needs, parse_tres_per_task
from hpcjobs.sbatch.units import ceil_div
from hpcjobs.sbatch.values import parse_extra_node_info
from hpcjobs.sbatch.when import LEAST_UTS, parse_when

NO_LIMIT_16: Final = 0xFFFF
"""Slurm's "infinite" of 16 bits: as many tasks on a core as it has threads."""


def _certain_nodes(asked: Resources) -> int | None:
    """How many nodes there will be, where sbatch can tell before Slurm has chosen any; None: it cannot."""
    if asked.nodes is not None or asked.nodes_max is not None:
        return asked.nodes if asked.nodes_max in (None, asked.nodes) else None
    if asked.nodelist is not None:
        return count_hosts(asked.nodelist)
    return 1 if asked.extra_node_info is not None else None


def _tasks_of_parts(asked: Resources, spelled: Resources) -> dict[str, int]:
    """A task for each socket, core or thread that is named, on each of a certain number of nodes."""
    parts = [part for part in (spelled.sockets_per_node, spelled.cores_per_socket, spelled.threads_per_core) if part]
    nodes = _certain_nodes(asked) if parts else None
    return {"ntasks": nodes * math.prod(parts)} if nodes else {}


def effective(asked: Resources) -> Resources:
    """Work out what follows from what was asked for, as sbatch of 24.11 and later does.

    Args:
        asked: As admitted.

    Returns:
        The resources with ``extra_node_info`` and ``hint`` spelled out (``hint`` is None where sbatch disregards it),
        the CPUs of a task taken from ``tres_per_task``, a task for each socket, core or thread of a certain number of
        nodes where those are named and tasks are not, and no more nodes than tasks.
    """
    changes: dict[str, object] = {}
    if asked.extra_node_info is not None:
        parts = parse_extra_node_info(asked.extra_node_info)
        named_parts = zip(("sockets_per_node", "cores_per_socket", "threads_per_core"), parts, strict=True)
        changes |= {name: part for name, part in named_parts if part is not None}
    cpus = {} if asked.tres_per_task is None else parse_tres_per_task(asked.tres_per_task)
    if "cpu" in cpus and asked.cpus_per_task is None:
        changes["cpus_per_task"] = cpus["cpu"]
    if asked.hint is not None:
        named = (asked.sockets_per_node, asked.cores_per_socket, asked.threads_per_core, asked.ntasks_per_core,
            asked.extra_node_info)  # fmt: skip
        if any(part is not None for part in named):
            changes["hint"] = None
        elif asked.hint == "multithread":
            changes["ntasks_per_core"] = NO_LIMIT_16
        else:
            changes["threads_per_core"] = 1
            if asked.hint == "memory_bound":
                changes["cores_per_socket"] = 1
    if asked.ntasks is None and asked.ntasks_per_node is None and asked.node_counts is None:
        changes |= _tasks_of_parts(asked, msgspec.structs.replace(asked, **changes))
    if asked.ntasks is not None:
        for name in ("nodes", "nodes_max"):
            if (getattr(asked, name) or 0) > asked.ntasks:
                changes[name] = asked.ntasks
    return msgspec.structs.replace(asked, **changes) if changes else asked


def _gpus_of_task(asked: Resources) -> int:
    named = {} if asked.tres_per_task is None else parse_tres_per_task(asked.tres_per_task)
    counts = {} if asked.gpus_per_task is None else parse_gpus(str(asked.gpus_per_task))
    return sum(counts.values()) + gpus_of_needs(named)


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
    gpus = _gpus_of_task(asked)
    bind = f"gres/gpu:per_task:{gpus}" if gpus else None
    if asked.gpu_bind is not None:
        bind = f"gres/gpu:{asked.gpu_bind}"
    elif asked.tres_bind is not None:
        bind = asked.tres_bind
    return ",".join(needs) or None, bind


def implied_tasks(asked: Resources) -> int | None:
    """How many tasks there are, also where they follow from other counts: sbatch tells Slurm that, but not the job.

    Args:
        asked: As ``effective`` returns it.

    Returns:
        ``ntasks``, or those of each of a fixed number of nodes where a task's CPUs are named, or one for each share
        of the GPUs of the job; None: nothing says.
    """
    if asked.ntasks is not None:
        return asked.ntasks
    if asked.ntasks_per_node and asked.cpus_per_task and asked.nodes and asked.nodes_max in (None, asked.nodes):
        return asked.nodes * asked.ntasks_per_node
    of_job = sum(parse_gpus(str(asked.gpus)).values()) if asked.gpus is not None else 0
    if asked.ntasks_per_gpu is not None:
        gpus = of_job or sum(asked.gpus_each_node.values()) * (asked.nodes or 1)
        return asked.ntasks_per_gpu * gpus or None
    each = _gpus_of_task(asked)
    if each and not of_job and asked.ntasks_per_node is None and asked.nodes_max in (None, asked.nodes):
        return asked.nodes
    return of_job // each or None if each else None


def least_nodes(asked: Resources) -> int | None:
    """How many nodes tasks need where only their number on each is said; None: nothing says."""
    if asked.ntasks is None or asked.ntasks_per_node is None or asked.nodes is not None or asked.nodes_max is not None:
        return None
    return ceil_div(asked.ntasks, asked.ntasks_per_node)


def with_absolute_times(spec: JobSpec, now: float, zone: tzinfo | None = None) -> JobSpec:
    """Resolve what a spec says relative to its submission, once.

    Args:
        spec: As admitted.
        now: Unix seconds of the submission.
        zone: See parse_when.

    Returns:
        The spec with ``begin`` and ``deadline`` as ``uts`` and Unix seconds, which sbatch reads too; what was long
        ago is the earliest time that it reads so.

    Raises:
        ValueError: One of them is of no such form.
    """
    times = {
        name: f"uts{max(parse_when(text, now, zone), LEAST_UTS)}"
        for name, text in (("begin", spec.begin), ("deadline", spec.deadline))
        if text is not None
    }
    return msgspec.structs.replace(spec, **times) if times else spec

"""Slurm's refusals in plain words, from what the last listing says. Pure; Slurm stays the judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import JobSpec


def _partition(spec: JobSpec, view: ClusterView) -> str:
    known = view.nodes_by_partition()
    missing = [name for name in (spec.partition or "").split(",") if name not in known]
    return f"There is no partition {', '.join(map(repr, missing))}; there are {', '.join(sorted(known))}."


def nodes_of(partition: str | None, view: ClusterView) -> list[Node]:
    """The nodes of one or several partitions (comma-separated), each once; of the cluster where none is named."""
    partitions = view.nodes_by_partition()
    wanted = partition.split(",") if partition else partitions
    return list({node.name: node for name in wanted for node in partitions.get(name, [])}.values())


def _gpus_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind or 'GPUs'}" for kind, count in sorted(counts.items())) or "no GPU"


def _resources(spec: JobSpec, view: ClusterView) -> str:
    nodes, asked = nodes_of(spec.partition, view), spec.resources
    where = f"partition {spec.partition}" if spec.partition else f"cluster {view.cluster}"
    said = []
    if asked.nodes and asked.nodes > len(nodes):
        said.append(f"{asked.nodes} nodes were asked for, {where} has {len(nodes)}.")
    in_all = parse_gpus(str(asked.gpus)) if asked.gpus is not None else {}
    for request, per_node in ((asked.gpus_each_node, True), (in_all, False)):
        for kind, count in request.items():
            each = [node.gpus.get(kind, 0) if kind else sum(node.gpus.values()) for node in nodes]
            most = (max(each, default=0)) if per_node else sum(each)
            if count > most:
                holder = "the largest node" if per_node else "all nodes together"
                total: dict[str, int] = {}
                for node in nodes:
                    for name, number in node.gpus.items():
                        total[name] = total.get(name, 0) + number
                said.append(
                    f"{count} {kind or 'GPUs'}{' a node' if per_node else ''} were asked for; in {where} {holder} "
                    f"{'has' if per_node else 'have'} {most}. It holds {_gpus_text(total)} on {len(nodes)} nodes."
                )
    largest_mem = max((node.mem_bytes for node in nodes), default=0)
    if asked.mem_per_node_bytes and asked.mem_per_node_bytes > largest_mem:
        said.append(f"{asked.mem_per_node_bytes} bytes a node were asked for, the largest node has {largest_mem}.")
    largest_cpus = max((node.cpus for node in nodes), default=0)
    if (asked.cpus_per_task or 0) > largest_cpus:
        said.append(f"{asked.cpus_per_task} CPUs a task were asked for, the largest node has {largest_cpus}.")
    return " ".join(said)


_WORDS: Final[Mapping[str, Callable[[JobSpec, ClusterView], str]]] = {
    "ESLURM_INVALID_PARTITION_NAME": _partition,
    "ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE": _resources,
    "ESLURM_REQUESTED_PART_CONFIG_UNAVAILABLE": _resources,
    "ESLURM_INVALID_NODE_COUNT": _resources,
    "ESLURM_TOO_MANY_REQUESTED_CPUS": _resources,
    "ESLURM_INVALID_GRES": _resources,
    "ESLURM_INVALID_GRES_TYPE": _resources,
    "ESLURM_UNSUPPORTED_GRES": _resources,
}


def explain(refusal: Refusal, spec: JobSpec, view: ClusterView | None) -> Refusal:
    """Add to Slurm's words what would have been right.

    Args:
        refusal: Made from Slurm's error.
        spec: What was asked for.
        view: The last listing, if there is one.

    Returns:
        The refusal, its detail longer where the listing says more.
    """
    words = _WORDS.get(refusal.code)
    more = words(spec, view) if words and view else ""
    return msgspec.structs.replace(refusal, detail=f"{more} {refusal.detail}") if more else refusal

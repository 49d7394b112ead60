"""Which room a partition has for a pending job, and what smaller request would fit, from one listing. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import UNTYPED
from hpcjobs.model.job import JobFacts
from hpcjobs.model.shards import shared_gpus_of
from hpcjobs.sbatch.units import ceil_div
from hpcjobs.slurm.explain import nodes_of

_LONGEST_TEXT = 500
_SPOKEN_FOR = frozenset({"RESERVED", "COMPLETING", "POWERING_DOWN"})


def free_gpus(node: Node, kind: str) -> int:
    """GPUs of a type (``""``: any) that are free on a node; 0 where Slurm would start nothing.

    GPUs in use whose type is not known may be of any: no more are free than all types together leave. One of which a
    share is in use is not free.
    """
    if not node.usable or _SPOKEN_FOR & set(re.split(r"[+,]", node.raw_state.upper())):
        return 0
    begun = Counter(gpu.kind for gpu in shared_gpus_of(node) if gpu.begun)
    free = sum(node.gpus.values()) - sum(node.gpus_alloc.values()) - begun.total()
    if kind != UNTYPED:
        free = min(free, node.gpus.get(kind, 0) - node.gpus_alloc.get(kind, 0) - begun[kind])
    return max(0, free)


def has_gpus(node: Node, kind: str) -> int:
    """GPUs of a type (``""``: any) that a node is configured with."""
    return node.gpus.get(kind, 0) if kind != UNTYPED else sum(node.gpus.values())


def _could(node: Node, share: JobFacts) -> bool:
    return (
        all(has_gpus(node, kind) >= count for kind, count in share.gpus.items())
        and node.cpus >= share.cpus
        and node.mem_bytes >= share.mem_bytes
    )


def _fits(node: Node, share: JobFacts) -> bool:
    return (
        node.usable
        and not _SPOKEN_FOR & set(re.split(r"[+,]", node.raw_state.upper()))
        and all(free_gpus(node, kind) >= count for kind, count in share.gpus.items())
        and node.cpus - node.cpus_alloc >= max(1, share.cpus)
        and node.mem_bytes - node.mem_alloc_bytes >= share.mem_bytes
    )


def _amount(count: int, kind: str) -> str:
    return f"{count} {kind or ('GPU' if count == 1 else 'GPUs')}"


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


def _per_node(share: JobFacts) -> str:
    if share.gpus:
        return " and ".join(_amount(count, kind) for kind, count in sorted(share.gpus.items()))
    return f"{share.cpus} CPU{'' if share.cpus == 1 else 's'}"


def room_text(job: JobFacts, view: ClusterView, where: str) -> tuple[str, tuple[str, ...]]:
    """What a job asks for beside what is free.

    Args:
        job: The pending job; what it asks for is taken to be spread evenly over its nodes.
        view: The listing.
        where: How to name its partition.

    Returns:
        One sentence, and what smaller request would fit now; ``""`` where the listing does not say.
    """
    nodes = nodes_of(job.partition, view)
    wanted = max(1, job.nodes)
    share = JobFacts(
        gpus={kind: ceil_div(count, wanted) for kind, count in job.gpus.items() if count > 0},
        cpus=ceil_div(max(0, job.cpus), wanted),
        mem_bytes=ceil_div(max(0, job.mem_bytes), wanted),
    )
    if not nodes or not (share.gpus or share.cpus):
        return "", ()
    fit = [node for node in nodes if _fits(node, share)]
    could = [node for node in nodes if _could(node, share)]
    free = " and ".join(_free_text(kind, nodes) for kind in sorted(share.gpus))
    if not could:
        asked = " and ".join(_amount(job.gpus[kind], kind) for kind in sorted(share.gpus)) or f"{job.cpus} CPUs"
        return f"It waits for room in {where}: {asked} in all are asked for{f'; {free}' if free else ''}.", ()
    each = " each" if wanted > 1 else ""
    here = (
        f"{len(fit)} of the {len(could)} nodes that could serve it {'has' if len(fit) == 1 else 'have'} that free now"
    )
    said = f"It waits for room in {where}: {_nodes(wanted)} with {_per_node(share)}{each} are asked for"
    if wanted == 1:
        said = said.removesuffix(" are asked for") + " is asked for"
    if len(fit) >= wanted:
        return (
            f"{said}, {here}, and what else it needs (features, named nodes, whole nodes, room kept for others) the "
            "listing does not show.",
            ("Ask without features or named nodes, if it can do without.",),
        )
    return f"{said}, and {here}{f' ({free})' if free else ''}.", _smaller(share, wanted, fit, nodes)


def _free_text(kind: str, nodes: Sequence[Node]) -> str:
    free = [free_gpus(node, kind) for node in nodes]
    total = sum(has_gpus(node, kind) for node in nodes)
    on = f", on {_nodes(sum(count > 0 for count in free))}" if any(free) else ""
    return f"{sum(free)} of {_amount(total, kind)} {'is' if sum(free) == 1 else 'are'} free{on}"


def _smaller(share: JobFacts, wanted: int, fit: Sequence[Node], nodes: Sequence[Node]) -> tuple[str, ...]:
    said = []
    if fit:
        each = " each" if len(fit) > 1 else ""
        said.append(f"{_nodes(len(fit))} with {_per_node(share)}{each} would fit what is free now.")
    if len(share.gpus) != 1:
        return tuple(said)
    ((kind, count),) = share.gpus.items()
    cpu = JobFacts(cpus=1)
    most = max((free_gpus(node, kind) for node in nodes if _fits(node, cpu)), default=0)
    if not fit and 0 < most < count:
        said.append(f"{_amount(most, kind)} on one node would fit what is free now.")
    for other in sorted({name for node in nodes for name in node.gpus} - {kind}) if kind else ():
        like = JobFacts(gpus={other: count}, cpus=share.cpus, mem_bytes=share.mem_bytes)
        if sum(_fits(node, like) for node in nodes) >= wanted:
            said.append(f"The same with {other} in place of {kind} would fit what is free now.")
    return tuple(said)


def nodes_text(nodes: Sequence[Node], most: int) -> str:
    """Nodes with their state and the reason that someone gave, ``most`` of them by name.

    Returns:
        As ``c1 (DOWN: bad fan), c2 (IDLE+DRAIN)``; ``""`` for none.
    """
    named = sorted(nodes, key=lambda node: node.name)[:most]
    words = [f"{node.name} ({node.raw_state}{f': {one_line(node.reason)}' if node.reason else ''})" for node in named]
    return ", ".join(words) + (" and others" if len(nodes) > most else "")


def one_line(text: str) -> str:
    """A text on one line, without what a terminal would obey, of at most 500 signs."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST_TEXT]).split())

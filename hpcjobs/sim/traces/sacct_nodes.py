"""What nodes must have had, from the jobs that ran on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hpcjobs.sbatch.hostlists import expand_hostlist, natural
from hpcjobs.sim.traces.lines import Tally
from hpcjobs.sim.workload import SimJob, SimNode

MOST_HELD: Final = 20_000_000
"""As many times as all jobs together may have held a node; more is no longer read."""


class Held(NamedTuple):
    """What a job held, for how long.

    Attributes:
        nodes: A hostlist.
        start_s: From when, in Unix seconds.
        end_s: Until when, which is later: accounting counts whole seconds, and a short run held the node too.
        job: How much of each of the nodes.
        gpu_types: Types of its GPUs.
    """

    nodes: str
    start_s: float
    end_s: float
    job: SimJob
    gpu_types: frozenset[str]


class _Change(NamedTuple):
    at_s: float
    begins: bool  # ends sort before begins at the same time
    cpus: int
    mem_bytes: int
    gpus: int


def nodes_held(runs: Sequence[Held], remarks: Tally) -> tuple[tuple[SimNode, ...], frozenset[str]]:
    """Nodes with as much as jobs held of them at one time: they had no less. The order is that of their names.

    A node whose jobs had GPUs of several types, as with MIG, gets GPUs without a type.

    Args:
        runs: What jobs held.
        remarks: Where it is told that nodes were made so, and which lists could not be read.

    Returns:
        The nodes, and the types that are on nodes with others.
    """
    changes: dict[str, list[_Change]] = {}
    types: dict[str, set[str]] = {}
    count = 0
    for run in runs:
        try:
            names = expand_hostlist(run.nodes)
        except ValueError:
            remarks.add("its NodeList is no hostlist: the nodes are made of those of other jobs")
            continue
        count += len(names)
        if count > MOST_HELD:
            remarks.add("nodes are made of the first jobs only: the dump is too large")
            break
        job = run.job
        for name in names:
            types.setdefault(name, set()).update(run.gpu_types)
            changes.setdefault(name, []).extend((
                _Change(run.start_s, True, job.cpus_per_node, job.mem_per_node_bytes, job.gpus_per_node),
                _Change(run.end_s, False, -job.cpus_per_node, -job.mem_per_node_bytes, -job.gpus_per_node),
            ))  # fmt: skip
    for _ in changes:
        remarks.add("a node has as much as jobs held of it at one time: accounting does not say what it has")
    nodes = tuple(_node(name, sorted(changes[name]), types[name]) for name in sorted(changes, key=natural))
    return nodes, frozenset(kind for kinds in types.values() if len(kinds) > 1 for kind in kinds)


def _node(name: str, changes: Iterable[_Change], types: set[str]) -> SimNode:
    cpus = mem_bytes = gpus = most_cpus = most_mem_bytes = most_gpus = 0
    for change in changes:
        cpus, mem_bytes, gpus = cpus + change.cpus, mem_bytes + change.mem_bytes, gpus + change.gpus
        most_cpus, most_gpus = max(most_cpus, cpus), max(most_gpus, gpus)
        most_mem_bytes = max(most_mem_bytes, mem_bytes)
    return SimNode(
        name=name, cpus=most_cpus, mem_bytes=most_mem_bytes, gpus=most_gpus,
        gpu_type=next(iter(types)) if len(types) == 1 else "",
    )  # fmt: skip

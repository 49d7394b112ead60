"""Binpack: partly used nodes are filled first, so that whole nodes stay free for large jobs.

A node's score is how much more of its free GPUs the jobs of this cluster could not use after it has taken one more of
them: the expected growth of fragmentation of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads
with Fragmentation Gradient Descent", USENIX ATC 2023, section 4 (fgd_nodes.py). There each task goes where it grows
least. A Weight is one order of the nodes for all jobs, so here the growth is averaged over the jobs that the node could
take. Jobs that ask for GPUs or for shares of one (gres/shard, gres/mps) count; types of GPUs do not.

What it does to Slurm: Weight of nodes with GPUs, in three classes; takes an administrator of Slurm. When not to use it:
where placement by topology matters more (a Weight overrides it), where jobs are better off alone on a node, and where
they run for minutes: weights that are older than a tenth of that are no better than none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Final

import msgspec

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.shards import share_of
from hpcjobs.model.steering import Weigh
from hpcjobs.sbatch.units import ceil_div
from hpcjobs_plugins.policies.board import free_of
from hpcjobs_plugins.policies.fgd_nodes import Left, Mix, Shape, growth
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import gpus_of

SHAPES: Final = 12
"""So many of the most frequent shapes of jobs count."""
GOOD, BREAKS, WHOLE = range(3)
"""Classes: the next job there leaves as much of use as before or more; it leaves less; nothing runs there.

A fourth, of nodes that the next job mends, is of no use: it fills nodes that would soon be whole again.
"""
SAME_GPUS: Final = 0.25
"""A growth of up to this, in GPUs, is none; from 0.1 to 0.5 it makes no difference (docs/POLICIES.md)."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        period_s: Seconds between two ticks; each may change the Weight of many nodes.
        step: Weight between two classes; less than what the site's own weights differ by, where those come first.
        partitions: Nodes of these partitions; empty: of all.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    step: Annotated[int, msgspec.Meta(ge=1, le=10**6)] = 10
    partitions: tuple[str, ...] = ()


def shapes_of(view: ClusterView) -> Mix:
    """The shapes of the jobs that wait, run, or have just ended, each with its share of these, from 0 to 1."""
    counted: Counter[Shape] = Counter()
    for job in view.jobs.values():
        gpus, share = gpus_of(job), share_of(job)
        if gpus or share:
            nodes = max(1, job.nodes)
            asked = Shape(ceil_div(gpus, nodes), ceil_div(job.cpus, nodes), ceil_div(job.mem_bytes, nodes))
            counted[asked if gpus or not share else asked._replace(sharing=share.sharing, parts=share.parts)] += 1
    often = sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:SHAPES]
    total = sum(count for _, count in often)
    return [(shape, count / total) for shape, count in often]


def class_of(node: Node, shapes: Mix) -> int:
    """One of the classes; a node that takes no more jobs is in the first, where its Weight stays."""
    free = free_of(node)
    plain = sum(free.gpus.values()) - sum(gpu.free for gpu in free.shared)
    return class_of_left(Left(plain, free.cpus, free.mem_bytes, free.shared), shapes, idle=free.idle)


def class_of_left(left: Left, shapes: Mix, *, idle: bool) -> int:
    """The same of what is free there."""
    if idle:
        return WHOLE
    more = growth(left, shapes)
    return GOOD if more is None or more <= SAME_GPUS else BREAKS


WHY: Final = {
    BREAKS: "The next job there would leave GPUs that few jobs can use.",
    WHOLE: "Whole nodes are taken last.",
}


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Weigh]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    groups = view.nodes_by_partition()
    names = settings.partitions or groups
    nodes = {node.name: node for node in chain.from_iterable(groups.get(name, ()) for name in names)}
    shapes = shapes_of(view)
    classes: dict[int, list[str]] = defaultdict(list)
    for name, node in sorted(nodes.items()):
        if any(node.gpus.values()) and node.usable:
            classes[class_of(node, shapes)].append(name)
    for number, why in WHY.items():
        if classes[number]:
            yield Weigh(tuple(classes[number]), number * settings.step, why)


PLUGIN = policy("binpack", Settings, tick)

"""Spread: in some partitions the emptiest nodes are taken first, so that jobs there have neighbours as few as can be.

What it does to Slurm: Weight of the nodes of these partitions, in four classes by what of them is in use; takes an
administrator of Slurm. When not to use it: where ``LLN=YES`` of the partition in slurm.conf does the same, which looks
at each job anew; and for nodes that large jobs need whole.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.shards import gpus_in_use
from hpcjobs.model.steering import Weigh
from hpcjobs_plugins.policies.made import PolicySettings, policy


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        period_s: Seconds between two ticks; each may change the Weight of many nodes.
        partitions: Nodes of these partitions, whoever else may use them.
        step: Weight between two classes; less than what the site's own weights differ by, where those come first.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    partitions: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    step: Annotated[int, msgspec.Meta(ge=1, le=10**6)] = 10


def class_of(node: Node) -> int:
    """How full a node is in the fuller of CPUs and GPUs: 0 empty, 1 up to a third, 2 up to two thirds, 3 more.

    Shares of GPUs count as fractions.
    """
    parts = [(node.cpus_alloc, node.cpus), (gpus_in_use(node), sum(node.gpus.values()))]
    return max((min(3, math.ceil(round(3 * used / has, 6))) for used, has in parts if has), default=0)


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Weigh]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    classes: dict[int, list[str]] = defaultdict(list)
    for name, node in sorted(view.nodes.items()):
        if node.usable and {*settings.partitions} & {*node.partitions}:
            classes[class_of(node)].append(name)
    for number in (1, 2, 3):
        if classes[number]:
            why = f"Up to {number} thirds of each are in use: emptier nodes come first."
            yield Weigh(tuple(classes[number]), number * settings.step, why)


PLUGIN = policy("spread", Settings, tick)

"""The priority of Slurm's priority/multifactor, as far as it is modelled: size and age.

As in src/plugins/priority/multifactor of Slurm: the size is the mean of a job's part of all nodes and of all CPUs, the
age the part of PriorityMaxAge that it has waited, and the sum is a whole number. Fair share, QOS, partition and TRES
are not modelled: what they come to is the ``priority`` of a job, which does not change.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Self

import msgspec

from hpcjobs.model.cluster import Node
from hpcjobs.sim.lives import Life
from hpcjobs.sim.workload import SimJob, SimNode

Weight = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What slurm.conf(5) says of priorities; with these defaults, which are Slurm's, jobs go first come, first served.

    Attributes:
        age: PriorityWeightAge.
        job_size: PriorityWeightJobSize.
        favor_small: PriorityFavorSmall: small jobs get the points of size, not large ones.
        max_age_s: PriorityMaxAge in seconds.
    """

    age: Weight = 0
    job_size: Weight = 0
    favor_small: bool = False
    max_age_s: Seconds = 7 * 86_400.0


class Multifactor(Weights, frozen=True):
    """The weights on a cluster.

    Attributes:
        nodes: Nodes of the cluster.
        cpus: CPUs of the cluster.
    """

    nodes: int = 1
    cpus: int = 1

    @classmethod
    def of(cls, weights: Weights, fleet: Collection[SimNode | Node]) -> Self:
        """For a fleet."""
        return cls(**msgspec.structs.asdict(weights), nodes=len(fleet), cpus=sum(node.cpus for node in fleet))

    def points(self, job: SimJob, now: float) -> int:
        """Points of a job for size and age."""
        size = (job.nodes / self.nodes + job.nodes * job.cpus_per_node / self.cpus) / 2
        waited = min(1.0, max(0.0, now - job.submit_s + job.waited_s) / self.max_age_s)
        return int(self.age * waited + self.job_size * (1 - size if self.favor_small else size))

    def sorted(self, lives: list[Life], now: float) -> list[Life]:
        """Jobs in the order of their priority, to which policies add: who is earlier among equals."""

        def key(life: Life) -> tuple[int, int]:
            return -life.points - life.asked.priority - self.points(life.asked, now), life.number

        return sorted(lives, key=key)

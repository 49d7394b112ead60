"""The priority of Slurm's priority/multifactor, as far as it is modelled: size and age.

As in src/plugins/priority/multifactor of Slurm: the size is the mean of a job's part of all nodes and of all CPUs, the
age the part of PriorityMaxAge that it has waited, and the sum is a whole number. Fair share, QOS, partition and TRES
are not modelled: they count as if all jobs had the same.
"""

from __future__ import annotations

import msgspec

from hpcjobs.sim.lives import Life
from hpcjobs.sim.workload import SimNode


class Multifactor(msgspec.Struct, frozen=True):
    """The weights, by their names in slurm.conf(5); with Slurm's defaults jobs go first come, first served.

    Attributes:
        age: PriorityWeightAge.
        job_size: PriorityWeightJobSize.
        max_age_s: PriorityMaxAge in seconds.
        nodes: Nodes of the cluster.
        cpus: CPUs of the cluster.
    """

    age: int = 0
    job_size: int = 0
    max_age_s: float = 7 * 86_400.0
    nodes: int = 1
    cpus: int = 1

    @classmethod
    def of(cls, fleet: tuple[SimNode, ...], age: int = 0, job_size: int = 0) -> Multifactor:
        """For a fleet."""
        return cls(age=age, job_size=job_size, nodes=len(fleet), cpus=sum(node.cpus for node in fleet))

    def points(self, life: Life, now: float) -> int:
        """A job's priority beside what policies give it."""
        asked = life.asked
        size = (asked.nodes / self.nodes + asked.nodes * asked.cpus_per_node / self.cpus) / 2
        waited = min(1.0, max(0.0, now - life.born.submit_s) / self.max_age_s)
        return int(self.age * waited + self.job_size * size)

    def sorted(self, lives: list[Life], now: float) -> list[Life]:
        """Jobs in the order of their priority: who is earlier among equals."""
        if not self.age and not self.job_size:
            return lives
        return sorted(lives, key=lambda life: (-life.points - self.points(life, now), life.born.number))

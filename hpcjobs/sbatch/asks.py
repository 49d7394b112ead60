"""What jobs that Slurm lists asked of each of their nodes, and which nodes have that. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import gpus_of_gres
from hpcjobs.model.job import JobRecord
from hpcjobs.model.shards import Share, share_of, shared_gpus_of
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sbatch.units import ceil_div

JOINED: Final = frozenset("|*[]()")
"""A constraint with one of these is more than features that each node must have."""


def may_use(job: JobRecord, node: Node) -> bool:
    """Whether a job may run on a node as far as its partitions go."""
    return not job.partition or not _words(job.partition).isdisjoint(node.partitions)


class Ask(NamedTuple):
    """What a job asks of each of its nodes; evenly over them where it does not say.

    Attributes:
        job: The job.
        nodes: How many nodes.
        cpus: CPUs of each.
        mem_bytes: Memory of each, in bytes.
        gpus: GPUs of each, by type (``""``: of any).
        share: What it asks of one GPU of each; None: no share.
        whole: Whether nothing else may run there.
        features: What nodes must have.
        excluded: Names of nodes that it does not start on.
    """

    job: JobRecord
    nodes: int
    cpus: int
    mem_bytes: int
    gpus: dict[str, int]
    share: Share | None
    whole: bool
    features: frozenset[str]
    excluded: frozenset[str]

    def may_use(self, node: Node) -> bool:
        """Whether it may start on a node that is empty, as far as partitions, features and names go."""
        return (
            may_use(self.job, node)
            and node.name not in self.excluded
            and (not self.features or self.features <= {*node.features})
        )

    def within(self, cpus: int, mem_bytes: int, gpus: Mapping[str, int]) -> bool:
        """Whether its part is no more than this, shares of GPUs aside."""
        return (
            self.cpus <= cpus
            and self.mem_bytes <= mem_bytes
            and sum(self.gpus.values()) <= sum(gpus.values())
            and all(count <= gpus.get(kind, 0) for kind, count in self.gpus.items() if kind)
        )

    def fits(self, node: Node) -> bool:
        """Whether it may start on a node that is empty, and the node has its part."""
        share = self.share
        return (
            self.within(node.cpus, node.mem_bytes, node.gpus)
            and self.may_use(node)
            and (share is None or bool(share.room([gpu.back() for gpu in shared_gpus_of(node)])))
        )

    @property
    def kind(self) -> Hashable:
        """What those have in common that fit the same nodes."""
        gpus = frozenset(self.gpus.items())
        return self.job.partition, self.cpus, self.mem_bytes, gpus, self.share, self.features, self.excluded

    def too_much(self, node: Node) -> bool:
        """Whether it asks for more than is free on a node now, by a quick look: what passes may still not fit."""
        for kind, count in self.gpus.items():
            if kind and count > node.gpus.get(kind, 0) - node.gpus_alloc.get(kind, 0):
                return True
        return self.cpus > node.cpus - node.cpus_alloc or self.mem_bytes > node.mem_bytes - node.mem_alloc_bytes


def ask_of(job: JobRecord, view: ClusterView, inside: str = "") -> Ask | None:
    """What a job asks of each node.

    Args:
        job: The job.
        view: The last listing.
        inside: A reservation that it may be in.

    Returns:
        None: it asks for more than can be judged here, as for nodes by name, or for one feature or another.
    """
    told = job.particulars
    special = told.required_nodes or told.contiguous or told.segment_size or told.licenses
    if special or not JOINED.isdisjoint(told.constraint) or job.het_job_id or told.reservation not in ("", inside):
        return None
    nodes = max(1, job.nodes)
    partition = view.partitions.get(job.partition)
    whole = told.oversubscribe == "NO" or (partition is not None and partition.exclusive == "NODE")
    gpus = gpus_per_node(job)
    features = frozenset(filter(None, told.constraint.split("&")))
    excluded = frozenset(expand_hostlist(told.excluded_nodes) if told.excluded_nodes else ())
    cpus, mem_bytes = ceil_div(job.cpus, nodes), ceil_div(job.mem_bytes, nodes)
    return Ask(job, nodes, cpus, mem_bytes, gpus, share_of(job), whole, features, excluded)


def gpus_per_node(job: JobRecord) -> dict[str, int]:
    """GPUs that a job asks of each node, by type (``""``: of any).

    Of one that runs Slurm lists the types that it has, of one whose number of nodes was changed as many as before. So
    what it said itself goes first, where Slurm tells it.
    """
    told, nodes = job.particulars, max(1, job.nodes)
    if told.tres_per_node:
        return gpus_of_gres(told.tres_per_node)
    said = gpus_of_gres(told.tres_per_job or told.tres_per_task or told.tres_per_socket)
    gpus = {"": sum(job.gpus.values())} if "" in said else job.gpus
    return {kind: ceil_div(count, nodes) for kind, count in gpus.items() if count}


@lru_cache(maxsize=2**10)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(","))

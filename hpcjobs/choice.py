"""The nodes among which Slurm can choose for a job that waits, whatever runs there now. Pure.

Slurm takes a job's priority, or cancels it (26.05), when it finds too few nodes for it for good (BadConstraints): so no
wish of policies may leave it fewer than it asks for.
"""

from __future__ import annotations

from collections.abc import Hashable, Set
from typing import Final

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import UNTYPED, gpus_of_gres
from hpcjobs.model.job import JobRecord
from hpcjobs.model.shards import Share, share_of, shared_gpus_of
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sbatch.units import ceil_div

NONE: Final[frozenset[str]] = frozenset()


class Choice:
    """What jobs can choose among. What cannot be judged here, as ``a|b`` features or nodes by name, is no choice.

    Args:
        view: Jobs as they were asked for, without what policies wish of them.
    """

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._found: dict[Hashable, frozenset[str]] = {}

    def is_enough(self, number: int, avoid: Set[str]) -> bool:
        """Whether a job could start without some nodes.

        Args:
            number: Slurm's; of a job that is not listed nothing is kept.
            avoid: Names of these nodes.
        """
        job = self._view.jobs.get(number)
        if job is None or not self._view.nodes:
            return True
        names = self.nodes(job)
        return len(names) - len(names & avoid) >= max(1, job.nodes)

    def nodes(self, job: JobRecord) -> frozenset[str]:
        """Names of the nodes that are in use by Slurm and would take a job's part if they were empty."""
        told = job.particulars
        asked = told.constraint, told.excluded_nodes, told.reservation, told.tres_per_node
        share, key = share_of(job), (job.partition, job.nodes, job.cpus, job.mem_bytes, frozenset(job.gpus.items()))
        if told.required_nodes or told.contiguous or told.segment_size or not {*told.constraint}.isdisjoint("|*[]()"):
            return NONE
        if (asked, share, key) not in self._found:
            self._found[asked, share, key] = self._nodes(job, share)
        return self._found[asked, share, key]

    def _nodes(self, job: JobRecord, share: Share | None) -> frozenset[str]:
        told, there = job.particulars, self._view.reservations.get(job.particulars.reservation)
        features, partitions = {*filter(None, told.constraint.split("&"))}, {*filter(None, job.partition.split(","))}
        excluded = {*expand_hostlist(told.excluded_nodes)} if told.excluded_nodes else NONE
        names = (self._view.nodes.keys() if there is None else self._view.nodes.keys() & {*there.nodes}) - excluded
        return frozenset(
            node.name
            for node in map(self._view.nodes.__getitem__, names)
            if node.usable
            and (not partitions or not partitions.isdisjoint(node.partitions))
            and features <= {*node.features}
            and _takes(node, job, share)
        )


def _takes(node: Node, job: JobRecord, share: Share | None) -> bool:
    """Whether a node has a job's part, evenly over the job's nodes where it does not say."""
    nodes, per_node = max(1, job.nodes), job.particulars.tres_per_node
    gpus = gpus_of_gres(per_node) if per_node else {kind: ceil_div(count, nodes) for kind, count in job.gpus.items()}
    return (
        job.cpus <= node.cpus * nodes
        and job.mem_bytes <= node.mem_bytes * nodes
        and sum(gpus.values()) <= sum(node.gpus.values())
        and all(count <= node.gpus.get(kind, 0) for kind, count in gpus.items() if kind != UNTYPED)
        and (share is None or bool(share.room([gpu.back() for gpu in shared_gpus_of(node)])))
    )

"""What a cluster looks like at one moment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.suspicion import Suspicion


class Node(msgspec.Struct, frozen=True, gc=False):
    """One node as Slurm's controller reports it.

    Attributes:
        name: Slurm's NodeName.
        raw_state: Slurm's state with flags, as ``IDLE`` or ``MIXED+DRAIN``.
        usable: Whether Slurm would start a job there now or when it is free: not down, drained or failing.
        cpus: CPUs that can be scheduled.
        cpus_alloc: CPUs in use.
        mem_bytes: Configured memory in bytes.
        mem_alloc_bytes: Memory that jobs have, in bytes.
        gpus: Configured GPUs by type (``""`` untyped).
        gpus_alloc: GPUs in use by type.
        partitions: Names of the partitions that it is in.
        features: Its features, which constraints name.
        reason: Why it is down or drained, in the words of whoever did it.
        particulars: Its make, software, times and texts; what is as usual is left out of it.
    """

    name: str
    raw_state: str
    usable: bool
    cpus: int
    cpus_alloc: int
    mem_bytes: int
    mem_alloc_bytes: int
    gpus: dict[str, int]
    gpus_alloc: dict[str, int]
    partitions: tuple[str, ...]
    features: tuple[str, ...]
    reason: str = ""
    particulars: NodeParticulars = NodeParticulars()


class Failure(msgspec.Struct, frozen=True, gc=False):
    """A node that failed under a job.

    Attributes:
        node: Its name.
        at: Unix seconds when it was seen.
        slurm_job_id: Slurm's number of the job.
    """

    node: str
    at: float
    slurm_job_id: int


class ClusterView(msgspec.Struct, frozen=True):
    """Everything that one listing said.

    Attributes:
        cluster: Name of the cluster.
        asked_at: Unix seconds when the listing was asked for: what was so before is in it.
        jobs: Every job that the controller knows, by Slurm's number.
        nodes: Every node, by name.
        partitions: Every partition, by name, in the order of Slurm's configuration.
        hints: What jobs tell the policies, by Slurm's number; only for those who ask as policies.
        reservations: Every reservation, by name, also those that have not begun.
        failures: Nodes that failed under jobs, oldest first, also those that Slurm has forgotten; as ``hints``.
        suspicions: Nodes against which something speaks, by name; as ``hints``.
    """

    cluster: str
    asked_at: float
    jobs: Mapping[int, JobRecord]
    nodes: Mapping[str, Node]
    partitions: Mapping[str, Partition] = {}
    hints: Mapping[int, Hints] = {}
    reservations: Mapping[str, Reservation] = {}
    failures: tuple[Failure, ...] = ()
    suspicions: Mapping[str, Suspicion] = {}

    def nodes_by_partition(self) -> dict[str, list[Node]]:
        """Nodes by partition."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            for partition in node.partitions:
                found.setdefault(partition, []).append(node)
        return found


class ClusterSummary(msgspec.Struct, frozen=True):
    """One cluster in a line.

    Attributes:
        name: Its name.
        backend: Which way we talk to it.
        up: Whether the last listing succeeded and is young.
        observed_at: Unix seconds of the last listing that did; None before the first.
        trouble: Why it is not up, or ``""``.
    """

    name: str
    backend: str
    up: bool
    observed_at: float | None
    trouble: str


class NodeList(msgspec.Struct, frozen=True):
    """The nodes of a cluster.

    Attributes:
        items: The nodes, by name.
        observed_at: Unix seconds of the listing that they are from.
    """

    items: list[Node]
    observed_at: float

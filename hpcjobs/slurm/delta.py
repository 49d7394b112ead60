"""Listings told as what changed since the one before. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.job import JobRecord
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation

K = TypeVar("K", bound=Hashable)


class Listing(msgspec.Struct, frozen=True):
    """What a listing said.

    Attributes:
        since: Serial number of the listing that this one continues; 0: it is whole.
        serial: Its own.
        jobs: Jobs that are new or have changed.
        gone: Numbers of jobs that are listed no more.
        nodes: Nodes that are new or have changed.
        nodes_gone: Names of nodes that are listed no more.
        partitions: Every partition, in Slurm's order, where any of them has changed; None: none has.
        reservations: Every reservation, where any of them may have changed; None: none has.
    """

    since: int
    serial: int
    jobs: list[JobRecord]
    gone: list[int]
    nodes: list[Node]
    nodes_gone: list[str]
    partitions: list[Partition] | None = None
    reservations: list[Reservation] | None = None


class Marks(Generic[K]):
    """Remembers what things looked like, in eight bytes each."""

    def __init__(self) -> None:
        self._hashes: dict[K, int] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._hashes

    def clear(self) -> None:
        """Forget all: the next comparison finds everything changed."""
        self._hashes.clear()

    def compare(self, hashes: dict[K, int]) -> tuple[list[K], list[K]]:
        """Take over what things look like now.

        Args:
            hashes: Of what everything that is there looks like.

        Returns:
            What is new or looks different, and what is not there any more.
        """
        before, self._hashes = self._hashes, hashes
        changed = [key for key, value in hashes.items() if before.get(key) != value]
        gone = [key for key in before if key not in hashes]
        return changed, gone


def merged(before: ClusterView | None, listing: Listing, cluster: str, now: float) -> ClusterView:
    """A listing as a view; what did not change is the very same object as before.

    Args:
        before: The view that the listing continues; None where it is whole.
        listing: What changed.
        cluster: Name of the cluster.
        now: Unix seconds when it was asked for.
    """
    jobs = dict(before.jobs) if before else {}
    nodes = dict(before.nodes) if before else {}
    jobs |= {job.slurm_job_id: job for job in listing.jobs}
    nodes |= {node.name: node for node in listing.nodes}
    for number in listing.gone:
        del jobs[number]
    for name in listing.nodes_gone:
        del nodes[name]
    partitions = before.partitions if before else {}
    if listing.partitions is not None:
        partitions = {partition.name: partition for partition in listing.partitions}
    reservations = before.reservations if before else {}
    if listing.reservations is not None:
        reservations = {reservation.name: reservation for reservation in listing.reservations}
    return ClusterView(cluster, now, jobs, nodes, partitions, reservations=reservations)

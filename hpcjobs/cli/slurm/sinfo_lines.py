"""The lines of sinfo: which nodes of a partition stand on one line, and what is summed up of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm.node_states import ALLOCATED, BASE, DOWN, FLAGS, MIXED, bits_of, complete_state, long_state
from hpcjobs.model.amount import MIB, NO_VAL

if TYPE_CHECKING:
    from hpcjobs.model.cluster import Node
    from hpcjobs.model.partition import Partition

UNKNOWN_MEMORY: Final = 0xFFFF_FFFF_FFFF_FFFE
"""What Slurm counts unknown free memory with (NO_VAL64); an unknown load with NO_VAL."""

SIZES: Final = ("cpus", "sockets", "cores", "threads", "disk", "memory", "weight", "load", "free")
"""What the nodes of a line may differ in: the least and the most are kept."""


class Entry:
    """A node, with what sinfo counts with.

    Attributes:
        node: The node.
        bits: Its state.
        sizes: Its sizes, as in ``SIZES``; memory and disk in MiB, load in hundredths.
        tells: By what a column is matched: what the node says there.
    """

    def __init__(self, node: Node) -> None:
        """Count once; a node stands in several lines."""
        told = node.particulars
        self.node = node
        self.bits = bits_of(node.raw_state)
        self.sizes = {
            "cpus": told.cpus_total or node.cpus,
            "sockets": told.sockets,
            "cores": told.cores,
            "threads": told.threads,
            "disk": told.tmp_disk_bytes // MIB,
            "memory": node.mem_bytes // MIB,
            "weight": told.weight,
            "load": NO_VAL if told.cpu_load is None else round(told.cpu_load * 100),
            "free": UNKNOWN_MEMORY if told.free_mem_bytes is None else told.free_mem_bytes // MIB,
        }
        self.tells: dict[str, object] = {
            "hostname": told.hostname,
            "address": told.address,
            "extra": told.extra,
            "features": node.features,
            "features_active": told.features_active,
            "gres": told.gres,
            "gres_used": told.gres_used,
            "comment": told.comment,
            "reason": node.reason,
            "reason_time": told.reason_time,
            "reason_user": told.reason_user,
            "reservation": told.reservation,
            "state": long_state(self.bits),
            "complete": complete_state(self.bits),
            "mem_alloc": node.mem_alloc_bytes,
            "sct": (told.sockets, told.cores, told.threads),
            "port": told.port,
            "version": node.name,  # Slurm compares where the texts lie: no two nodes have one
            **{name: self.sizes[name] for name in SIZES},
        }


ALWAYS: Final = frozenset(
    {
        "hostname", "address",
        "extra", "features", "features_active", "gres", "gres_used", "comment", "reason", "reason_time", "reason_user",
        "reservation", "state", "complete", "mem_alloc",
    }
)  # fmt: skip
"""Columns that part nodes into lines wherever they are printed."""

EXACT: Final = frozenset({*SIZES, "sct", "port", "version"})
"""Columns that part them with --exact only."""

OF_PARTITIONS: Final = frozenset(
    {
        "name", "state_up", "allow_groups", "size", "wall_default", "wall_max", "root", "oversubscribe", "preempt",
        "tier", "factor", "cpus_per_node",
    }
)  # fmt: skip


def _part(partition: Partition, match: str) -> object:
    """What a partition says in a column."""
    return {
        "name": partition.name,
        "state_up": partition.state,
        "allow_groups": partition.allow_groups,
        "size": (partition.nodes_min, partition.nodes_max),
        "wall_default": (partition.wall_default_s, partition.wall_default_unlimited),
        "wall_max": partition.wall_max_s,
        "root": partition.root_only,
        "oversubscribe": (partition.oversubscribe, partition.exclusive == "NODE"),
        "preempt": partition.preempt_mode,
        "tier": partition.priority_tier,
        "factor": partition.priority_job_factor,
        "cpus_per_node": partition.cpus_per_node_max,
    }[match]


class Line:
    """One line of sinfo.

    Attributes:
        partition: The partition; of several that look alike, the first.
        index: Which of the partitions that is.
        entries: The nodes, each once.
        allocated: How many of them jobs have, ``idle`` wait for some, ``other`` do neither.
        cpus_allocated: The same of CPUs, and so on.
        least: The least of each of SIZES, ``most`` the most.
        cluster: Name of the cluster, where one was asked for.
    """

    def __init__(self, partition: Partition, index: int, cluster: str = "") -> None:
        """Without nodes."""
        self.partition = partition
        self.index = index
        self.cluster = cluster
        self.entries: list[Entry] = []
        self._names: set[str] = set()
        self.allocated = self.idle = self.other = 0
        self.cpus_allocated = self.cpus_idle = self.cpus_other = self.cpus_total = 0
        self.least: dict[str, int] = dict.fromkeys(SIZES, 0)
        self.most: dict[str, int] = dict.fromkeys(SIZES, 0)
        self.mem_alloc_bytes = 0

    @property
    def total(self) -> int:
        """How many nodes."""
        return len(self.entries)

    @property
    def first(self) -> Node | None:
        """The node whose texts stand for all."""
        return self.entries[0].node if self.entries else None

    @property
    def bits(self) -> int:
        """The state of the first."""
        return self.entries[0].bits if self.entries else 0

    def add(self, entry: Entry) -> None:
        """Take a node in, unless it is there."""
        node, bits = entry.node, entry.bits
        if node.name in self._names:
            return
        self._names.add(node.name)
        for name, size in entry.sizes.items():
            self.least[name] = min(self.least[name], size) if self.entries else size
            self.most[name] = max(self.most[name], size) if self.entries else size
        self.entries.append(entry)
        base, drained = bits & BASE, bool(bits & FLAGS["DRAIN"])
        if base in (ALLOCATED, MIXED) or bits & FLAGS["COMPLETING"]:
            self.allocated += 1
        elif drained or base == DOWN:
            self.other += 1
        else:
            self.idle += 1
        cpus = entry.sizes["cpus"]
        self.cpus_allocated += node.cpus_alloc
        self.cpus_total += cpus
        if drained or base == DOWN:
            self.cpus_other += cpus - node.cpus_alloc
        else:
            self.cpus_idle += cpus - node.cpus_alloc
        self.mem_alloc_bytes = node.mem_alloc_bytes


class Grouping:
    """How nodes are parted into lines.

    Args:
        matches: By what: the columns that are printed.
        exact: Whether sizes part them too (--exact).
        each_node: Whether each node has a line of its own (--Node).
        any_partition: Whether partitions do not matter (--list-reasons).
        cluster: Name of the cluster, where one was asked for.
    """

    def __init__(
        self,
        matches: Collection[str],
        *,
        exact: bool = False,
        each_node: bool = False,
        any_partition: bool = False,
        cluster: str = "",
    ) -> None:
        self.of_partitions = [match for match in matches if match in OF_PARTITIONS]
        self.of_nodes = [match for match in matches if match in ALWAYS or (exact and match in EXACT)]
        self.each_node = each_node
        self.any_partition = any_partition
        self.cluster = cluster

    def lines(self, partitions: Sequence[Partition], entries: Iterable[Entry]) -> list[Line]:
        """The lines.

        Args:
            partitions: Those that are shown, in Slurm's order.
            entries: The nodes that are shown, by name.
        """
        found: list[Line] = []
        if not self.each_node and "name" in self.of_partitions:
            # Every partition has a line, even without nodes.
            found = [Line(partition, index, self.cluster) for index, partition in enumerate(partitions)]
        empty = {line.partition.name: line for line in found}
        known: dict[object, Line] = {}
        entries = list(entries)
        for index, partition in enumerate(partitions):
            shared = () if self.any_partition else tuple(_part(partition, match) for match in self.of_partitions)
            for entry in entries:
                if partition.name not in entry.node.partitions:
                    continue
                alike = (shared, tuple(entry.tells[match] for match in self.of_nodes))
                line = None if self.each_node else known.get(alike)
                if line is None:
                    line = empty.pop(next(iter(empty), "") if self.any_partition else partition.name, None)
                if line is None:
                    line = Line(partition, index, self.cluster)
                    found.append(line)
                known[alike] = line
                line.add(entry)
        return found

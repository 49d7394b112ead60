"""On which nodes a waiting job may start: its partitions, features, shares, and the nodes that it names. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hpcjobs.model.cluster import Node
from hpcjobs.model.job import Job
from hpcjobs.model.partition import Partition
from hpcjobs.model.shards import Share, share_of, shared_gpus_of
from hpcjobs.sbatch.hostlists import expand_hostlist

_FEATURES: Final = re.compile(r"[\w.-]+(&[\w.-]+)*")
_OPEN: Final = frozenset({"UP", "DRAIN"})
"""States of a partition in which jobs start that are there."""


class Allowed:
    """Answers for one cluster; jobs that ask for the same share one answer."""

    def __init__(self, nodes: Sequence[Node], partitions: Sequence[Partition]) -> None:
        self._nodes = nodes
        self._states = {partition.name: partition.state for partition in partitions}
        self._known: dict[tuple[str, str, str, Share | None], frozenset[int] | None] = {}

    def indices(self, job: Job) -> frozenset[int] | None:
        """Indices of the nodes; None: any."""
        told = job.particulars
        constraint = told.constraint if _FEATURES.fullmatch(told.constraint) else ""
        key = (job.partition, constraint, told.excluded_nodes, share_of(job))
        if key not in self._known:
            self._known[key] = self._worked_out(*key)
        return self._known[key]

    def _worked_out(self, partition: str, constraint: str, excluded: str, share: Share | None) -> frozenset[int] | None:
        names = {name for name in partition.split(",") if name}
        shut = {name for name in names if self._states.get(name, "UP") not in _OPEN}
        features = set(filter(None, constraint.split("&")))
        avoid = set(expand_hostlist(excluded)) if excluded else set()
        found = frozenset(
            place
            for place, node in enumerate(self._nodes)
            if (not names or (names - shut) & set(node.partitions))
            and features <= set(node.features)
            and node.name not in avoid
            and (share is None or share.room([gpu.back() for gpu in shared_gpus_of(node)]))
        )
        return None if len(found) == len(self._nodes) else found

"""What nodes had at a time, from what listings told. Pure."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.gres import parse_node_gres
from hpcjobs.model.shards import SHARING
from hpcjobs.model.usage import NodeKind
from hpcjobs.sbatch.hostlists import expand_hostlist

MOST_POOLS: Final = 100_000


class Pool(NamedTuple):
    """What some nodes have together.

    Attributes:
        gpus: Devices by type, as pairs, sorted.
        shares: Shards or MPS percents by name and type, as triples, sorted.
        cpus: CPUs.
    """

    gpus: tuple[tuple[str, int], ...]
    shares: tuple[tuple[str, str, int], ...]
    cpus: int


class Fleet:
    """The nodes of a cluster over time.

    What a node was first known to have, it is taken to have had before.

    Args:
        kinds: What was told of nodes.
    """

    def __init__(self, kinds: Iterable[NodeKind] = ()) -> None:
        self._told: dict[str, list[NodeKind]] = defaultdict(list)
        self._changes: list[int] = []
        self._pools: dict[tuple[str, int], Pool | None] = {}
        for kind in sorted(kinds, key=lambda kind: kind.since):
            self.learn(kind)

    def learn(self, kind: NodeKind) -> bool:
        """Take in what a node has from some time on, which is after what is known of it.

        Returns:
            Whether that is new.
        """
        told = self._told[kind.node]
        last = told[-1] if told else None
        if last == msgspec.structs.replace(kind, since=last.since if last else 0):
            return False
        told.append(kind)
        if last is None or (last.gres, last.cpus) != (kind.gres, kind.cpus):
            bisect.insort(self._changes, kind.since)
            self._pools.clear()
        return True

    def gone(self, there: Collection[str], at: int) -> list[NodeKind]:
        """What is to be told of nodes that are known to have something and are there no longer.

        Args:
            there: The nodes that there are.
            at: Unix seconds.
        """
        last = [(node, told[-1]) for node, told in self._told.items() if told and node not in there]
        return [NodeKind(node, at, "", 0, usable=False) for node, kind in last if kind.gres or kind.cpus]

    def _of(self, node: str, at: int) -> NodeKind | None:
        told = self._told.get(node)
        if not told:
            return None
        place = bisect.bisect_right(told, at, key=lambda kind: kind.since)
        return told[max(place - 1, 0)]

    def pool(self, node_list: str, at: int) -> Pool | None:
        """What the nodes of a hostlist had at a time; None where one of them is not known, or there are none.

        Args:
            node_list: A hostlist, as Slurm writes it.
            at: Unix seconds.
        """
        if not node_list:
            return None
        key = (node_list, bisect.bisect_right(self._changes, at))
        if key not in self._pools:
            if len(self._pools) >= MOST_POOLS:
                self._pools.clear()
            self._pools[key] = self._together(node_list, at)
        return self._pools[key]

    def _together(self, node_list: str, at: int) -> Pool | None:
        gpus: dict[str, int] = defaultdict(int)
        shares: dict[tuple[str, str], int] = defaultdict(int)
        cpus = 0
        try:
            nodes = expand_hostlist(node_list)
        except ValueError:
            return None
        for node in nodes:
            known = self._of(node, at)
            if known is None:
                return None
            cpus += known.cpus
            for kind, count in parse_node_gres(known.gres).items():
                gpus[kind] += count
            for sharing in SHARING:
                for kind, count in parse_node_gres(known.gres, sharing).items():
                    shares[sharing, kind] += count
        told = tuple(sorted((sharing, kind, count) for (sharing, kind), count in shares.items()))
        return Pool(tuple(sorted(gpus.items())), told, cpus)

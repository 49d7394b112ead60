"""A cluster's nodes with more of them, or fewer: the "if" of "what if". Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.cluster import Node
from hpcjobs.sbatch.hostlists import expand_hostlist

MOST_ADDED: Final = 100_000
ADDED: Final = "added"
"""Names of added nodes begin so."""


def more_nodes(nodes: Sequence[Node], said: str) -> list[Node]:
    """The nodes, and idle ones more.

    Args:
        nodes: Of the cluster.
        said: ``4``, like the kind of node that there is most of, or ``4:NODE``, like that one.

    Raises:
        Refused: It is of no such form, or there is no such node.
    """
    count, _, name = said.partition(":")
    if not (count.isascii() and count.isdecimal() and 0 < int(count[:9]) <= MOST_ADDED and len(count) < 9):
        raise _refused(
            "--add-nodes", f"{said[:60]!r} is not of the form COUNT or COUNT:NODE, COUNT from 1 to {MOST_ADDED}"
        )
    if name:
        like = next((node for node in nodes if node.name == name), None)
        if like is None:
            raise _refused("--add-nodes", f"the cluster has no node {name[:60]!r}")
    else:
        kinds = Counter(map(_kind, nodes))
        if not kinds:
            raise _refused("--add-nodes", "the cluster has no node that others could be like")
        most = kinds.most_common(1)[0][0]
        like = next(node for node in nodes if _kind(node) == most)
    taken = {node.name for node in nodes}
    names = (new for number in range(1, MOST_ADDED + len(nodes) + 1) if (new := f"{ADDED}{number}") not in taken)
    idle = msgspec.structs.replace(
        like, raw_state="IDLE", usable=True, cpus_alloc=0, mem_alloc_bytes=0, gpus_alloc={}, reason=""
    )
    return [*nodes, *(msgspec.structs.replace(idle, name=next(names)) for _ in range(int(count)))]


def without_nodes(nodes: Sequence[Node], hostlist: str) -> list[Node]:
    """The nodes, of which some take no new jobs; what runs there runs on.

    Args:
        nodes: Of the cluster.
        hostlist: Their names, as ``n[1-4],n7``.

    Raises:
        Refused: It is no hostlist, or there is no such node.
    """
    try:
        names = set(expand_hostlist(hostlist))
    except ValueError as error:
        raise _refused("--without", f"{hostlist[:60]!r} is no list of nodes: {error}") from error
    if missing := sorted(names - {node.name for node in nodes}):
        raise _refused("--without", f"the cluster has no node {', '.join(missing[:5])[:200]}")
    return [msgspec.structs.replace(node, usable=node.usable and node.name not in names) for node in nodes]


def _kind(node: Node) -> tuple[object, ...]:
    return node.cpus, node.mem_bytes, tuple(sorted(node.gpus.items())), node.partitions, node.features


def _refused(option: str, what: str) -> Refused:
    return Refused([Refusal(option, f"{option}: {what}.", "bad-case")], kept="nothing was simulated")

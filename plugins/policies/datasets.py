"""What nodes hold of data sets, as their features and their Extra text tell it. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Final

import msgspec

from hpcjobs.model.cluster import ClusterView, Node

FEATURE: Final = "data:"


class Extra(msgspec.Struct, frozen=True):
    """What is read of a node's Extra text."""

    data: dict[str, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]] = {}


_EXTRA: Final = msgspec.json.Decoder(Extra)


def told_of(node: Node) -> dict[str, int | None]:
    """Bytes that a node holds, by name of data set; None: it holds it, and bytes are not told."""
    found: dict[str, int | None] = {one.removeprefix(FEATURE): None for one in node.features if one.startswith(FEATURE)}
    if "data" in node.particulars.extra:
        try:
            found |= _EXTRA.decode(node.particulars.extra).data
        except (msgspec.DecodeError, ValueError, RecursionError):
            return found  # a text of somebody else
    return found


def held_bytes(view: ClusterView) -> dict[str, dict[str, int]]:
    """Bytes by name of data set and name of node; nodes that hold none of it are left out."""
    told: dict[str, dict[str, int | None]] = defaultdict(dict)
    for name, node in view.nodes.items():
        for dataset, count in told_of(node).items():
            told[dataset][name] = count
    held = {}
    for dataset, nodes in told.items():
        most = max((count for count in nodes.values() if count), default=1)
        held[dataset] = {name: most if count is None else count for name, count in nodes.items() if count != 0}
    return held

"""What is declared of nodes, beside what Slurm has of them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs_plugins.gpu_accounting.conf import LINE

SHARED: Final = ("shard", "mps")
"""Of these only the number counts: Slurm writes of which type they are, which nobody declares."""

Counts = Mapping[str, Mapping[str, int]]


class Difference(msgspec.Struct, frozen=True):
    """Nodes of which Slurm has something else than is declared.

    Attributes:
        nodes: A hostlist.
        declared: What they shall have, as Slurm's Gres; ``""``: nothing.
        has: What Slurm says that they have.
    """

    nodes: str
    declared: str
    has: str


def differences(part: str, nodes: Iterable[Node]) -> list[Difference]:
    """Compare what the plugin writes with a cluster.

    Args:
        part: Its part of slurm.conf.
        nodes: The cluster's.
    """
    declared = _declared(part)
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in nodes:
        shall, has = declared.get(node.name, ""), node.particulars.gres
        if _counts(shall) != _counts(has):
            alike[shall, _plain(has)].append(node.name)
    return [Difference(fold_hostlist(names), *pair) for pair, names in alike.items()]


def _declared(part: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for line in part.splitlines():
        if line.startswith(LINE):
            names, gres = line.removeprefix(LINE).split(" Gres=")
            told |= dict.fromkeys(expand_hostlist(names), gres)
    return told


def _counts(gres: str) -> Counts:
    names = {item.partition(":")[0] for item in _plain(gres).split(",")} - {""}
    found = {name: parse_node_gres(gres, name) for name in names}
    return {name: {"": sum(of.values())} if name in SHARED else of for name, of in found.items()}


def _plain(gres: str) -> str:
    """Without which cores and indices they are: ``gpu:a100:8(S:0-1)`` is ``gpu:a100:8``."""
    kept, depth = "", 0
    for letter in gres:
        depth += (letter == "(") - (letter == ")")
        kept += letter if depth == 0 and letter != ")" else ""
    return "" if kept == "null" else kept

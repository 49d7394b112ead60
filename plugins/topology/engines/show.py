"""What ``scontrol show topology`` prints, read back as a graph that a plan can be compared with. Pure."""

from __future__ import annotations

import re
from typing import Final

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.topology.engines.model import DEFAULT, Graph, Kind
from hpcjobs_plugins.topology.fabric import FabricError

_FIELD = re.compile(r"(SwitchName|Level|LinkSpeed|Nodes|Switches|BlockName|AggregatedBlock|BlockIndex|BlockSize)=(\S*)")

SOURCE: Final = "scontrol show topology"


def words_for(name: str) -> str:
    """What stands behind ``scontrol show`` for a topology; that of topology.conf has no name."""
    return "topology" if name == DEFAULT else f"topology {name}"


def read_shown(text: str) -> Graph:
    """The graph of one topology.

    Args:
        text: All that is printed for it; empty for a flat one.

    Raises:
        FabricError: A line is of another form.
    """
    switches: dict[str, tuple[int, frozenset[str]]] = {}
    blocks: dict[int, tuple[str, frozenset[str]]] = {}
    joined: list[tuple[int, frozenset[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        said = dict(_FIELD.findall(line))
        if not line.strip():
            continue
        try:
            if "SwitchName" in said:
                level = int(said["Level"])
                below = said.get("Switches", "") if level else said.get("Nodes", "")
                switches[said["SwitchName"]] = level, frozenset(expand_hostlist(below))
            elif "BlockName" in said:
                nodes = frozenset(expand_hostlist(said.get("Nodes", "")))
                blocks[int(said["BlockIndex"])] = said["BlockName"], nodes
                joined.append((int(said["BlockSize"]), frozenset([said["BlockName"]])))
            elif "AggregatedBlock" in said:
                joined.append((int(said["BlockSize"]), frozenset(expand_hostlist(said["AggregatedBlock"]))))
            else:
                raise FabricError(f"{line[:80]!r} is no switch and no block", SOURCE, number)
        except (KeyError, ValueError) as error:
            if isinstance(error, FabricError):
                raise
            raise FabricError(f"{line[:80]!r} cannot be read: {error}", SOURCE, number) from None
    kind = Kind.TREE if switches else Kind.BLOCK if blocks else Kind.FLAT
    return Graph(kind, switches, tuple(blocks[index] for index in sorted(blocks)), frozenset(joined))

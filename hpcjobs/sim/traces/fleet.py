"""The node list of alibaba's cluster-trace-v2026-spot-gpu, as CSV. Pure.

https://github.com/alibaba/clusterdata: one line for each node, with its GPUs and CPUs; jobs are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hpcjobs.sim.traces.assembly import each_once, gathered, name_of
from hpcjobs.sim.traces.lines import Tally, count
from hpcjobs.sim.traces.tables import Row, rows
from hpcjobs.sim.workload import SimNode, Workload

NEEDED: Final = (("gpu_model",), ("gpu_capacity_num",), ("cpu_num",), ("node_name",))


def read_fleet(lines: Iterable[str], origin: str = "fleet") -> Workload:
    """The nodes of a fleet; it has no jobs. Memory is not in the file, so no node has any.

    Args:
        lines: Of the file.
        origin: What it is called.

    Raises:
        Refused: It is no such table, or has no node.
    """
    dropped = Tally()
    found = gathered(rows(lines, origin, NEEDED, dropped), each_once(_node, name_of), dropped, "node", origin)
    return Workload(nodes=tuple(found), jobs=(), origin=origin, dropped=dropped.told())


def _node(_line: int, row: Row) -> SimNode:
    gpus = count(row["gpu_capacity_num"], "the number of GPUs")
    if not (name := row["node_name"]):
        raise ValueError("no name of a node")
    return SimNode(
        name=f"node{name}" if name.isdecimal() else name,
        cpus=count(row["cpu_num"], "the number of CPUs"),
        gpus=gpus,
        gpu_type=row["gpu_model"] if gpus else "",
    )

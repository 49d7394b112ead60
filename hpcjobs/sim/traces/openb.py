"""Nodes and pods of alibaba's cluster-trace-gpu-v2023 ("openb"), as CSV. Pure.

https://github.com/alibaba/clusterdata; Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent", ATC 2023.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hpcjobs.model.amount import MIB
from hpcjobs.model.job import Fate
from hpcjobs.sim.traces.assembly import each_once, gathered, in_order, limit_of, name_of
from hpcjobs.sim.traces.lines import LeftOut, Tally, amount, count
from hpcjobs.sim.traces.tables import Row, first, rows
from hpcjobs.sim.workload import WHOLE_GPU, SimJob, SimNode, Workload

NODE_COLUMNS: Final = (("sn",), ("cpu_milli",), ("memory_mib",), ("gpu",), ("model",))
POD_COLUMNS: Final = (("name",), ("cpu_milli",), ("memory_mib",), ("num_gpu",), ("gpu_milli",), ("gpu_spec",),
    ("pod_phase",), ("creation_time",), ("deletion_time",), ("scheduled_time",))  # fmt: skip
MILLI: Final = 1000
_FATES: Final = {"Failed": Fate.FAILED}


def read_openb_nodes(lines: Iterable[str], origin: str = "openb nodes", *, cpu_milli: bool = False) -> Workload:
    """The nodes; there are no jobs.

    Args:
        lines: Of the file.
        origin: What it is called.
        cpu_milli: Whether a thousandth of a CPU counts as one, as the paper has it; then pods must be read so too.

    Raises:
        Refused: It is no such table, or has no node.
    """

    def read(_line: int, row: Row) -> SimNode:
        return _node(row, cpu_milli)

    dropped = Tally()
    found = gathered(rows(lines, origin, NODE_COLUMNS, dropped), each_once(read, name_of), dropped, "node", origin)
    return Workload(nodes=tuple(found), jobs=(), origin=origin, dropped=dropped.told())


def read_openb_pods(
    lines: Iterable[str], origin: str = "openb pods", *, cpu_milli: bool = False, only_scheduled: bool = False
) -> Workload:
    """The pods as jobs of one node each; there are no nodes.

    A pod runs from its scheduling to its deletion. One that was never scheduled has no run time: it gets the whole
    time that it was there, as the paper's experiments heed only what pods ask for; ``only_scheduled`` leaves it out.

    Args:
        lines: Of the file.
        origin: What it is called.
        cpu_milli: Whether a thousandth of a CPU counts as one; else parts of a CPU are rounded up.
        only_scheduled: Whether pods that were never scheduled are left out.

    Raises:
        Refused: It is no such table, or has no pod.
    """
    dropped, remarks = Tally(), Tally()

    def read(line: int, row: Row) -> SimJob:
        if only_scheduled and not row["scheduled_time"]:
            raise LeftOut("it was never scheduled")
        return _pod(line, row, cpu_milli, remarks)

    found = gathered(rows(lines, origin, POD_COLUMNS, dropped), read, dropped, "pod", origin)
    return Workload(nodes=(), jobs=in_order(found), origin=origin, dropped=dropped.told(), remarks=remarks.told())


def _node(row: Row, cpu_milli: bool) -> SimNode:
    gpus = count(row["gpu"], "the number of GPUs")
    if not (name := row["sn"]):
        raise ValueError("no name of a node")
    cpus = count(row["cpu_milli"], "cpu_milli")
    return SimNode(
        name=name,
        cpus=cpus if cpu_milli else cpus // MILLI,
        mem_bytes=count(row["memory_mib"], "memory_mib") * MIB,
        gpus=gpus,
        gpu_type=row["model"] if gpus else "",
    )


def _pod(line: int, row: Row, cpu_milli: bool, remarks: Tally) -> SimJob:
    gpus, share = count(row["num_gpu"], "num_gpu"), count(row["gpu_milli"], "gpu_milli")
    if gpus and not 0 < share <= WHOLE_GPU:
        raise ValueError("gpu_milli is not from 1 to 1000")
    if gpus > 1 and share < WHOLE_GPU:
        raise ValueError("shares of several GPUs")
    cpus = count(row["cpu_milli"], "cpu_milli")
    if cpus % MILLI and not cpu_milli:
        remarks.add("parts of a CPU were rounded up", line)
    submit_s, until_s = amount(row["creation_time"], "creation_time"), row["deletion_time"]
    start_s = submit_s
    if row["scheduled_time"]:
        start_s = amount(row["scheduled_time"], "scheduled_time")
    run_s = amount(until_s, "deletion_time") - start_s
    if run_s < 0:
        raise ValueError("it ends before it begins")
    if not row["scheduled_time"]:
        remarks.add("it was never scheduled: it runs for as long as it was there", line)
    remarks.add("no limit is known: its run time was taken", line)
    whole = gpus if share == WHOLE_GPU else 0
    return SimJob(
        number=0, submit_s=submit_s, run_s=run_s, wall_s=limit_of(run_s), name=row["name"],
        cpus_per_node=cpus if cpu_milli else -(-cpus // MILLI),
        mem_per_node_bytes=count(row["memory_mib"], "memory_mib") * MIB,
        gpus_per_node=whole, gpu_milli=share if gpus and not whole else 0,
        gpu_types=tuple(filter(None, row["gpu_spec"].split("|"))), account=first(row, "qos"),
        fate=_FATES.get(row["pod_phase"], Fate.COMPLETED),
    )  # fmt: skip

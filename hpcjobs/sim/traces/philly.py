"""The Philly subset of ElasticFlow and AdaptDL, as CSV. Pure.

``timestamp,duration,num_gpus,gpu_time,cluster``; origin: https://github.com/msr-fiddle/philly-traces (Jeon et al.,
"Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", ATC 2019). It has no nodes, limits
and users; ``cluster`` is the virtual cluster, which is taken as the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Final

from hpcjobs.sim.traces.assembly import gathered, in_order, limit_of
from hpcjobs.sim.traces.lines import LeftOut, Tally, amount, count, moment
from hpcjobs.sim.traces.tables import Row, first, rows
from hpcjobs.sim.workload import SimJob, Workload

NEEDED: Final = (("timestamp",), ("duration",), ("num_gpus",))


def read_philly(
    lines: Iterable[str], origin: str = "Philly", *, gpus_per_node: int = 8, cpus_per_gpu: int = 1
) -> Workload:
    """The jobs; there are no nodes.

    A job of more GPUs than a node has gets the fewest nodes that hold it, with as many on each. Times are read as UTC.

    Args:
        lines: Of the file.
        origin: What it is called.
        gpus_per_node: GPUs of the nodes that it is to run on; Philly had nodes of 8 and of 2.
        cpus_per_gpu: CPUs that a job asks for with each GPU, which the file does not tell.

    Raises:
        Refused: It is no such table, or has no job.
    """
    dropped, remarks = Tally(), Tally()

    def read(line: int, row: Row) -> SimJob:
        return _job(line, row, gpus_per_node, cpus_per_gpu, remarks)

    found = gathered(rows(lines, origin, NEEDED, dropped), read, dropped, "job", origin)
    return Workload(
        nodes=(), jobs=in_order(found), origin=origin, dropped=dropped.told(), remarks=remarks.told(),
        started_at=min(job.submit_s for job in found),
    )  # fmt: skip


def _job(line: int, row: Row, gpus_per_node: int, cpus_per_gpu: int, remarks: Tally) -> SimJob:
    submit_s = moment(row["timestamp"], "the timestamp", UTC)
    run_s = amount(row["duration"], "the duration")
    gpus = count(row["num_gpus"], "the number of GPUs")
    if not gpus:
        raise LeftOut("it has no GPU")
    nodes = -(-gpus // gpus_per_node)
    on_each = -(-gpus // nodes)
    if on_each * nodes != gpus:
        remarks.add(f"its GPUs do not divide into nodes of {gpus_per_node}: it gets some more", line)
    remarks.add("no limit is known: its run time was taken", line)
    return SimJob(
        number=0, submit_s=submit_s, run_s=run_s, wall_s=limit_of(run_s), nodes=nodes, gpus_per_node=on_each,
        cpus_per_node=on_each * cpus_per_gpu, account=first(row, "cluster"), user=first(row, "cluster"),
    )  # fmt: skip

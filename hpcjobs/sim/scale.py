"""Workloads made denser, shorter or quicker: arrivals to a stated demand, a window, another scale of time. Pure.

Demand is the work that is offered over what the fleet can do in the time in which it is offered: the sum of run time
times size over all jobs, by the fleet's size times the time from the first to the last submission. It is counted in
GPUs where the fleet has any, else in whole nodes where all jobs have theirs for themselves, else in CPUs. (Feitelson,
"Workload Modeling for Computer Systems Performance Evaluation", 2015, calls it load; scaling arrivals by a constant is
the usual way to change it.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.traces.assembly import LEAST_WALL_S
from hpcjobs.sim.workload import SimJob, Workload

UNITS: Final = ("gpus", "nodes", "cpus")


def unit_of(workload: Workload) -> str:
    """In what the demand of a workload is counted: ``gpus``, ``nodes`` or ``cpus``."""
    if workload.gpus:
        return "gpus"
    return "nodes" if all(job.exclusive for job in workload.jobs) else "cpus"


def size_of(job: SimJob, unit: str) -> float:
    """GPUs, nodes or CPUs of a job."""
    if unit == "gpus":
        return job.gpus
    return job.nodes if unit == "nodes" else job.nodes * job.cpus_per_node


def capacity_of(workload: Workload, unit: str) -> int:
    """GPUs, nodes or CPUs of the fleet."""
    if unit == "gpus":
        return workload.gpus
    return len(workload.nodes) if unit == "nodes" else sum(node.cpus for node in workload.nodes)


def work_s(workload: Workload) -> float:
    """GPU, node or CPU seconds of all jobs, each run cut at its limit."""
    unit = unit_of(workload)
    return math.fsum(size_of(job, unit) * min(job.run_s, job.wall_s) for job in workload.jobs)


def demand(workload: Workload) -> float:
    """Work that is offered over what the fleet could do meanwhile; 1.0 is as much as it has.

    Raises:
        Refused: There are no nodes, or all jobs are submitted at once.
    """
    capacity = capacity_of(workload, unit_of(workload))
    span_s = workload.jobs[-1].submit_s - workload.jobs[0].submit_s if workload.jobs else 0.0
    if not capacity or not span_s:
        what = "its jobs are all submitted at once" if capacity else f"the fleet has no {unit_of(workload)}"
        raise Refused([Refusal("demand", f"{workload.origin} has no demand: {what}.", "no-demand")])
    return work_s(workload) / (capacity * span_s)


def to_demand(workload: Workload, wanted: float) -> Workload:
    """The same jobs in the same order, with times between submissions so much shorter or longer.

    Args:
        workload: With nodes and jobs.
        wanted: The demand, above 0.

    Raises:
        Refused: It has no demand, or that is not above 0.
    """
    if not 0 < wanted < math.inf:
        raise Refused([Refusal("demand", f"A demand is above 0: {wanted:g} is none.", "no-demand")])
    factor = demand(workload) / wanted
    if not factor:
        raise Refused([Refusal("demand", f"{workload.origin} has no work that could be a demand.", "no-demand")])
    first_s = workload.jobs[0].submit_s

    def moved(job: SimJob) -> SimJob:
        return msgspec.structs.replace(job, submit_s=(job.submit_s - first_s) * factor)

    return _changed(workload, moved, f"arrivals times {factor:.4g} for a demand of {wanted:g}")


def window(workload: Workload, start_s: float, end_s: float = math.inf) -> Workload:
    """The jobs that are submitted from a time on and before another; times then count from the former.

    Args:
        workload: With jobs.
        start_s: In seconds since the start of the trace.
        end_s: The same.

    Raises:
        Refused: There is no such job.
    """
    jobs = [job for job in workload.jobs if start_s <= job.submit_s < end_s]
    if not jobs:
        raise Refused([Refusal("window", f"{workload.origin} has no job from {start_s:g} to {end_s:g} s.", "empty")])
    left_out = len(workload.jobs) - len(jobs)
    dropped = workload.dropped | ({"submitted outside of the window": left_out} if left_out else {})
    return msgspec.structs.replace(
        workload,
        jobs=tuple(
            msgspec.structs.replace(job, number=number, submit_s=job.submit_s - start_s)
            for number, job in enumerate(jobs, start=1)
        ),
        dropped=dropped,
        started_at=None if workload.started_at is None else workload.started_at + start_s,
    )


def raised(workload: Workload) -> Workload:
    """Limits that jobs outran raised to their run times: sites let jobs overrun (OverTimeLimit of slurm.conf(5))."""

    def enough(job: SimJob) -> SimJob:
        return msgspec.structs.replace(job, wall_s=max(job.wall_s, job.run_s))

    return _changed(workload, enough, "limits that were outrun raised")


def quicker(workload: Workload, factor: float, least_wall_s: float = LEAST_WALL_S) -> Workload:
    """All times divided by a factor, as for a replay on a real Slurm: submissions, run times, limits, checkpoints.

    Limits are whole minutes, as Slurm counts them, and not below the least, so that they are longer, for their jobs'
    run times, than they were.

    Args:
        workload: With jobs.
        factor: How many times as quick, above 0.
        least_wall_s: The shortest limit in seconds.

    Raises:
        Refused: The factor is not above 0.
    """
    if not 0 < factor < math.inf:
        raise Refused([Refusal("factor", f"A factor of time is above 0: {factor:g} is none.", "bad-factor")])

    def quick(job: SimJob) -> SimJob:
        return msgspec.structs.replace(
            job,
            submit_s=job.submit_s / factor,
            run_s=min(job.run_s, job.wall_s) / factor,
            wall_s=max(least_wall_s, 60.0 * math.ceil(job.wall_s / factor / 60.0)),
            checkpoint_s=None if job.checkpoint_s is None else job.checkpoint_s / factor,
        )

    return _changed(workload, quick, f"{factor:g} times as quick")


def _changed(workload: Workload, change: Callable[[SimJob], SimJob], how: str) -> Workload:
    return msgspec.structs.replace(
        workload, jobs=tuple(map(change, workload.jobs)), origin=f"{workload.origin}, {how}"
    )  # fmt: skip

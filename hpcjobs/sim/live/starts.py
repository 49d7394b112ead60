"""When jobs of a real cluster would start, from results of simulations. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hpcjobs.sim.live.snapshot import Snapshot
from hpcjobs.sim.report.report import Expected
from hpcjobs.sim.result import Result


def expected(outcomes: Mapping[str, tuple[Snapshot, Result]]) -> tuple[Expected, ...]:
    """When each job that waits would start, in the order of the queue.

    Args:
        outcomes: By case, what there was at the beginning and what came of it; all of one cluster at one moment.
    """
    starts = {case: _starts(*outcome) for case, outcome in outcomes.items()}
    begin = next((begin for begin, _ in outcomes.values()), None)
    if begin is None:
        return ()
    found: dict[str, Expected] = {}
    for number, job in begin.jobs.items():
        if number in begin.running or job.id in found:
            continue
        asked = begin.workload.jobs[number - 1]
        tasks = (
            job.slurm_name if not job.array_task or job.task is not None else f"{job.array_job_id}_[{job.array_task}]"
        )
        found[job.id] = Expected(
            job=tasks,
            id=job.id,
            name=job.name,
            user=job.user,
            nodes=asked.nodes,
            gpus=int(asked.gpus),
            wall_s=asked.wall_s,
            starts={case: of_case.get(job.id) for case, of_case in starts.items()},
        )
    return tuple(found.values())


def displaced(begin: Snapshot, result: Result) -> int:
    """How many of the jobs that run could not be put where they run, because there was not room as nodes are known."""
    at_once = {
        run.job for run in result.runs if run.start_s == 0.0 and set(run.indices) <= begin.running.get(run.job, set())
    }
    return len(begin.running.keys() - at_once)


def _starts(begin: Snapshot, result: Result) -> dict[str, float]:
    """The first start of each job, in Unix seconds, by our id."""
    began = begin.workload.started_at or 0.0
    found: dict[str, float] = {}
    for run in result.runs:
        if run.job not in begin.running:
            key, at = begin.jobs[run.job].id, began + run.start_s
            found[key] = min(at, found.get(key, at))
    return found

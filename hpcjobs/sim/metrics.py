"""What is counted in a result. Pure; each figure is defined where it is made.

Amounts are in GPUs where the fleet has any, else in nodes. Unless told otherwise a figure over time is over the
arrival window, from the first submission to the last: before it the machine fills up, and after it it runs empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from hpcjobs.sim.placed import Floats
from hpcjobs.sim.result import End, Result, Run
from hpcjobs.sim.workload import SimJob

TAU_S: Final = 10.0
"""Shorter run times count as this in a bounded slowdown."""
Window = tuple[float, float]
Which = Callable[[SimJob], bool]


class Waits(msgspec.Struct, frozen=True):
    """Waits in seconds.

    Attributes:
        count: Of how many.
        mean_s: Mean.
        p50_s: Median.
        p99_s: So long wait 99 % at most.
    """

    count: int
    mean_s: float
    p50_s: float
    p99_s: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one result; each is described at the function of its name.

    Attributes:
        scheduler: Name of the scheduler.
        demand: demand().
        allocation: allocation_rate().
        effective: effective_utilisation().
        fragmentation: fragmentation(); None: no samples were taken.
        wait: waits().
        gang_wait: gang_waits().
        slowdown: bounded_slowdown(); None: no job has ended.
        ettr: ettr(); None: no job has ended.
        makespan_s: makespan_s().
        ended: How many jobs ended for good.
        waiting: How many still waited or ran.
        refused: How many would never fit.
        restarts: How many runs ended in a failed node or a policy's requeue.
        timeouts: How many jobs their limits ended.
        failed: How many jobs ended with a failed node, or because another of their gang had ended before its work was
            done.
    """

    scheduler: str
    demand: float
    allocation: float
    effective: float
    fragmentation: float | None
    wait: Waits
    gang_wait: Waits
    slowdown: float | None
    ettr: float | None
    makespan_s: float
    ended: int
    waiting: int
    refused: int
    restarts: int
    timeouts: int
    failed: int


def summary(result: Result) -> Summary:
    """All figures."""
    ends, ended = [run.end for run in result.runs], list(result.ended.values())
    return Summary(
        scheduler=result.scheduler,
        demand=demand(result),
        allocation=allocation_rate(result),
        effective=effective_utilisation(result),
        fragmentation=fragmentation(result),
        wait=waits(result),
        gang_wait=gang_waits(result),
        slowdown=bounded_slowdown(result),
        ettr=ettr(result),
        makespan_s=makespan_s(result),
        ended=len(result.ended),
        waiting=len(result.jobs) - len(result.ended) - len(result.refused),
        refused=len(result.refused),
        restarts=ends.count(End.NODE_FAIL) + ends.count(End.REQUEUED),
        timeouts=ended.count(End.TIMEOUT),
        failed=sum(ended.count(end) for end in (End.NODE_FAIL, End.FAILED, End.CANCELLED)),
    )


def arrival_window(result: Result) -> Window:
    """From the first submission to the last."""
    times = [job.submit_s for job in result.jobs.values()]
    return (min(times), max(times)) if times else (0.0, 0.0)


def capacity(result: Result) -> int:
    """GPUs of the fleet, or nodes where it has none; also those that are down."""
    return result.gpus or result.nodes


def demand(result: Result) -> float:
    """What all jobs ask for, undisturbed and cut at their limits, as a part of what there is in the arrival window.

    That is the offered load (Feitelson, "Workload Modeling for Computer Systems Performance Evaluation", 2015). Jobs
    that would never fit are not in it.
    """
    refused = set(result.refused)
    asked = sum(
        _asked(result, job) * min(job.run_s, job.wall_s) for job in result.jobs.values() if job.number not in refused
    )
    return _part(result, asked, arrival_window(result))


def allocation_rate(result: Result, window: Window | None = None) -> float:
    """Amount that jobs have, as a part of all there is, over a window. It says something only beside the demand."""
    window = window or arrival_window(result)
    return _part(result, sum(_had(result, run) * within_s(result, run, window) for run in result.runs), window)


def effective_utilisation(result: Result, window: Window | None = None) -> float:
    """Productive amount, as a part of all there is, over a window.

    Productive is what jobs have, minus lost work (since the last checkpoint, when a run is broken off), minus idle
    fragments: the time in which members of a gang wait for others of it on their nodes, and what a job with nodes of
    its own has beside what it asked for. Lost and idle time count in a window by the part of the run that lies in it.
    """
    window = window or arrival_window(result)
    productive = 0.0
    for run in result.runs:
        length_s = ended_s(result, run) - run.start_s
        if length_s > 0:
            good = (length_s - run.idle_s - run.lost_s) / length_s
            productive += (run.gpus_asked if result.gpus else run.nodes) * good * within_s(result, run, window)
    return _part(result, productive, window)


def utilisation(result: Result, step_s: float) -> tuple[tuple[float, float], ...]:
    """Amount that jobs have, as a part of all there is, over time: (start of the step, mean of the step)."""
    if not result.runs:
        return ()
    first = min(run.start_s for run in result.runs)
    last = max(ended_s(result, run) for run in result.runs)
    edges = np.arange(first, max(last, first + step_s), step_s)
    starts = np.array([run.start_s for run in result.runs])
    ends = np.array([ended_s(result, run) for run in result.runs])
    had = np.array([_had(result, run) for run in result.runs])
    area = _integral(starts, had, edges, step_s) - _integral(ends, had, edges, step_s)
    share = np.diff(area) / (capacity(result) * step_s) if capacity(result) else np.zeros(len(edges))
    return tuple(zip(edges.tolist(), share.tolist(), strict=True))


def _integral(times: Floats, amounts: Floats, edges: Floats, step_s: float) -> Floats:
    """Up to each edge and one step more, the time integral of amounts that come at their times and stay."""
    order = np.argsort(times, kind="stable")
    times, amounts = times[order], amounts[order]
    points = np.append(edges, edges[-1] + step_s)
    here = np.searchsorted(times, points, side="right")
    sums = np.concatenate(([0.0], np.cumsum(amounts)))
    moments = np.concatenate(([0.0], np.cumsum(amounts * times)))
    area: Floats = sums[here] * points - moments[here]
    return area


def waits(result: Result, which: Which | None = None) -> Waits:
    """From submission to the first start, of the jobs that have started."""
    starts = _first_starts(result)
    jobs = result.jobs
    return _waits(
        [start_s - jobs[number].submit_s for number, start_s in starts.items() if which is None or which(jobs[number])]
    )


def gang_waits(result: Result) -> Waits:
    """From the first member's submission to the last member's first start, of the gangs that have started whole."""
    starts = _first_starts(result)
    gangs: dict[tuple[str, str], list[SimJob]] = {}
    for job in result.jobs.values():
        if job.hints.gang:
            gangs.setdefault((job.user, job.hints.gang), []).append(job)
    return _waits(
        [
            max(starts[job.number] for job in members) - min(job.submit_s for job in members)
            for members in gangs.values()
            if all(job.number in starts for job in members)
        ]
    )


def bounded_slowdown(result: Result, which: Which | None = None, tau_s: float = TAU_S) -> float | None:
    """Mean of max(1, response / max(run, tau)), of the jobs that have ended.

    Feitelson et al., "Theory and Practice in Parallel Job Scheduling", JSSPP 1997. Response is from submission to the
    last end, run the undisturbed run time cut at the limit.
    """
    values = [
        max(1.0, (end_s - job.submit_s) / max(min(job.run_s, job.wall_s), tau_s))
        for number, end_s in _last_ends(result).items()
        if which is None or which(result.jobs[number])
        for job in (result.jobs[number],)
    ]
    return sum(values) / len(values) if values else None


def fragmentation(result: Result) -> float | None:
    """Share of free GPUs on nodes where none of the waiting jobs' needs on one node fits, mean over the samples.

    Samples at which no GPU is free or no job waits are left out; None: there are no others. The notion is that of
    Weng et al., "Beware of Fragmentation", USENIX ATC 2023, with the waiting jobs in the place of a typical workload.
    """
    shares = [sample.gpus_stuck / sample.gpus_free for sample in result.samples if sample.gpus_free and sample.waiting]
    return sum(shares) / len(shares) if shares else None


def ettr(result: Result, which: Which | None = None) -> float | None:
    """Effective training time ratio: productive time / time from the first start to the end; mean over ended jobs.

    Kokolis et al., "Revisiting Reliability in Large-Scale Machine Learning Research Clusters", HPCA 2025 (arXiv
    2410.21680); here the time in the queue before the first start is not counted, that after a restart is.
    """
    good: dict[int, float] = {}
    for run in result.runs:
        good[run.job] = good.get(run.job, 0.0) + ended_s(result, run) - run.start_s - run.idle_s - run.lost_s
    starts = _first_starts(result)
    ratios = [
        good[number] / (end_s - starts[number])
        for number, end_s in _last_ends(result).items()
        if end_s > starts[number] and (which is None or which(result.jobs[number]))
    ]
    return sum(ratios) / len(ratios) if ratios else None


def makespan_s(result: Result) -> float:
    """From the first submission to the last end."""
    ends = [ended_s(result, run) for run in result.runs]
    return max(ends) - arrival_window(result)[0] if ends else 0.0


def _asked(result: Result, job: SimJob) -> float:
    return job.gpus if result.gpus else float(job.nodes)


def _had(result: Result, run: Run) -> float:
    return run.gpus if result.gpus else float(run.nodes)


def ended_s(result: Result, run: Run) -> float:
    """When a run ended, or when the simulation stopped under it."""
    return result.stopped_s if run.end_s is None else run.end_s


def within_s(result: Result, run: Run, window: Window) -> float:
    """So much of a run's time lies in a window."""
    return max(0.0, min(ended_s(result, run), window[1]) - max(run.start_s, window[0]))


def _part(result: Result, amount_s: float, window: Window) -> float:
    there_is = capacity(result) * (window[1] - window[0])
    return amount_s / there_is if there_is > 0 else 0.0


def _first_starts(result: Result) -> dict[int, float]:
    starts: dict[int, float] = {}
    for run in result.runs:
        starts[run.job] = min(run.start_s, starts.get(run.job, run.start_s))
    return starts


def _last_ends(result: Result) -> dict[int, float]:
    """When each job ended that has ended for good."""
    ends: dict[int, float] = {}
    for run in result.runs:
        if run.job in result.ended and run.end_s is not None:
            ends[run.job] = max(run.end_s, ends.get(run.job, run.end_s))
    return ends


def _waits(values: list[float]) -> Waits:
    if not values:
        return Waits(0, 0.0, 0.0, 0.0)
    p50_s, p99_s = np.percentile(values, (50, 99)).tolist()
    return Waits(len(values), sum(values) / len(values), p50_s, p99_s)

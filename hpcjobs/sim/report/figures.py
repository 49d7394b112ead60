"""Figures of results by name, and their mean and spread over seeds. What each is: sim/metrics.py. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.sim import metrics
from hpcjobs.sim.metrics import Waits, Which
from hpcjobs.sim.result import Result
from hpcjobs.sim.workload import SimJob

UNITS: Final[Mapping[str, str]] = {
    "demand": "share",
    "allocation": "share",
    "effective": "share",
    "fragmentation": "share of free GPUs",
    "wait_count": "jobs",
    "wait_mean_s": "s",
    "wait_p50_s": "s",
    "wait_p99_s": "s",
    "gang_wait_count": "gangs",
    "gang_wait_mean_s": "s",
    "gang_wait_p50_s": "s",
    "gang_wait_p99_s": "s",
    "slowdown": "",
    "ettr": "share",
    "makespan_s": "s",
    "ended": "jobs",
    "waiting": "jobs",
    "refused": "jobs",
    "restarts": "runs",
    "timeouts": "jobs",
    "failed": "jobs",
    "failures": "nodes",
}
"""Units of the figures, in the order in which they are told. A share is of 1."""
OF_ARRIVALS: Final = ("demand", "allocation", "effective")
"""Figures over the arrival window: there is none where all jobs are submitted at once."""


class Spread(msgspec.Struct, frozen=True):
    """A figure over seeds.

    Attributes:
        mean: Mean of those seeds that have it.
        sd: Sample standard deviation; 0 for one seed.
        least: Least.
        most: Most.
        seeds: How many seeds have it.
    """

    mean: float
    sd: float
    least: float
    most: float
    seeds: int


class SizeWaits(msgspec.Struct, frozen=True):
    """Waits of the jobs of one class of size.

    Attributes:
        size: The class, as ``1`` or ``9-16``.
        unit: ``GPUs``, or ``nodes`` where the fleet has no GPU.
        wait: Waits to the first start.
    """

    size: str
    unit: str
    wait: Waits


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one simulation.

    Attributes:
        seed: Its seed.
        figures: By name, see UNITS; None: this result does not have it.
        waits: By size, smallest first.
        acted: What became of actions: count by policy, kind and outcome.
        policy_errors: How often each policy raised.
    """

    seed: int
    figures: Mapping[str, float | None]
    waits: tuple[SizeWaits, ...]
    acted: Mapping[str, Mapping[str, int]]
    policy_errors: Mapping[str, int]


def trial(result: Result, seed: int, which: Which | None = None) -> Trial:
    """Everything that is counted in a result.

    Args:
        result: Of a simulation.
        seed: Its seed.
        which: The jobs whose waits count; None: all. With it there is no slowdown and no ETTR: what starts from a real
            cluster knows only the rest of the jobs that run.
    """
    return Trial(
        seed=seed,
        figures=figures(result, which),
        waits=waits_by_size(result, which),
        acted=_acted(result),
        policy_errors=result.policy_errors,
    )


def figures(result: Result, which: Which | None = None) -> dict[str, float | None]:
    """The figures of one result, by name. See trial()."""
    made = metrics.summary(result)
    found: dict[str, float | None] = {}
    for name in made.__struct_fields__:
        value = getattr(made, name)
        if name == "wait" and which is not None:
            value = metrics.waits(result, which)
        if isinstance(value, Waits):
            found |= _flat(name, value)
        elif name != "scheduler":
            found[name] = value
    first, last = metrics.arrival_window(result)
    if first == last:
        found |= dict.fromkeys(OF_ARRIVALS)
    if which is not None:
        found |= {"slowdown": None, "ettr": None}
    found["failures"] = len(result.failures)
    return {name: found[name] for name in UNITS}


def _flat(name: str, waits: Waits) -> dict[str, float | None]:
    told = msgspec.structs.asdict(waits)
    return {f"{name}_{key}": value if key == "count" or waits.count else None for key, value in told.items()}


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and spread of a figure over seeds; None: no seed has it."""
    there = [float(value) for value in values if value is not None]
    if not there:
        return None
    sd = statistics.stdev(there) if len(there) > 1 else 0.0
    return Spread(statistics.fmean(there), sd, min(there), max(there), len(there))


def over_seeds(trials: Sequence[Trial]) -> dict[str, Spread | None]:
    """Each figure over the seeds of one case."""
    return {name: spread([one.figures[name] for one in trials]) for name in UNITS}


def size_class(size: float) -> int:
    """The class of a size: the least power of two that is not below it; 1 for all up to 1, 0 for none."""
    if size <= 0:
        return 0
    most = 1
    while most < size:
        most *= 2
    return most


def size_words(most: int) -> str:
    """What a class of sizes is called: ``3-4``."""
    return str(most) if most <= 2 else f"{most // 2 + 1}-{most}"


def waits_by_size(result: Result, which: Which | None = None) -> tuple[SizeWaits, ...]:
    """Waits by class of size, smallest first: GPUs of a job, or nodes where the fleet has no GPU."""
    in_gpus = result.gpus > 0

    def size_of(job: SimJob) -> int:
        return size_class(job.gpus if in_gpus else job.nodes)

    there = sorted({size_of(job) for job in result.jobs.values() if which is None or which(job)})
    found = [
        SizeWaits(
            size_words(size),
            "GPUs" if in_gpus else "nodes",
            metrics.waits(result, lambda job, size=size: size_of(job) == size and (which is None or which(job))),  # type: ignore[misc]
        )
        for size in there
    ]
    return tuple(one for one in found if one.wait.count)


def _acted(result: Result) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for acted in result.acted:
        kind = str(acted.action.__struct_config__.tag)
        outcome = "not done" if acted.outcome.startswith("not done") else acted.outcome
        counts.setdefault(acted.policy, Counter())[f"{kind} {outcome}"] += 1
    return {policy: dict(sorted(count.items())) for policy, count in counts.items()}

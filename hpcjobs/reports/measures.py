"""The measures of reports: what each is, and its SQL. docs/REPORTS.md is about these.

SQL speaks of the rows of relations (hpcjobs.reports.query): ``parts``, one line each run; ``gpu_parts``, one line each
run and kind of its GPUs; ``sampled``, one line each run and five minutes of a device; ``pool``, one line each node,
kind of its GPUs and time in which it had these; ``lost``, one line each run, kind of its GPUs and time that a failure
took; ``gpu_charges`` and ``charges``, one line each run, kind of its GPUs or else resource, and price. What is ``of``
none is computed of other measures.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from hpcjobs.usage.charges import UNIT

FAILURES: Final = ("FAILED", "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")
"""States of runs that ended badly, other than by their owner or by preemption."""
_FAILED: Final = "state IN ({})".format(", ".join(f"'{state}'" for state in FAILURES))


OF_ENERGY: Final = frozenset({"energy_kwh", "co2_kg"})
"""Measures that need what was sampled of the GPUs of runs beside them."""
CURRENCY: Final = "currency"
"""The unit of money, until it is known whose."""


class Of(StrEnum):
    """Which relation a measure is of."""

    RUNS = "parts"
    GPUS = "gpu_parts"
    SAMPLES = "sampled"
    POOL = "pool"
    GPU_COST = "gpu_charges"
    COST = "charges"
    LOST = "lost"
    OTHERS = "others"


class Measure(NamedTuple):
    """One measure.

    Attributes:
        title: As people read it.
        unit: See Column.
        of: The relation.
        sql: An aggregate over it.
        definition: In a sentence.
        parts: The measures that it is computed of, row by row, where it is no aggregate itself (``Of.OTHERS``).
        adds_up: Whether the rows of a report have together what its total has.
        absent: What it is where there is nothing to measure: 0 of hours and counts; None: nothing is known then.
    """

    title: str
    unit: str
    of: Of
    sql: str
    definition: str
    adds_up: bool = True
    absent: int | None = 0
    parts: tuple[str, ...] = ()


def _hours(amount: str) -> str:
    return f"sum({amount}) / 3600.0"


def _lost(*parts: str) -> str:
    told = ", ".join(f"'{part}'" for part in parts)
    return _hours(f"CASE WHEN part IN ({told}) THEN held * lost_s * share ELSE 0 END")


_COST: Final = f"sum(part_s * micros * share) / {UNIT}"


MEASURES: Final[dict[str, Measure]] = {
    "runs": Measure(
        "runs", "", Of.RUNS, "count(*)",
        "Runs that had nodes in the period, or ended in it. A requeued job has several.", adds_up=False,
    ),
    "jobs": Measure(
        "jobs", "", Of.RUNS, "count(DISTINCT (cluster, slurm_job_id))",
        "Jobs of which a run had nodes in the period, or ended in it; each task of an array is one.", adds_up=False,
    ),
    "gpu_hours": Measure(
        "GPU-hours", "h", Of.GPUS, _hours("devices * used_s * share"),
        "Devices that programs saw, times hours without suspension: a MIG slice is one, shares of a GPU are one.",
    ),
    "gpu_hours_equivalent": Measure(
        "whole-GPU-hours", "h", Of.GPUS, _hours("equivalent * used_s * share"),
        "The same in whole GPUs: the smallest of seven slices is 1/7, one of four shards 1/4.",
    ),
    "gpu_hours_held": Measure(
        "GPU-hours held", "h", Of.GPUS, _hours("held * held_s * share"),
        "Whole GPUs that nobody else could have, times hours with suspension: of nodes that a job had to itself, all.",
    ),
    "gpu_hours_suspended": Measure(
        "GPU-hours suspended", "h", Of.GPUS, _hours("equivalent * (held_s - used_s) * share"),
        "Whole GPUs of suspended jobs, which keep them, times hours.",
    ),
    "gpu_hours_unresolved": Measure(
        "GPU-hours of unknown kind", "h", Of.GPUS,
        _hours("CASE WHEN kind = '' THEN equivalent * used_s * share ELSE 0 END"),
        "Whole-GPU-hours of GPUs whose kind neither the job nor its nodes tell.",
    ),
    "gpu_hours_failed": Measure(
        "GPU-hours failed", "h", Of.GPUS, _hours(f"CASE WHEN {_FAILED} THEN equivalent * used_s * share ELSE 0 END"),
        "Whole-GPU-hours of runs that ended as " + ", ".join(FAILURES) + ".",
    ),
    "cpu_hours": Measure(
        "CPU-hours", "h", Of.RUNS, _hours("cpus * used_s * share"), "Allocated CPUs, times hours without suspension."
    ),
    "mem_gib_hours": Measure(
        "GiB-hours", "GiB h", Of.RUNS, _hours("mem_bytes / 1073741824.0 * used_s * share"),
        "Allocated memory, times hours without suspension.",
    ),
    "node_hours": Measure(
        "node-hours", "h", Of.RUNS, _hours("nodes * used_s * share"),
        "Nodes that a job had or had a part of, times hours without suspension.",
    ),
    "started": Measure(
        "started", "", Of.RUNS, "count(*) FILTER (WHERE wait_s IS NOT NULL)",
        "Runs that started in the period.", adds_up=False,
    ),
    "wait_mean_s": Measure(
        "mean wait", "s", Of.RUNS, "avg(wait_s)",
        "From when a run could start (begin time, dependencies) to its start, of those that started in the period.",
        adds_up=False, absent=None,
    ),
    **{
        f"wait_p{share}_s": Measure(
            f"wait, {share} %", "s", Of.RUNS, f"quantile_cont(wait_s, 0.{share})",
            f"So long at most waited {share} of 100 runs that started in the period.", adds_up=False,
            absent=None,
        )
        for share in (50, 90, 99)
    },
    "wait_max_s": Measure(
        "longest wait", "s", Of.RUNS, "max(wait_s)", "The longest of these waits.", adds_up=False, absent=None
    ),
    "expansion_factor": Measure(
        "expansion", "", Of.RUNS, "sum(ended_wait_s + ended_run_s) / nullif(sum(ended_run_s), 0)",
        "Time from when a run could start to its end over the time that it ran: sums over the runs that ended in the "
        "period, so that long runs count for more. 1: nobody waited.", adds_up=False, absent=None,
    ),
    "cpu_efficiency": Measure(
        "CPU efficiency", "share", Of.RUNS, "sum(ended_cpu_s) / nullif(sum(ended_cpu_capacity_s), 0)",
        "CPU time of steps over allocated CPUs times run time, of runs that ended in the period and were measured.",
        adds_up=False, absent=None,
    ),
    "ended": Measure(
        "ended", "", Of.RUNS, "count(*) FILTER (WHERE ended)", "Runs that ended in the period.", adds_up=False
    ),
    "failed": Measure(
        "failed", "", Of.RUNS, f"count(*) FILTER (WHERE ended AND {_FAILED})",
        "Of these, as " + ", ".join(FAILURES) + ".", adds_up=False,
    ),
    "failed_share": Measure(
        "failed", "share", Of.RUNS,
        f"count(*) FILTER (WHERE ended AND {_FAILED}) / nullif(count(*) FILTER (WHERE ended), 0)",
        "The share of failed runs in those that ended.", adds_up=False, absent=None,
    ),
    "energy_kwh": Measure(
        "energy", "kWh", Of.RUNS, "sum(ended_energy_j * share) / 3.6e6",
        "Energy of runs that ended in the period: of their nodes where Slurm measured it, else of their GPUs as far as "
        "these were sampled; nothing of runs of which neither is known.",
        absent=None,
    ),
    "co2_kg": Measure(
        "CO2", "kg", Of.RUNS, "sum(ended_co2 * share) / 3.6e9",
        "What this energy emitted, by the factors that held while they ran.", absent=None,
    ),
    "gpu_busy": Measure(
        "GPU busy", "share", Of.SAMPLES, "sum(busy_s) / nullif(sum(covered_s), 0)",
        "How much of the time that was sampled GPUs were busy.", adds_up=False, absent=None,
    ),
    "gpu_hours_idle": Measure(
        "GPU-hours idle", "h", Of.SAMPLES, "sum(covered_s - busy_s) / 3600.0",
        "Hours in which devices that somebody had were not busy, as far as was sampled.", absent=None,
    ),
    "gpu_hours_lost": Measure(
        "GPU-hours lost", "h", Of.LOST, _lost("lost", "stalled", "restarting"),
        "Whole GPUs held, times hours that failures took: undone, stalled and restarting. At most: without checkpoints "
        "that are known a run that failed has lost all of its time.",
    ),
    "gpu_hours_undone": Measure(
        "GPU-hours undone", "h", Of.LOST, _lost("lost"),
        "Of these, work between the last checkpoint that is known and the failure.",
    ),
    "gpu_hours_stalled": Measure(
        "GPU-hours stalled", "h", Of.LOST, _lost("stalled"),
        "Of these, time in which runs had hung, until somebody noticed.",
    ),
    "gpu_hours_restarting": Measure(
        "GPU-hours restarting", "h", Of.LOST, _lost("restarting"),
        "Of these, time from the start of the next run until its program began.",
    ),
    "gpu_hours_waited": Measure(
        "GPU-hours waited", "h", Of.LOST, _lost("waiting"),
        "Whole GPUs that jobs waited for between a run that failed and the next, times hours; nobody held these.",
    ),
    "ettr": Measure(
        "ETTR", "share", Of.OTHERS,
        "(gpu_hours_held - coalesce(gpu_hours_lost, 0)) / nullif(gpu_hours_held + coalesce(gpu_hours_waited, 0), 0)",
        "GPU-hours held that were not lost, over these and those waited between runs. At least; saving and the first "
        "wait do not count.", adds_up=False, absent=None,
        parts=("gpu_hours_held", "gpu_hours_lost", "gpu_hours_waited"),
    ),
    "cost": Measure(
        "cost", CURRENCY, Of.OTHERS, "coalesce(cost_gpus + cost_others, cost_gpus, cost_others)",
        "Hours times the price that held, of what has one (docs/BILLING.md); nothing where nothing has.", absent=None,
        parts=("cost_gpus", "cost_others"),
    ),
    "cost_gpus": Measure("cost of GPUs", CURRENCY, Of.GPU_COST, _COST, "The same of GPUs.", absent=None),
    "cost_others": Measure(
        "other cost", CURRENCY, Of.COST, _COST, "The same of CPUs, memory and nodes.", absent=None
    ),
    "gpu_hours_there": Measure(
        "GPU-hours there", "h", Of.POOL, _hours("there_s"),
        "Whole GPUs of the nodes, times hours since they were first listed, until accounting was read.",
    ),
    "gpu_hours_down": Measure(
        "GPU-hours down", "h", Of.POOL, _hours("CASE WHEN usable THEN 0 ELSE there_s END"),
        "Of these, those of nodes that would start no job: down, drained or failing, also while jobs still end there.",
    ),
    "pool_used": Measure(
        "pool used", "share", Of.OTHERS, "coalesce(gpu_hours_held, 0) / nullif(gpu_hours_there, 0)",
        "GPU-hours held over GPU-hours there.", adds_up=False, absent=None,
        parts=("gpu_hours_held", "gpu_hours_there"),
    ),
    "pool_down": Measure(
        "pool down", "share", Of.OTHERS, "coalesce(gpu_hours_down, 0) / nullif(gpu_hours_there, 0)",
        "GPU-hours down over GPU-hours there.", adds_up=False, absent=None,
        parts=("gpu_hours_down", "gpu_hours_there"),
    ),
}  # fmt: skip
"""By name."""

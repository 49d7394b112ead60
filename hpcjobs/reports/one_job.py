"""What one job used, of usage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import duckdb
import msgspec

from hpcjobs.model.job import Job
from hpcjobs.model.job_usage import JobUsage, RunUsage
from hpcjobs.model.usage import Basis, GpuUse, Run
from hpcjobs.usage.amounts import held_s, used_s
from hpcjobs.usage.efficiency import Busy, efficiency
from hpcjobs.usage.energy import CarbonFactor, co2_g, energy_of
from hpcjobs.usage.intake import read_until
from hpcjobs.usage.samples import busy_of

MOST_RUNS: Final = 1_000
ALWAYS: Final = (0, 2**40)
"""From before all jobs until after them."""
FIELDS: Final = (
    "slurm_job_id", "submit_time", "start_time", "end_time", "raw_state", "suspended_s", "nodes", "node_list", "cpus",
    "cpu_used_s", "mem_max_bytes", "energy_j",
)  # fmt: skip


def usage_of(connection: duckdb.DuckDBPyConnection, job: Job, carbon: Sequence[CarbonFactor] = ()) -> JobUsage:
    """What a job used.

    Args:
        connection: To usage.
        job: Which; of an array or a heterogeneous job all tasks and components count.
        carbon: What a kWh emits.
    """
    until = read_until(connection, job.cluster)
    whole = JobUsage(id=job.id, cluster=job.cluster, slurm_job_id=job.slurm_job_id, read_until=until)
    if job.slurm_job_id is None or until is None:
        return whole
    one = "het_job_id" if job.het_job_id == job.slurm_job_id else "slurm_job_id"
    number = "array_job_id" if job.array_size else one
    told = ", ".join(f"r.{field}" for field in FIELDS)
    rows = connection.execute(
        f"SELECT r.run, {used_s(*ALWAYS)}, {held_s(*ALWAYS)}, {told}"
        " FROM runs AS r JOIN clusters AS c ON c.cluster = r.cluster"
        f" WHERE r.cluster = $cluster AND r.{number} = $number ORDER BY r.submit_time, r.slurm_job_id",
        {"cluster": job.cluster, "number": job.slurm_job_id},
    ).fetchall()
    numbers = [row[0] for row in rows]
    gpus, busy = _gpus(connection, numbers), busy_of(connection, numbers)
    runs = [_run(row, gpus[row[0]], busy.get(row[0]), until, carbon) for row in rows]
    return msgspec.structs.replace(
        whole,
        runs=tuple(runs[:MOST_RUNS]),
        more=max(0, len(runs) - MOST_RUNS),
        gpu_hours=sum(run.gpu_hours for run in runs),
        gpu_hours_equivalent=sum(run.gpu_hours_equivalent for run in runs),
        gpu_hours_held=sum(run.gpu_hours_held for run in runs),
        cpu_hours=sum(run.cpu_hours for run in runs),
    )


TRIED: Final = (
    "slurm_job_id", "submit_time", "start_time", "end_time", "user", "raw_state", "nodes", "node_list", "exit_code",
    "exit_signal", "restarts",
)  # fmt: skip


def runs_of(connection: duckdb.DuckDBPyConnection, job: Job, since: float) -> list[Run]:
    """The runs of a job as accounting has them, with the facts that ``TRIED`` names.

    Args:
        connection: To usage.
        job: Which; of an array or a heterogeneous job not its tasks or components.
        since: Not those submitted before this Unix second: Slurm gives numbers again.
    """
    told = ", ".join(f'"{field}"' for field in TRIED)
    rows = connection.execute(
        f"SELECT {told} FROM runs WHERE cluster = $cluster AND slurm_job_id = $number AND submit_time >= $since"
        ' AND "user" = $user ORDER BY submit_time',
        {"cluster": job.cluster, "number": job.slurm_job_id, "since": int(since), "user": job.user},
    ).fetchall()
    return [Run(**{name: value for name, value in zip(TRIED, row, strict=True) if value is not None}) for row in rows]


def _gpus(connection: duckdb.DuckDBPyConnection, runs: list[int]) -> dict[int, tuple[GpuUse, ...]]:
    found: dict[int, tuple[GpuUse, ...]] = defaultdict(tuple)
    for run, kind, sharing, devices, equivalent, held, basis in connection.execute(
        "SELECT run, kind, sharing, devices, equivalent, held, basis FROM run_gpus"
        " WHERE list_contains($runs::BIGINT[], run) ORDER BY run, devices DESC, kind",
        {"runs": runs},
    ).fetchall():
        found[run] += (GpuUse(kind, sharing, devices, equivalent, held, Basis(basis)),)
    return found


def _run(
    row: tuple[Any, ...], gpus: tuple[GpuUse, ...], busy: Busy | None, until: int, carbon: Sequence[CarbonFactor]
) -> RunUsage:
    _, used, held, *told = row
    optional = ("cpu_used_s", "mem_max_bytes", "energy_j")
    facts = {name: value for name, value in zip(FIELDS, told, strict=True) if value is not None or name in optional}
    run = Run(**facts)
    well = efficiency(run, gpus, busy, until)
    energy = energy_of(run.energy_j, busy.energy_j if busy else None)
    return RunUsage(
        slurm_job_id=run.slurm_job_id,
        submit_time=run.submit_time,
        start_time=run.start_time,
        end_time=run.end_time,
        raw_state=run.raw_state,
        nodes=run.nodes,
        node_list=run.node_list,
        cpus=run.cpus,
        gpus=gpus,
        used_s=used,
        held_s=held,
        gpu_hours=sum(use.devices for use in gpus) * used / 3600,
        gpu_hours_equivalent=sum(use.equivalent for use in gpus) * used / 3600,
        gpu_hours_held=sum(use.held for use in gpus) * held / 3600,
        cpu_hours=run.cpus * used / 3600,
        cpu_efficiency=well.cpu if run.end_time else None,
        gpu_busy=well.gpu,
        gpu_coverage=well.gpu_coverage,
        gpu_hours_idle=well.idle_gpu_h,
        mem_max_bytes=run.mem_max_bytes,
        energy_kwh=energy.kwh if energy else None,
        energy_basis=energy.basis if energy else None,
        co2_g=co2_g(energy.kwh, run.start_time, run.end_time, carbon) if energy and run.end_time else None,
    )

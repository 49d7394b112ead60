"""``hpcjobs usage``: what a job used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.model.job_usage import JobUsage, RunUsage


@click.command()
@click.argument("job")
@cluster_option
@json_option
def usage(job: str, cluster: str | None, as_json: bool) -> None:
    """Say what JOB used: GPUs by kind, hours, how busy they were; each try of it for itself."""
    with service() as client:
        found = client.job_usage(job, cluster=cluster)
        print_json(found) if as_json else _show(found)


def _share(part: float | None) -> str:
    from hpcjobs.reports.shown import NOTHING, share

    return NOTHING if part is None else share(part)


def _gpus(run: RunUsage) -> str:
    told = (f"{use.devices} {use.kind or 'unresolved'}" for use in run.gpus if use.devices)
    return ", ".join(told) or "-"


def _show(found: JobUsage) -> None:
    from hpcjobs.cli.show import duration, moment, table

    rows = [
        (
            str(run.slurm_job_id), run.raw_state, moment(run.start_time) if run.start_time else "-",
            duration(run.used_s), _gpus(run), f"{run.gpu_hours_equivalent:.2f}", f"{run.gpu_hours_held:.2f}",
            f"{run.cpu_hours:.2f}", _share(run.cpu_efficiency), _share(run.gpu_busy), run.node_list or "-",
        )
        for run in found.runs
    ]  # fmt: skip
    header = ("JOB", "STATE", "STARTED", "USED", "GPUS", "GPU-HOURS", "HELD", "CPU-HOURS", "CPU", "GPU BUSY", "NODES")
    table(header, rows, 1)
    if len(found.runs) > 1:
        click.echo(
            f"Together {found.gpu_hours_equivalent:.2f} GPU-hours, {found.gpu_hours_held:.2f} held, "
            f"{found.cpu_hours:.2f} CPU-hours.",
            err=True,
        )
    for run in found.runs:
        if run.gpu_hours_idle:
            devices = sum(use.devices for use in run.gpus)
            click.echo(
                f"{run.slurm_job_id}: {devices} GPUs allocated, {_share(run.gpu_busy)} busy, {duration(run.used_s)}: "
                f"{run.gpu_hours_idle:.1f} GPU-hours that nobody used.",
                err=True,
            )
    if found.more:
        click.echo(f"{found.more} more runs are in these sums.", err=True)
    if not found.runs:
        click.echo("Slurm's accounting has not told of it yet.", err=True)

"""``hpcjobs place``: where a training would run, and in which order of ranks, before it is submitted or inside it."""

from __future__ import annotations

import sys
from typing import Final

import click

from hpcjobs.cli.common import cluster_option, given, json_option, print_json, service
from hpcjobs.cli.completion import values

SCRIPT: Final = "#!/bin/sh\n"


@click.command()
@click.argument("parallel", metavar="WORDS")
@cluster_option
@click.option("--partition", "-p", help="Partition, or several with commas.", shell_complete=values.partitions)
@click.option("--gpus-per-node", help="GPUs a node, [type:]count.")
@click.option("--nodelist", "-w", help="On these nodes, whatever runs there: $SLURM_JOB_NODELIST.")
@click.option("--exclude", "-x", help="Nodes not to use.")
@click.option("--dry-run", is_flag=True, help="Say where it would run; nothing is submitted. The default.")
@click.option("--hostfile", is_flag=True, help="Print only the nodes in the order of ranks, a line a task.")
@json_option
def place(
    parallel: str,
    cluster: str | None,
    partition: str | None,
    gpus_per_node: str | None,
    nodelist: str | None,
    exclude: str | None,
    dry_run: bool,
    hostfile: bool,
    as_json: bool,
) -> None:
    """Say where a training of WORDS, as tp=8,pp=4,dp=32, would run now. hpcjobs submit --parallel submits one.

    Inside a job: hpcjobs place tp=8,dp=4 -w "$SLURM_JOB_NODELIST" --hostfile > hosts; SLURM_HOSTFILE=hosts srun -m
    arbitrary ...
    """
    resources = given(gpus_per_node=gpus_per_node, nodelist=nodelist, exclude=exclude)
    request = given(script=SCRIPT, cluster=cluster, partition=partition, parallel=parallel, resources=resources)
    with service() as client:
        verdict = client.validate(request)
        placement = verdict.placement
        if as_json:
            print_json(verdict)
        elif placement is not None and hostfile:
            click.echo("\n".join(placement.ranks or ()))
        elif placement is not None:
            click.echo(placement.why)
    for fault in verdict.errors:
        click.echo(f"hpcjobs: error: {fault.detail}", err=True)
    if placement is None and not verdict.errors:
        click.echo("hpcjobs: no plugin has anything to say to where it should run: Slurm chooses", err=True)
    sys.exit(placement is None or (hostfile and not placement.ranks))

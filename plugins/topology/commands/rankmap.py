"""``hpcjobs topology rankmap``: which rank of a training lies on which of its nodes, for launchers and for Slurm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.slurmconf.saying import faults, print_json, say, tell
from hpcjobs_plugins.topology.commands.options import Asked, Sectioned, json_option, site_options
from hpcjobs_plugins.topology.commands.saying import grid, tell_notices

if TYPE_CHECKING:
    from hpcjobs_plugins.topology.placement.planning import Plan

FORMATS: Final = ("table", "tasks", "nodes", "slots", "why")


@click.command(cls=Sectioned)
@site_options()
@click.option("--parallel", metavar="WORDS", required=True, help="How it is parallel, as tp=8,pp=4,dp=2: as of submit.")
@click.option("--nodelist", "-w", metavar="HOSTLIST", default="", help="Its nodes.  [default: $SLURM_JOB_NODELIST]")
@click.option("--job", metavar="JOBID", default="", help="Its nodes are those of this job, as squeue has them.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    default="table",
    help="tasks: for SLURM_HOSTFILE, a line a rank; nodes: the same, a line a node, for torchrun; slots: a hostfile of "
    "DeepSpeed or Open MPI; why: what it is worth; table: every rank.  [default: table]",
)
@json_option
def rankmap(asked: Asked, parallel: str, nodelist: str, job: str, form: str, as_json: bool) -> None:
    """Print where each rank of a training lies on the nodes that it has. The service is not asked.

    In a job: hpcjobs topology rankmap site.json --parallel tp=8,dp=4 --format tasks > hosts; SLURM_HOSTFILE=hosts srun
    --distribution=arbitrary ...

    With more nodes than it needs, the best of them are taken, and it is said which are left.

    Exit code: 0 it is printed, 2 something cannot be read, or the ranks do not go on these nodes.
    """
    with faults():
        from hpcjobs_plugins.topology.placement import rankmap as written
        from hpcjobs_plugins.topology.placement.explain import explain

        plan = _planned(asked, parallel, _nodes(nodelist, job))
        if as_json:
            print_json([rank._asdict() for rank in written.ranks(plan)])
        elif form == "table":
            grid(written.rank_table(plan), [name.upper() for name in written.Rank._fields if name != "node"], key=1)
        elif form == "why":
            say(explain(plan).rstrip("\n"))
        elif form == "slots":
            say(written.hostfile(plan).rstrip("\n"))
        else:
            say(written.task_hostfile(plan, per_node=form == "nodes").rstrip("\n"))


def _nodes(nodelist: str, job: str) -> list[str]:
    """The nodes that were said.

    Raises:
        FabricError: They are no hostlist, or none.
        Unavailable: squeue does not say which.
        UsageError: None were said, or twice.
    """
    from hpcjobs.sbatch.hostlists import expand_hostlist
    from hpcjobs.slurmconf.runner import local, must
    from hpcjobs_plugins.topology.fabric import FabricError

    if nodelist and job:
        raise click.UsageError("say --nodelist or --job")
    source = "--nodelist"
    if job:
        source = f"job {job}"
        words = ["squeue", "--noheader", "--format=%N", f"--job={job}"]
        nodelist = must(local(), words, f"squeue does not say where {source} runs").decode(errors="replace").strip()
        if not nodelist:
            raise FabricError("it does not run", source)
        if "\n" in nodelist:
            raise FabricError("it is several jobs: say one task of an array, or one part of a het job", source)
    elif not nodelist:
        source = "SLURM_JOB_NODELIST"
        nodelist = os.environ.get(source, "")
        if not nodelist:
            raise click.UsageError("say which nodes: --nodelist or --job; outside of a job nobody else does")
    try:
        found = expand_hostlist(nodelist)
    except ValueError as error:
        raise FabricError(str(error), source) from None
    if not found:
        raise FabricError("it names no node", source)
    return found


def _planned(asked: Asked, parallel: str, nodes: list[str]) -> Plan:
    """The ranks on the nodes.

    Raises:
        FabricError: A source cannot be read.
        UsageError: The ranks cannot be, or not on these nodes.
    """
    from hpcjobs.sbatch.hostlists import fold_hostlist
    from hpcjobs_plugins.topology.commands.sites import given, site_of
    from hpcjobs_plugins.topology.placement.planning import WAITS, plan
    from hpcjobs_plugins.topology.placement.request import Request, wanted
    from hpcjobs_plugins.topology.settings import Translation

    try:
        request, objective = wanted(parallel, Request().gpus)
    except ValueError as error:
        raise click.UsageError(f"--parallel {parallel}: {error}") from None
    known = given(asked)
    site = site_of(asked, known)
    translation = known.of.translation if known.of else Translation()
    try:
        made = plan(site, nodes, request, objective, slurm=translation.slurm, release=translation.release)
    except ValueError as error:
        raise click.UsageError(f"--parallel {parallel}: {error}") from None
    tell_notices(one for one in made.notices if one.code != WAITS)  # they are its nodes already
    if left := set(nodes).difference(made.nodes):
        tell(f"{fold_hostlist(left)} of its nodes have no rank", "note")
    return made

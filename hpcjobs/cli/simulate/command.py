"""The options of ``hpcjobs simulate``. What is heavy is imported when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from hpcjobs.cli.common import cluster_option, json_option
from hpcjobs.cli.expand import Duration

MOST_SEEDS: Final = 1000


class Asked(NamedTuple):
    """What was said on the command line; as the options have it."""

    files: tuple[Path, ...]
    format_name: str
    fleet: str
    generate: str
    topology: Path | None
    demand: float | None
    window: str
    stretch_limits: bool
    failures: float | None
    lemons: tuple[float, float]
    repair_s: float
    requeue_s: float
    scheduler: str
    policy: tuple[str, ...]
    period_s: float
    placement: str
    case: tuple[str, ...]
    seeds: int
    seed: int
    until_s: float | None
    from_live: bool
    cluster: str | None
    add_nodes: str
    without: str
    predict: bool
    out: Path | None
    as_json: bool


_FILE: Final = click.Path(path_type=Path)


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_FILE)
@click.option("--format", "format_name", metavar="NAME", default="", help="Form of FILE: swf, sacct, openb-pods, "
    "philly and so on; where left out, as its first lines have it.")  # fmt: skip
@click.option("--fleet", metavar="FILE|NxG", default="", help="The nodes: a file, or N nodes of G GPUs, as 1250x8.")
@click.option("--generate", metavar="llm[:JSON]", default="",
    help="""Make the jobs: an LLM mix. JSON, as '{"jobs": 5000, "gangs": 0.2}'.""")  # fmt: skip
@click.option("--topology", metavar="FILE", type=_FILE, help="Lay the nodes over the switches of this Clos file.")
@click.option("--demand", type=click.FloatRange(min=0, min_open=True), help="Scale arrivals: work offered, of what the "
    "fleet can do.")  # fmt: skip
@click.option("--window", metavar="FROM..TO", default="", help="Only jobs submitted then: 10d..40d, or dates.")
@click.option("--stretch-limits", is_flag=True, help="Raise limits that jobs outran to their run times; else they are "
    "cut.")  # fmt: skip
@click.option("--failures", metavar="RATE", type=click.FloatRange(0, 1e5), help="Failures per 1000 node-days.")
@click.option("--lemons", metavar="NODES FAILURES", nargs=2, type=click.FloatRange(0, 1), default=(0.0, 0.0),
    help="Share of the nodes, and of the failures that they have beside theirs as any node: 0.02 0.3.")  # fmt: skip
@click.option("--repair", "repair_s", type=Duration(), default="4h", show_default=True, help="How long a node is away.")
@click.option("--requeue", "requeue_s", type=Duration(), default="121s", show_default=True,
    help="How long a job waits at least whose node failed.")  # fmt: skip
@click.option(
    "--scheduler", metavar="NAME[:JSON]", default="", help="fcfs, easy, conservative or slurm.  [default: slurm]"
)
@click.option("--policy", metavar="NAME[:JSON]", multiple=True, help="A plugin that is a policy, and its settings; "
    "may be given several times.")  # fmt: skip
@click.option("--period", "period_s", type=Duration(), default="0", help="Ask policies no more often than every so "
    "often: a long simulation takes less time, and they answer later.")  # fmt: skip
@click.option("--placement", metavar="NAME", default="", help="How nodes are chosen: order, best-fit, spread, fgd, "
    "leaves; counts: only their number.  [default: order]")  # fmt: skip
@click.option("--case", metavar="'NAME: KEY=VALUE ...'", multiple=True, help="One of several to be compared; keys are "
    "scheduler, placement, policy, add-nodes, without. What stands beside holds for all.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=1, show_default=True, help="So many times, each "
    "with another seed.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="The first seed.")
@click.option("--until", "until_s", type=Duration(), help="Stop after so long; else when all has ended, or nothing "
    "more can be expected to.")  # fmt: skip
@click.option("--from-live", is_flag=True, help="Begin with what runs and waits on the cluster now.")
@cluster_option
@click.option("--add-nodes", metavar="N[:NODE]", default="", help="With --from-live: N nodes more, like NODE.")
@click.option("--without", metavar="NODES", default="", help="With --from-live: these nodes take no new jobs.")
@click.option("--predict", is_flag=True, help="With --from-live: run times as like jobs had, not limits.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="Write report.json, metrics.csv, jobs.csv, samples.csv and plots there.")  # fmt: skip
@json_option
def simulate(**said: Any) -> None:  # noqa: ANN401
    """Simulate jobs on a fleet, under one or several schedulers, placements and policies.

    FILE has jobs, or nodes, or both. docs/SIMULATOR.md says what is modelled and what the figures are.
    """
    from hpcjobs.cli.simulate.run import run
    from hpcjobs.errors import HpcjobsError, Refused

    try:
        run(Asked(**said))
    except Refused as error:
        for refusal in error.refusals:
            click.echo(f"hpcjobs: error: {refusal.detail}", err=True)
        sys.exit(1)
    except HpcjobsError as error:
        click.echo(f"hpcjobs: error: {error.detail}", err=True)
        sys.exit(1)

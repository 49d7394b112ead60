"""``hpcjobs advise``: how often a job should save, and what it has to expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.cli.completion import values

if TYPE_CHECKING:
    from hpcjobs.model.reliability import Advised

SECONDS = click.FloatRange(min=0)


@click.command()
@click.argument("job", required=False, shell_complete=values.recent_jobs)
@click.option("--nodes", type=click.IntRange(min=1), metavar="N", help="For a job with so many nodes.")
@click.option("--save", type=SECONDS, metavar="S", help="So many seconds a checkpoint stops the work.")
@click.option("--restart", type=SECONDS, metavar="S", help="So many from a start until it works.  [default: 300]")
@click.option("--every", type=SECONDS, metavar="S", help="It saves after so many of work.  [default: what is best]")
@cluster_option
@json_option
def advise(
    job: str | None, nodes: int | None, save: float | None, restart: float | None, every: float | None,
    cluster: str | None, as_json: bool,
) -> None:  # fmt: skip
    """How often JOB should save, and how much of its time will be productive.

    Without JOB for any with --nodes and --save. How often nodes fail is what this cluster has shown in 28 days, or
    what others published as long as that is too little.
    """
    with service() as client:
        found = client.advise(job, nodes=nodes, save_s=save, restart_s=restart, interval_s=every, cluster=cluster)
        print_json(found) if as_json else _show(found)


def _show(found: Advised) -> None:
    from hpcjobs.cli.show import table
    from hpcjobs.reports.shown import lasting

    one = found.advice
    several = one.intervals
    rows = [
        ("nodes", str(one.nodes), ""),
        ("a failure each", lasting(one.mtbf_s), f"{found.rate.per_1000_node_days:.3g} in 1000 node-days"),
        ("save after", lasting(one.interval_s), f"of work, for {found.recovery.save_s:g} s"),
        ("by Young", lasting(several.young_s), "CACM 1974"),
        ("by Daly", lasting(several.daly_s), "FGCS 2006, higher order"),
        ("ETTR", f"{one.ettr:.4f}", f"{one.ettr_low:.4f} to {one.ettr_high:.4f}, Kokolis et al."),
        ("ETTR, renewal", f"{one.ettr_exponential:.4f}", "Bougeret et al."),
        ("lost by a failure", lasting(one.lost_per_failure_s), "of work and saving"),
        ("spare nodes", str(one.spare_nodes), "enough 99 % of the time"),
    ]
    table(("WHAT", "VALUE", "OF"), rows, None)
    for line in found.told:
        click.echo(f"hpcjobs: {line}", err=True)

"""``hpcjobs lemons``: nodes that fail more often than chance lets them, with what says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcjobs.model.suspicion import Suspicion

HEADS: Final = ("NODE", "STANDING", "POINTS", "EXPECTED", "CHANCE", "SIGNAL", "COUNT", "LAST", "JOB", "SAID")


@click.group(invoke_without_command=True)
@cluster_option
@json_option
@click.pass_context
def lemons(context: click.Context, cluster: str | None, as_json: bool) -> None:
    """Show nodes against which something speaks, the worst first. For operators.

    POINTS are its failures, faded with their age; EXPECTED, what any node would have that ran for as long; CHANCE, how
    probable so many are by chance. Suspects are taken last and kept from large jobs; lemons should be drained.
    """
    if context.invoked_subcommand is not None:
        return
    with service() as client:
        found = client.lemons(cluster or client.clusters()[0].name)
        if as_json:
            print_json(found)
            return
        _show(found.items)
        click.echo(f"hpcjobs: {found.per_1000_node_days:.3g} points in 1000 node-days.", err=True)
        if proposed := ",".join(one.node for one in found.items if one.proposed):
            click.echo(f"hpcjobs: should be drained: {proposed}", err=True)


@lemons.command()
@click.argument("node")
@click.option("--why", required=True, help='Why what was counts no more, as "new GPU".')
@cluster_option
@json_option
def pardon(node: str, why: str, cluster: str | None, as_json: bool) -> None:
    """Have what speaks against NODE until now count no more. For admins."""
    with service() as client:
        found = client.pardon_node(cluster or client.clusters()[0].name, node, why)
        print_json(found) if as_json else _show([found])


def _show(found: Iterable[Suspicion]) -> None:
    """A line a kind of signal."""
    from hpcjobs.cli.show import moment, table

    rows = []
    for one in found:
        first = (one.node, one.standing.value, f"{one.points:.2f}", f"{one.expected:.2f}", f"{one.chance:.2g}")
        lines = [
            (each.kind.value, str(each.count), moment(each.last_at), str(each.slurm_job_id or "-"), each.said or "-")
            for each in one.evidence
        ]
        if one.pardon is not None:
            lines.append((f"pardoned by {one.pardon.by}", "-", moment(one.pardon.at), "-", one.pardon.why))
        rows += [(*first, *line) for line in lines]
    table(HEADS, rows, 2)

"""``hpcjobs policies``: what the policies want of a cluster, and how they fare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.model.policy import PolicyReport
    from hpcjobs.model.steering import Action

MOST_LINES: Final = 200


@click.command()
@click.argument("names", nargs=-1, metavar="[POLICY]...")
@cluster_option
@click.option("--all", "whole", is_flag=True, help=f"Every wish, also where there are more than {MOST_LINES}.")
@json_option
def policies(names: tuple[str, ...], cluster: str | None, whole: bool, as_json: bool) -> None:
    """Show what the policies, or those named, want of a cluster now, and why. For operators."""
    with service() as client:
        found = client.policies(cluster or client.clusters()[0].name)
        if missing := set(names) - {one.name for one in found.policies}:
            raise ValueError(f"{', '.join(sorted(missing))}: no such policy is in use")
        print_json(found) if as_json else _show(found, set(names), None if whole else MOST_LINES)


def _show(found: PolicyReport, names: set[str], most: int | None) -> None:
    from hpcjobs.cli.show import moment, table

    chosen = [one for one in found.policies if not names or one.name in names]
    rows = [
        (
            one.name,
            "dry-run" if one.dry_run else "on",
            moment(one.ticked_at) if one.ticked_at else "-",
            f"{one.took_s:.3f}s",
            str(len(one.actions)),
            one.failed or "-",
        )
        for one in chosen
    ]
    table(("POLICY", "MODE", "TICKED", "TOOK", "WISHES", "FAILED"), rows, 1)
    lines = [(one.name, *_line(action)) for one in chosen for action in one.actions]
    if lines:
        click.echo()
        table(("POLICY", "ACTION", "OF", "WHAT", "WHY"), lines[:most], 1)
    if most is not None and len(lines) > most:
        click.echo(f"and {len(lines) - most} more; --all shows them", err=True)
    for trouble in found.troubles:
        click.echo(f"hpcjobs: {trouble.of}: not as wished: {trouble.detail}", err=True)
    stand = "stands" if found.steered_jobs == 1 else "stand"
    click.echo(f"Of the jobs of {found.cluster}, {found.steered_jobs} {stand} otherwise than asked for.", err=True)
    if found.steered_nodes or found.reservations:
        made = ", ".join(found.reservations) or "no reservation"
        click.echo(f"Nodes that stand otherwise than configured: {found.steered_nodes}; made: {made}.", err=True)


def _line(action: Action) -> tuple[str, str, str, str]:
    """An action's kind, whom it is about, what it says, and why."""
    from hpcjobs.model.steering import jobs_of, nodes_of
    from hpcjobs.sbatch.hostlists import fold_hostlist

    jobs = ",".join(map(str, sorted(jobs_of(action))))
    nodes = fold_hostlist(nodes_of(action))
    beside = {"job", "jobs", "nodes", "avoid", "why"}
    words = {name: getattr(action, name) for name in action.__struct_fields__ if name not in beside}
    said = " ".join(f"{name}={value}" for name, value in words.items() if value is not None)
    what = " ".join(filter(None, (said, nodes if jobs else "")))
    return str(action.__struct_config__.tag), jobs or nodes or "-", what or "-", action.why

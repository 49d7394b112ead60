"""``hpcjobs events``: what happens, a line each."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from hpcjobs.cli.common import cluster_option, given, service


@click.command()
@cluster_option
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, for ever.")
@click.option("--kind", "-k", multiple=True, help="Only these kinds, as job.state; may be given several times.")
@click.option("--job", "-j", "job_id", help="Only this job, by Slurm's number or our id; of an array, its tasks too.")
@click.option("--user", "-u", help="Only of this user's jobs, as far as you may see them.")
@click.option("--account", "-A", help="Only of jobs under this account.")
@click.option("--after", type=click.IntRange(min=0), help="Begin after the event with this number.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one document a line.")
def events(follow: bool, after: int | None, as_json: bool, **query: Any) -> None:  # noqa: ANN401
    """What has happened to your jobs, and to nodes and clusters; oldest first.

    With --follow and without --after it begins now.
    """
    import msgspec

    from hpcjobs.cli import show

    with service() as client, contextlib.suppress(BrokenPipeError):
        told = given(**query)
        for event in client.events(after, **told) if follow else client.past_events(after, **told):
            click.echo(msgspec.json.encode(event) if as_json else show.event_line(event))

"""``hpcjobs gang``: several scripts as jobs that start together or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.cli.submit import request_of, submit

SEPARATOR: Final = ":"
NOT_OF_ONE: Final = ("cluster", "follow", "queue_offline", "as_json", "gang", "elastic")
"""Options of submit that a job of a gang cannot have for itself."""


@click.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS] SCRIPT [ARGS] : [OPTIONS] SCRIPT ...")
@click.option("--name", metavar="NAME", default="", help="Name of the gang.")
@cluster_option
@json_option
def gang(words: tuple[str, ...], name: str, cluster: str | None, as_json: bool) -> None:
    """Submit scripts that start together or not at all, each with options of submit and arguments, ":" between them.

    Where their shapes allow it they are one heterogeneous job of Slurm; else jobs that policy gang starts together.
    """
    parts = _parts(words)
    with service(interrupted=0) as client:
        jobs = [_request(part) for part in parts]
        made = client.submit_gang(jobs, name=name, cluster=cluster)
        if as_json:
            print_json(made)
            return
        for job in made.jobs:
            number = job.slurm_job_id
            told = f"Submitted batch job {number}" if number is not None else f"Accepted as job {job.id}"
            click.echo(f"{told} on cluster {job.cluster}{'' if number is not None else f': {job.detail}'}")
        click.echo(made.why, err=True)


def _parts(words: Sequence[str]) -> list[list[str]]:
    """The words between the colons."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(word)
    if not all(parts):
        raise click.UsageError('There is no script before or after a ":".')
    return parts


def _request(words: list[str]) -> dict[str, Any]:
    """What the words of one job ask for: options, arguments and their faults are those of submit."""
    parent = click.get_current_context()
    with submit.make_context("gang", list(words), parent) as context:  # closes the script in the end
        said = dict(context.params)
        for option in NOT_OF_ONE:
            if said.pop(option):
                spelt = {"as_json": "json"}.get(option, option.replace("_", "-"))
                raise click.UsageError(f"--{spelt} is not for one job of a gang.")
        return request_of(said.pop("script"), said.pop("args"), {**dict.fromkeys(NOT_OF_ONE), **said})

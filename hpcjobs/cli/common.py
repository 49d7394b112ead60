"""What every command needs: the service, the options that many have, JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hpcjobs.client import ApiProblem, Client

cluster_option = click.option("--cluster", "-M", help="Cluster; the service's default where left out.")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one document.")


def _say_waiting(problem: ApiProblem) -> None:
    click.echo(f"hpcjobs: {problem.detail} Trying again in {problem.retry_after_s:g} s.", err=True)


@contextmanager
def service() -> Iterator[Client]:
    """A client; a problem ends the command with its words on stderr and exit code 1."""
    from hpcjobs.client import ApiProblem, Client

    try:
        with Client.from_config(_say_waiting) as client:
            yield client
    except ApiProblem as problem:
        lines = [fault.detail for fault in problem.errors] or [problem.detail]
        for line in lines:
            click.echo(f"hpcjobs: error: {line}", err=True)
        if problem.kept:
            click.echo(f"hpcjobs: {problem.kept}", err=True)
        sys.exit(1)
    except ValueError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)


def given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """What was given of these."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def print_json(value: object) -> None:
    """One document, for people and programs."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())

"""What every command needs: the service, the options that many have, JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.profiles import ClientConfig, load

if TYPE_CHECKING:
    from hpcjobs.client import ApiProblem, Client

EVERYWHERE: Final = "all"
"""What --cluster says for no cluster in particular, where the profile names one."""


def environment() -> Mapping[str, str]:
    """The caller's variables; HPCJOBS_PROFILE is what ``hpcjobs --profile`` says, where it was said."""
    context = click.get_current_context(silent=True)
    profile = context.find_root().params.get("profile") if context else None
    return {**os.environ, "HPCJOBS_PROFILE": profile} if profile else os.environ


def config() -> ClientConfig:
    """The configuration, and what is wrong with it on stderr.

    Raises:
        ValueError: It cannot be read, or there is no such profile.
    """
    found = load(environment())
    context = click.get_current_context(silent=True)
    if found.warning and (context is None or not context.meta.setdefault(_WARNED, False)):
        click.echo(f"hpcjobs: warning: {found.warning}", err=True)
        if context is not None:
            context.meta[_WARNED] = True
    return found


def _own_cluster(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """The cluster that the profile names where the command does not."""
    if value:
        return None if value == EVERYWHERE else value
    try:
        return load(environment()).cluster or None
    except ValueError:
        return None  # the command itself says so


def _clusters(context: click.Context, option: click.Parameter, incomplete: str) -> list[Any]:
    from hpcjobs.cli.completion import values

    return values.clusters(context, option, incomplete)


_WARNED: Final = "hpcjobs.warned"

cluster_option = click.option(
    "--cluster",
    "-M",
    callback=_own_cluster,
    shell_complete=_clusters,
    help="Cluster; the profile's, or the service's default, where left out.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one document.")


def _say_waiting(problem: ApiProblem) -> None:
    click.echo(f"hpcjobs: {problem.detail} Trying again in {problem.retry_after_s:g} s.", err=True)


def complain(problem: ApiProblem) -> None:
    """Say on stderr what is against something, and what would help."""
    from hpcjobs.cli.advice import advice

    for line in problem.sentences:
        click.echo(f"hpcjobs: error: {line}", err=True)
    for line in filter(None, (problem.kept, advice(problem))):
        click.echo(f"hpcjobs: {line}", err=True)


@contextmanager
def service(said: ClientConfig | None = None, interrupted: int = 130) -> Iterator[Client]:
    """A client; a problem ends the command with its words on stderr and exit code 1.

    What was kept while the service was away goes out when the command has succeeded.

    Args:
        said: The configuration; None: the caller's.
        interrupted: Exit code of a caller who interrupts that; see send_later().
    """
    from hpcjobs.client import ApiProblem, Client

    try:
        found = said or config()
        with Client(found.url, found.token, _say_waiting) as client:
            yield client
    except ApiProblem as problem:
        complain(problem)
        sys.exit(1)
    except ValueError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    if said is None:
        from hpcjobs.cli.spool.later import send_later

        send_later(found, environment(), interrupted)


def given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """What was given of these."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def print_json(value: object) -> None:
    """One document, for people and programs."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())

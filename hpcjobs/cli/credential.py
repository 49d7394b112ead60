"""``hpcjobs credential``: who one is to registries of images."""

from __future__ import annotations

import sys
from typing import Final

import click

from hpcjobs.cli.common import json_option, print_json, service

HEADS: Final = ("NAME", "REGISTRY", "USER", "MADE", "USED")
MOST_BYTES: Final = 64 * 1024
"""That are read of stdin: more is no secret."""


@click.group()
def credential() -> None:
    """Who you are to registries of images; jobs name one by --container-credential."""


@credential.command()
@click.argument("name")
@click.option("--registry", required=True, metavar="HOST", help="The only one that it is sent to: ghcr.io, reg:5000.")
@click.option("--user", required=True, help="Who you are there.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from stdin.  [default: asked for]")
@json_option
def add(name: str, registry: str, user: str, secret_stdin: bool, as_json: bool) -> None:
    """Keep one as NAME, in the place of the one of that name.

    As "hpcjobs credential add lab --registry ghcr.io --user alice --secret-stdin <token". Its secret is no option:
    command lines are seen by everybody on the machine.
    """
    from hpcjobs.model.credential import RegistryCredentialRequest

    wanted = RegistryCredentialRequest(registry, user, _secret(secret_stdin))
    with service() as client:
        made = client.keep_credential(name, wanted)
        print_json(made) if as_json else click.echo(f"kept {made.name}, for {made.registry}")


@credential.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List yours; secrets are never shown."""
    with service() as client:
        found = client.credentials()
        if as_json:
            print_json(found)
            return
        from hpcjobs.cli.show import moment, table

        rows = [(one.name, one.registry, one.user, moment(one.created_at), moment(one.used_at or 0)) for one in found]
        table(HEADS, rows, None)


@credential.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget one. What jobs were given of it stays in ~/.hpcjobs/credentials on the cluster."""
    with service() as client:
        client.remove_credential(name)


def _secret(from_stdin: bool) -> str:
    """The secret: typed in, without being seen, or all of stdin but the end of its last line.

    Raises:
        click.UsageError: There is none, or nobody who could type it.
    """
    if not from_stdin:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is here to type the secret: --secret-stdin reads it")
        return str(click.prompt("Secret", hide_input=True, err=True))
    try:
        text = sys.stdin.buffer.read(MOST_BYTES).decode()
    except UnicodeDecodeError:
        raise click.UsageError("what came on stdin is no UTF-8, and so no secret") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise click.UsageError("no secret came on stdin")
    return secret

"""``hpcjobs config``: what the commands go by. It never prints a token."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from hpcjobs.cli import common
from hpcjobs.cli.common import environment, json_option, print_json
from hpcjobs.cli.login import change, chosen_profile
from hpcjobs.profiles import config_path, load, read_table, state_path


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)


@click.group()
def config() -> None:
    """The configuration file and its profiles: show, path, profiles, use."""


@config.command()
@json_option
def show(as_json: bool) -> None:
    """Show what counts, and where it is said. Of the token: only whether there is one."""
    with _told():
        found = common.config()
        said = environment()
        table = read_table(config_path(said))
        own = table.get("profiles", {}).get(found.profile, {}) if found.profile else {}
        facts = {
            name: {
                "value": value,
                "from": variable
                if (variable := f"HPCJOBS_{name.upper()}") in said and name in ("url", "token", "profile")
                else f"profile {found.profile}"
                if name in own
                else "file"
                if name in table
                else "default",
            }
            for name, value in {
                "profile": found.profile,
                "url": found.url,
                "token": "set" if found.token.strip() else "not set",
                "cluster": found.cluster,
                "workdir": found.workdir,
                "export": found.export,
                "queue_offline": found.queue_offline,
                "spank": sorted(found.spank),
            }.items()
        }
    if as_json:
        print_json(facts)
        return
    for name, fact in facts.items():
        value = fact["value"]
        words = (
            str(value).lower() if isinstance(value, bool) else ", ".join(value) if isinstance(value, list) else value
        )
        click.echo(f"{name:>13}  {words or '-'}  ({fact['from']})")


@config.command()
@click.option("--spool", is_flag=True, help="The folder of what waits for the service, instead.")
def path(spool: bool) -> None:
    """Print where the configuration file is."""
    click.echo(f"{state_path(environment())}/spool" if spool else config_path(environment()))


@config.command()
@json_option
def profiles(as_json: bool) -> None:
    """List the profiles; * is the one that counts."""
    with _told():
        table = read_table(config_path(environment()))
        chosen = chosen_profile()
        found = [
            {"name": name, "url": one.get("url", table.get("url", "")), "cluster": one.get("cluster", ""),
             "token": bool(one.get("token")), "chosen": name == chosen}
            for name, one in sorted(table.get("profiles", {}).items())
        ]  # fmt: skip
    if as_json:
        print_json(found)
        return
    for one in found:
        told = "\t".join(
            (one["name"], one["url"] or "-", one["cluster"] or "-", "token" if one["token"] else "no token")
        )
        click.echo(f"{'*' if one['chosen'] else ' '} {told}")


def _profiles(_context: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    from hpcjobs.cli.completion.values import profile_names

    return profile_names(incomplete)


@config.command()
@click.argument("name", required=False, shell_complete=_profiles)
@click.option("--none", "nothing", is_flag=True, help="What stands at the top of the file.")
def use(name: str | None, nothing: bool) -> None:
    """Make a profile the one that counts from now on."""
    if bool(name) == nothing:
        raise click.UsageError("say a profile's name, or --none")
    with _told():
        if name:
            load({**environment(), "HPCJOBS_PROFILE": name})
        where = change("", {"profile": name or None})
    click.echo(f"{where}: " + (f"profile {name}" if name else "no profile"))
    if said := environment().get("HPCJOBS_PROFILE"):
        click.echo(f"hpcjobs: warning: HPCJOBS_PROFILE is {said}, and wins", err=True)

"""``hpcjobs login``, ``logout``, ``whoami``: who one is to the service."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import click

from hpcjobs.cli import private, toml_text
from hpcjobs.cli.common import config, environment, json_option, print_json, service
from hpcjobs.profiles import ClientConfig, config_path, exposed, load, read_table

MOST_BYTES: Final = 64 * 1024
"""Of a file that is to hold a token."""

HERE: Final = ("localhost", "127.0.0.1", "::1")


def change(profile: str, settings: dict[str, toml_text.Value]) -> str:
    """Write settings of a profile into the configuration file; all else in it stays as it is.

    Args:
        profile: Name of the profile; ``""``: the top of the file.
        settings: Values by name; None takes a setting away.

    Returns:
        Where the file is.

    Raises:
        ValueError: The file cannot be read, written, or changed in this way.
    """
    path = config_path(environment())
    try:
        private.make_folder(os.path.dirname(path))
        with private.lock(f"{path}.lock", 10.0):
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
            except FileNotFoundError:
                text = ""
            private.write(
                path, toml_text.with_settings(text, ["profiles", profile] if profile else [], settings).encode()
            )
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return path


def chosen_profile(variables: Mapping[str, str] | None = None) -> str:
    """The profile that counts: also one that is not there yet.

    Args:
        variables: The caller's; None: with what ``hpcjobs --profile`` says.
    """
    told = environment() if variables is None else variables
    return told.get("HPCJOBS_PROFILE") or str(read_table(config_path(told)).get("profile", ""))


def _read_token(path: str | None) -> str:
    """A token from a file, from stdin (``-``), or typed in.

    Raises:
        ValueError: There is none.
    """
    if path is None and sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    if path in (None, "-"):
        return sys.stdin.read(MOST_BYTES).strip()
    if words := exposed(str(path)):
        click.echo(f"hpcjobs: warning: {words}", err=True)
    try:
        with open(str(path), encoding="utf-8") as file:
            return file.read(MOST_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _address(url: str | None, profile: str) -> str:
    """Where to: as said, else as the environment or the profile says, else the default."""
    if url:
        return url
    said = dict(environment())
    try:
        return load({**said, "HPCJOBS_PROFILE": profile} if profile else said).url
    except ValueError:
        read_table(config_path(said))  # a file that cannot be read is told; a profile that is new has no address yet
        if profile and "HPCJOBS_URL" not in said:
            raise ValueError(
                f"where is the service of profile {profile!r}? hpcjobs login URL --profile {profile}"
            ) from None
        return said.get("HPCJOBS_URL", ClientConfig().url)


@click.command()
@click.argument("url", required=False)
@click.option("--profile", "name", help="Profile to write; as of hpcjobs --profile.")
@click.option("--token-file", metavar="FILE", help="Where the token is; - is stdin. Asked for where left out.")
@click.option("--cluster", help="Cluster of this profile's commands where they name none.")
@click.option("--workdir", help="Where jobs run that are sent from a machine without the cluster's files.")
@json_option
def login(url: str | None, name: str | None, token_file: str | None, as_json: bool, **settings: str | None) -> None:
    """Keep a token for the service at URL, when it has been seen to hold.

    The token goes into the configuration file, which only you can read. Whoever runs the service makes it with
    "hpcjobs token", or your site's identity provider gives it; there is no login in the browser here.
    """
    try:
        profile = name or chosen_profile()
        address = _address(url, profile).rstrip("/")
        token = _read_token(token_file)
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname not in HERE:
            click.echo(f"hpcjobs: warning: {address} is not encrypted: others on the way can read the token", err=True)
        with service(ClientConfig(url=address, token=token)) as client:
            me = client.me()
        kept = {field: value for field, value in settings.items() if value is not None}
        path = change(profile, {"url": address, "token": token, **kept})
    except ValueError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    for variable in ("HPCJOBS_TOKEN", "HPCJOBS_URL"):
        if variable in os.environ:
            click.echo(f"hpcjobs: warning: {variable} is set, and wins over what was written", err=True)
    if as_json:
        print_json({"profile": profile, "url": address, "path": path, "me": me})
    else:
        click.echo(f"{me.user} at {address} until {_moment(me.expires_at)}, kept in {path}{_of(profile)}")
        if profile and profile != chosen_profile(os.environ):
            click.echo(f"Use it with: hpcjobs --profile {profile} ..., or for good: hpcjobs config use {profile}")


def _of(profile: str) -> str:
    return f" as profile {profile}" if profile else ""


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


@click.command()
@click.option("--profile", "name", help="Profile; as of hpcjobs --profile.")
def logout(name: str | None) -> None:
    """Forget the token. It still holds until its end where somebody else has it."""
    try:
        profile = name or chosen_profile()
        table = read_table(config_path(environment()))
        there = table.get("profiles", {}).get(profile, {}) if profile else table
        if "token" not in there:
            click.echo(f"There is no token in {config_path(environment())}{_of(profile)}")
        else:
            click.echo(f"Forgotten: the token in {change(profile, {'token': None})}{_of(profile)}")
    except ValueError as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    if "HPCJOBS_TOKEN" in os.environ:
        click.echo("hpcjobs: warning: HPCJOBS_TOKEN is still set", err=True)


@click.command()
@json_option
def whoami(as_json: bool) -> None:
    """Say whom the service takes you for: user, role, scopes, projects, and until when the token holds."""
    import msgspec

    with service() as client:
        said, me = config(), client.me()
        if as_json:
            print_json({"profile": said.profile, "url": said.url, **msgspec.to_builtins(me)})
            return
        left_s = me.expires_at - time.time()
        facts: dict[str, Any] = {
            "user": me.user,
            "role": me.role,
            "scopes": ", ".join(me.scopes),
            "token": f"of {me.issuer}, until {_moment(me.expires_at)} ({left_s / 3600:.1f} h)",
            "projects": ", ".join(f"{one.project}@{one.cluster} ({one.role})" for one in me.projects) or "-",
            "url": said.url,
            "profile": said.profile or "-",
            "cluster": said.cluster or "the service's default",
        }
        for fact, value in facts.items():
            click.echo(f"{fact:>8}  {value}")

"""``hpcjobs plugins``: which are in use, others in their place, and whether one is fit for it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import json_option, print_json, service
from hpcjobs.cli.completion import values

if TYPE_CHECKING:
    from hpcjobs.client import Client
    from hpcjobs.model.plugin import Generation
    from hpcjobs.settings import PluginSettings


@click.group()
def plugins() -> None:
    """Plugins of the service: list, enable, disable, reload, check."""


name_argument = click.argument("name", shell_complete=values.plugins)


def _shown(found: Generation) -> None:
    from hpcjobs.cli.show import moment, table

    if found.number:
        changed = f"by {found.by}" if found.by else "at a start of the service"
        click.echo(f"Generation {found.number}, since {moment(found.since)}, {changed}", err=True)
    rows = [
        (
            one.name,
            one.state.value,
            ",".join(one.hooks) or "-",
            one.version or "-",
            one.digest[:8] or "-",
            "yes" if one.required else "no",
            str(one.failures),
            one.last_failure or "-",
        )
        for one in found.plugins
    ]
    used = {one.name for one in found.plugins}
    rows += [
        (one.name, "-", "-", one.version or "-", "-", "-", "-", "-") for one in found.installed if one.name not in used
    ]
    table(("NAME", "STATE", "HOOKS", "VERSION", "CODE", "REQUIRED", "FAILED", "WHY"), rows, 1)


@plugins.command("list")
@click.option("--generation", "-g", type=click.IntRange(min=1), help="An earlier one, as hpcjobs show --events says.")
@json_option
def list_plugins(generation: int | None, as_json: bool) -> None:
    """List the plugins in the order in which they are asked, and those that could be enabled."""
    with service() as client:
        found = client.plugins(generation)
        print_json(found) if as_json else _shown(found)


def _settings(found: Generation) -> list[PluginSettings]:
    """What the plugins in use were given.

    Raises:
        ValueError: It is shown to admins only.
    """
    from hpcjobs.settings import PluginSettings

    if any(one.settings is None for one in found.plugins):
        raise ValueError("this needs a token of an admin, with the scope admin")
    return [
        PluginSettings(one.name, one.required, one.timeout_s, one.dry_run, one.settings or {}) for one in found.plugins
    ]


def _change(client: Client, found: Generation, wanted: list[PluginSettings]) -> None:
    from hpcjobs.model.plugin import PluginSet

    _shown(client.change_plugins(PluginSet(tuple(wanted), found.number)))


def _place(wanted: list[PluginSettings], before: str | None, after: str | None) -> int:
    """Where in the order a plugin goes; at the end where nothing is said."""
    there = before or after
    if there is None:
        return len(wanted)
    at = [index for index, one in enumerate(wanted) if one.name == there]
    if not at:
        raise ValueError(f"{there} is not in use")
    return at[0] + (after is not None)


_SETTINGS_HELP: Final = "What is for the plugin itself: JSON, as '{\"from_hour\": 22}'; kept where it was in use."


@plugins.command()
@name_argument
@click.option("--before", metavar="NAME", help="Where in the order: before this one.")
@click.option("--after", metavar="NAME", help="Or after this one.  [default: at the end, or where it was]")
@click.option("--settings", "own", metavar="JSON", help=_SETTINGS_HELP)
@click.option("--required/--not-required", default=None, help="Whether jobs are refused while it cannot judge them.")
@click.option("--dry-run/--no-dry-run", default=None, help="Whether what a policy wants is only told, not done.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True, max=60), help="For a hook; s.")
def enable(
    name: str,
    before: str | None,
    after: str | None,
    own: str | None,
    required: bool | None,
    dry_run: bool | None,
    timeout_s: float | None,
) -> None:
    """Use NAME from now on, or use it differently. Those in use stay where it cannot be loaded."""
    from hpcjobs.settings import PluginSettings

    if before and after:
        raise click.UsageError("say --before or --after")
    with service() as client:
        found = client.plugins()
        wanted = _settings(found)
        was = [index for index, one in enumerate(wanted) if one.name == name]
        old = wanted.pop(was[0]) if was else PluginSettings(name)
        at = was[0] if was and not (before or after) else _place(wanted, before, after)
        given: dict[str, Any] = {} if own is None else {"settings": _object(own)}
        if required is not None:
            given["required"] = required
        if dry_run is not None:
            given["dry_run"] = dry_run
        if timeout_s is not None:
            given["timeout_s"] = timeout_s
        import msgspec

        wanted.insert(at, msgspec.structs.replace(old, **given))
        _change(client, found, wanted)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--settings: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("--settings: this is no JSON object")  # noqa: TRY004
    return value


@plugins.command()
@name_argument
def disable(name: str) -> None:
    """Use NAME no longer."""
    with service() as client:
        found = client.plugins()
        wanted = [one for one in _settings(found) if one.name != name]
        if len(wanted) == len(found.plugins):
            raise ValueError(f"{name} is not in use")
        _change(client, found, wanted)


@plugins.command()
def reload() -> None:
    """Read the code of all plugins anew; what was broken is tried again."""
    with service() as client:
        found = client.plugins()
        _change(client, found, _settings(found))


@plugins.command()
@name_argument
@click.option("--settings", "own", metavar="JSON", default="{}", help="What is for the plugin itself.")
def check(name: str, own: str) -> None:
    """See on this machine whether NAME can be loaded and passes the conformance tests. Asks no service."""
    from hpcjobs.conformance import faults_of
    from hpcjobs.hooks.loading import NotLoaded, load
    from hpcjobs.settings import PluginSettings

    try:
        setting = PluginSettings(name, settings=_object(own))
        loaded = load(setting)
    except (NotLoaded, ValueError) as error:
        click.echo(f"hpcjobs: error: {error}", err=True)
        sys.exit(1)
    failed = False
    for test, fault in faults_of(loaded.plugin, setting.settings):
        failed = failed or bool(fault)
        click.echo(f"{'FAILED' if fault else 'ok':>6}  {test}" + (f": {fault}" if fault else ""))
    click.echo(f"{name} {loaded.version}, code {loaded.digest}: {', '.join(loaded.hooks)}")
    sys.exit(failed)

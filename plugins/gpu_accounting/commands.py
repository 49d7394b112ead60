"""``hpcjobs gres``: families of accelerators, what is written of those declared, and what is wrong with it.

Imports that load slowly wait until a command needs them: ``hpcjobs --help`` loads this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.client import Client
    from hpcjobs.devices.family import Family
    from hpcjobs.model.plugin import ConfigurationFile
    from hpcjobs_plugins.gpu_accounting.differences import Difference

PLUGIN: Final = "gpu_accounting"
WRONG: Final = 1
"""Exit code where something is wrong with what is declared."""


families_option = click.option(
    "--families",
    "site",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="A site's own families.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def gres() -> None:
    """Accelerators as generic resources: what is known of them, and gres.conf of those declared."""


@gres.command()
@click.argument("name", required=False)
@families_option
@json_option
def devices(name: str | None, site: Path | None, as_json: bool) -> None:
    """List families of accelerators, or all of NAME.

    Of one family each fact is shown with the page that says it.

    The service is not asked: its own families may be others.
    """
    known = _known(site)
    found = [_family(known, name)] if name else list(known.values())
    if as_json:
        print_json(found[0] if name else found)
    elif name:
        _show_family(found[0])
    else:
        _show_families(found)


def _known(site: Path | None) -> dict[str, Family]:
    from hpcjobs.devices.family import families
    from hpcjobs.errors import SettingsError

    try:
        return families(site)
    except SettingsError as error:
        raise click.ClickException(f"{error}") from error


def _family(known: dict[str, Family], name: str) -> Family:
    if name not in known:
        raise click.ClickException(f"there is no family {name!r}; there are {', '.join(known)}")
    return known[name]


def _show_families(found: list[Family]) -> None:
    from hpcjobs.cli.show import table
    from hpcjobs_plugins.gpu_accounting.shown import HEADS, rows

    table(HEADS, rows(found), None)


def _show_family(family: Family) -> None:
    from hpcjobs.cli.show import table
    from hpcjobs_plugins.gpu_accounting.shown import said

    told = said(family)
    pages = {page: str(number) for number, page in enumerate(dict.fromkeys(page for *_, page in told if page), 1)}
    table(("FACT", "PAGE", "IS"), [(fact, pages.get(page, "none"), words) for fact, words, page in told], None)
    click.echo()
    for page, number in pages.items():
        click.echo(f"{number} {page}")


@gres.command()
@click.argument("names", nargs=-1, required=True, metavar="FAMILY...")
@families_option
@json_option
def probe(names: tuple[str, ...], site: Path | None, as_json: bool) -> None:
    """See whether the devices of this node are well.

    Each family's own command is asked. Ends with 1 where one is ill, so that it can be Slurm's HealthCheckProgram;
    the service is not asked.
    """
    from hpcjobs_plugins.gpu_accounting.probing import Health, health

    known = _known(site)
    found = [Health(name, health(_family(known, name))) for name in names]
    ill = [one for one in found if one.fault]
    if as_json:
        print_json(found)
    for one in ill if not as_json else ():
        click.echo(f"{one.family}: {one.fault}")
    if ill:
        sys.exit(WRONG)


@gres.command()
@cluster_option
@json_option
def plan(cluster: str | None, as_json: bool) -> None:
    """Print what the plugin writes of a cluster.

    That is gres.conf and its part of slurm.conf, of what is declared. Nothing is installed. For operators.
    """
    with service() as client:
        files = _files(client, cluster or client.clusters()[0].name)
        errors = _errors(files)
        if as_json:
            print_json(files)
        elif not errors:
            click.echo("\n".join(f"# {file.name}\n{file.text}" for file in files), nl=False)
    _end(errors)


@gres.command()
@cluster_option
@json_option
def check(cluster: str | None, as_json: bool) -> None:
    """See what is wrong with what is declared.

    It is held against what Slurm has. For operators. Ends with 1 where it cannot be, or where nodes have
    something else.
    """
    from hpcjobs_plugins.gpu_accounting.conf import PART
    from hpcjobs_plugins.gpu_accounting.differences import differences

    with service() as client:
        name = cluster or client.clusters()[0].name
        files = _files(client, name)
        errors = _errors(files)
        part = next((file.text for file in files if file.name == PART), None)
        found = [] if part is None else differences(part, client.nodes(name).items)
        if as_json:
            print_json({"errors": errors, "differences": found})
        elif not errors:
            _show(found, name)
    _end(errors)
    if found:
        sys.exit(WRONG)


def _files(client: Client, cluster: str) -> list[ConfigurationFile]:
    """What the plugin writes of a cluster.

    Raises:
        ValueError: It writes nothing.
    """
    files = [file for file in client.configuration(cluster) if file.plugin == PLUGIN]
    if not files:
        raise ValueError(f"plugin {PLUGIN} is not in use, or nothing is declared of {cluster} in its settings")
    return files


def _errors(files: list[ConfigurationFile]) -> list[str]:
    from hpcjobs_plugins.gpu_accounting.conf import ERROR

    return [file.why or file.text.strip() for file in files if file.name in ("", ERROR)]


def _end(errors: list[str]) -> None:
    """Say what is wrong, and end with it."""
    for error in errors:
        click.echo(f"hpcjobs: error: {error}", err=True)
    if errors:
        sys.exit(WRONG)


def _show(found: list[Difference], cluster: str) -> None:
    from hpcjobs.cli.show import table

    if not found:
        click.echo(f"The nodes of {cluster} have what is declared.", err=True)
        return
    table(("NODES", "DECLARED", "SLURM HAS"), [(one.nodes, one.declared or "-", one.has or "-") for one in found], None)

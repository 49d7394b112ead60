"""``hpcjobs topology show``: a site as a tree, a table, a picture or data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpcjobs.slurmconf.saying import faults, print_json, say, tell
from hpcjobs_plugins.topology.commands.options import PATH, Asked, Sectioned, json_option, site_options
from hpcjobs_plugins.topology.commands.saying import draws, grid, tree_lines

if TYPE_CHECKING:
    from hpcjobs_plugins.topology.fabric import Site


@click.command(cls=Sectioned)
@site_options()
@click.option("--fabric", "fabrics", metavar="NAME", multiple=True, help="Only this one.")
@click.option("--brief", is_flag=True, help="Leaves that go to the same switches are one line.")
@click.option("--table", "as_table", is_flag=True, help="Every switch: hosts, cables up, oversubscription, ports.")
@click.option("--svg", type=PATH, metavar="FILE", help="Draw it, with the findings of check in red.")
@click.option("--ascii", "plain", is_flag=True, help="A tree without box characters.")
@json_option
def show(
    asked: Asked,
    fabrics: tuple[str, ...],
    brief: bool,
    as_table: bool,
    svg: Path | None,
    plain: bool,
    as_json: bool,
) -> None:
    """Show what hangs on what, from above. --json is everything that is known."""
    if brief + as_table + as_json + (svg is not None) > 1:
        raise click.UsageError("--brief, --table, --svg and --json are ways to show it: say one")
    with faults():
        import msgspec

        from hpcjobs_plugins.topology import shown
        from hpcjobs_plugins.topology.commands.sites import given, site_of
        from hpcjobs_plugins.topology.engines.tree import chosen

        known = given(asked)
        site = site_of(asked, known)
        if fabrics:
            site = msgspec.structs.replace(site, fabrics=tuple(chosen(site, fabrics)), domains={})
        if as_json:
            print_json(site)
        elif as_table:
            grid(shown.switches_table(site), ("TIER", "HOSTS", "UP", "RATIO", "PORTS"))
        elif svg is not None:
            _draw(site, known.nodes, svg)
        else:
            say(*tree_lines(shown.tree(site, unicode=draws("├─│└") and not plain, brief=brief)))


def _draw(site: Site, nodes: frozenset[str] | None, path: Path) -> None:
    from hpcjobs_plugins.topology.checks import check
    from hpcjobs_plugins.topology.commands.files import write_whole
    from hpcjobs_plugins.topology.picture import picture

    write_whole(path, picture(site, check(site, nodes=nodes)).encode())
    if path != Path("-"):
        tell(f"drawn in {path}")

"""``hpcjobs topology discover``: the sources are asked, and what came of it is kept."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.slurmconf.saying import faults, print_json, say, tell
from hpcjobs_plugins.topology.commands.options import PATH, Asked, Sectioned, json_option, site_options
from hpcjobs_plugins.topology.commands.saying import counted, grid, sentences

if TYPE_CHECKING:
    from hpcjobs_plugins.topology.fabric import Site

MOST: Final = 3
"""As many notices of one kind are shown; show --json has more."""


@click.command(cls=Sectioned)
@site_options()
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Save it, for the other commands; FILE.gz compressed.")
@json_option
def discover(asked: Asked, output: Path | None, as_json: bool) -> None:
    """Ask sources what the fabrics are, and say what was found.

    \b
    hpcjobs topology discover --command ibnetdiscover -o site.json
    ibnetdiscover | hpcjobs topology discover ibnetdiscover:- -o site.json.gz
    hpcjobs topology discover --settings /etc/hpcjobs/hpcjobs.toml
    """  # noqa: D301 (click's sign for lines that stay as they are)
    with faults():
        from hpcjobs_plugins.topology.commands.files import write_whole
        from hpcjobs_plugins.topology.commands.sites import given, site_of
        from hpcjobs_plugins.topology.saved import write_site
        from hpcjobs_plugins.topology.shown import summary

        site = site_of(asked, given(asked))
        if output is not None:
            write_whole(output, write_site(site))
        if output == Path("-"):
            return
        print_json(summary(site)) if as_json else _shown(site)
        if output is not None:
            tell(f"saved in {output}")


def _shown(site: Site) -> None:
    from hpcjobs_plugins.topology.shown import Table, summary

    head = ("FABRIC", "NETWORK", "COMPUTE", "STORAGE", "OTHER", "SWITCHES", "CABLES", "OVERSUBSCRIPTION")
    rows = []
    for one in summary(site).fabrics:
        roles = [str(one.hosts.get(role, 0)) for role in ("compute", "storage", "other")]
        ratios = " ".join(f"{ratio:.2f}" for ratio in one.oversubscription) or "-"
        switches = "+".join(str(count) for tier, count in one.switches.items() if tier != "0") or "0"
        rows.append((one.name, one.network, *roles, switches, str(one.trunks), ratios))
    if rows:
        grid(Table(head, rows), ("COMPUTE", "STORAGE", "OTHER", "CABLES"))
    if site.domains:
        nodes = sum(map(len, site.domains.values()))
        say(*([""] if rows else []), f"NVLink: {counted(len(site.domains), 'domain')} of {counted(nodes, 'node')}")
    if site.notices:
        say("")
        _notices(site)


def _notices(site: Site) -> None:
    from hpcjobs_plugins.topology.shown import Table

    rows = []
    for code, group in groupby(sorted(site.notices, key=lambda one: one.code), key=lambda one: one.code):
        notices = list(group)
        told = [one for one in notices if not one.more]
        rows += [(code, str(one.line or "-"), one.text) for one in told[:MOST]]
        if more := sum(one.count for one in notices) - len(told[:MOST]):
            has = "them all" if len(told) == len(notices) else f"{len(told)} of all"
            rows.append((code, "-", f"and {more} more: hpcjobs topology show --json has {has}"))
    sentences(Table(("NOTICE", "LINE", "WHAT"), rows), ("NOTICE", "LINE"))

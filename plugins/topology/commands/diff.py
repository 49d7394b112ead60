"""``hpcjobs topology diff``: what came, went or moved between two discoveries."""

from __future__ import annotations

import sys

import click

from hpcjobs.slurmconf.saying import faults, print_json, tell
from hpcjobs_plugins.topology.commands.options import Asked, Sectioned, json_option, site_options
from hpcjobs_plugins.topology.commands.saying import counted, sentences


@click.command(cls=Sectioned)
@click.argument("old", metavar="OLD", type=click.Path())
@click.argument("new", metavar="[NEW]", required=False, type=click.Path())
@site_options(positional=False)
@json_option
def diff(asked: Asked, old: str, new: str | None, as_json: bool) -> None:
    """Say which switch, cable or node came, went or moved since OLD.

    OLD and NEW are saved sites or READER:PATH; without NEW the sources of the options are asked.

    Exit code: 0 they are the same, 1 they differ, 2 one cannot be read.
    """
    with faults():
        from hpcjobs_plugins.topology import shown
        from hpcjobs_plugins.topology.commands.sites import given, site_of, split_source
        from hpcjobs_plugins.topology.diff import diff as compare

        known = given(asked)
        sites = []
        for word in (old, new):
            if word is None:
                sites.append(site_of(asked, known))
                continue
            if word is new and (asked.sources or asked.commands):
                raise click.UsageError("NEW is there already: it goes with no other source")
            of = asked._replace(words=(word,), sources=(), commands=(), ssh="")
            sites.append(site_of(of if split_source(word)[0] else of._replace(guid_map=None, storage=()), known))
        before, after = sites
        changes = compare(before, after)
        if as_json:
            print_json(shown.report(after, changes=changes))
        elif changes:
            sentences(shown.changes_table(changes), ("CODE",))
        if not as_json:
            tell(counted(len(changes), "change"))
    sys.exit(int(bool(changes)))

"""``hpcjobs topology translate``: what Slurm would be told, printed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hpcjobs.slurmconf.saying import faults, say, tell
from hpcjobs_plugins.topology.commands.options import (
    PATH,
    Asked,
    Sectioned,
    Wanted,
    release_option,
    site_options,
    translation_options,
)
from hpcjobs_plugins.topology.commands.saying import tell_notices


@click.command(cls=Sectioned)
@site_options()
@translation_options
@release_option
@click.option("--slurm-conf-part", "part", is_flag=True, help="And the lines that belong into slurm.conf.")
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Write the files there, instead.")
def translate(asked: Asked, wanted: Wanted, release: tuple[int, int] | None, part: bool, output: Path | None) -> None:
    """Print topology.conf or topology.yaml of a site. Nothing is brought to Slurm: hpcjobs topology apply does that.

    Exit code: 0 it is printed, 1 slurmctld would die of it, and it is not, 2 something cannot be read or translated.
    """
    with faults():
        from hpcjobs_plugins.topology.commands.files import write_whole
        from hpcjobs_plugins.topology.commands.sites import given, site_of
        from hpcjobs_plugins.topology.commands.translating import tell_findings, translation_of
        from hpcjobs_plugins.topology.engines.findings import Fate
        from hpcjobs_plugins.topology.engines.judge import judge
        from hpcjobs_plugins.topology.engines.plan import written
        from hpcjobs_plugins.topology.engines.slurm_conf import fragment

        known = given(asked)
        if wanted.rest and known.nodes is None:
            raise click.UsageError("--rest: say with --nodes or --slurm-conf which nodes there are")
        translation = translation_of(wanted, known.of, release)
        plan = translation.plan(site_of(asked, known), known.nodes)
        texts = dict(written(plan, translation.form))
        lines = fragment(plan, translation.form, params=wanted.params, tree_width=wanted.tree_width)
        if part:
            texts["slurm.conf.topology"] = lines
        tell_notices(plan.notices)
        findings = judge(plan, translation.form, nodes=known.nodes, release=translation.release)
        tell_findings(findings)
        if any(one.fate is Fate.DIES for one in findings):
            sys.exit(1)
        if output is None:
            say("\n".join(texts.values()).rstrip("\n"))
            return
        output.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(output / name, text.encode())
            tell(f"written: {output / name}")

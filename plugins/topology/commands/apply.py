"""``hpcjobs topology apply``: a site is translated and brought to a running controller, or is not, and it says why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hpcjobs.slurmconf.conversation import converse, exit_code, recover, somebody_is_asked, tell_end
from hpcjobs.slurmconf.reach import Reach, reach_options
from hpcjobs.slurmconf.saying import faults, print_json
from hpcjobs_plugins.topology.commands.options import (
    Asked,
    Sectioned,
    Wanted,
    json_option,
    known_codes,
    site_options,
    translation_options,
)
from hpcjobs_plugins.topology.commands.saying import counted, sentences, tell_notices

if TYPE_CHECKING:
    from hpcjobs.slurmconf.controller import Place
    from hpcjobs.slurmconf.runner import Runner
    from hpcjobs_plugins.topology.apply import Applied, Order
    from hpcjobs_plugins.topology.settings import Translation


@click.command(cls=Sectioned)
@site_options(ssh="--source-ssh")
@translation_options
@reach_options
@click.option("--dry-run", "dry", is_flag=True, help="Judge and try it, say what would change, and write nothing.")
@click.option("--allow", metavar="CODE", multiple=True, help="This finding is meant so. None that slurmctld dies of.")
@click.option("--no-trial", is_flag=True, help="Do not let a second slurmctld load it first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--recover", "only_recover", is_flag=True, help="Only undo what a killed run has left half done.")
@json_option
def apply(
    asked: Asked,
    wanted: Wanted,
    reach: Reach,
    dry: bool,
    allow: tuple[str, ...],
    no_trial: bool,
    yes: bool,
    only_recover: bool,
    as_json: bool,
) -> None:
    """Bring the topology of a site to a running slurmctld.

    It is judged, loaded by a second slurmctld for a moment, written beside the old files (which are kept), and the
    controller is told to read it. If it does not show exactly this topology, the old files are put back. Slurm's nodes
    are those of slurm.conf there. It needs root or SlurmUser there.

    Exit code: 0 it is applied, or was so, or could be (--dry-run), 1 it was refused or rolled back, 2 something cannot
    be read, or the controller is down.
    """
    with faults():
        from hpcjobs_plugins.topology.apply import apply as bring
        from hpcjobs_plugins.topology.engines.findings import FATES

        there, place = reach.machine(), reach.place()
        if only_recover:
            if asked.words or asked.sources or asked.commands:
                raise click.UsageError("--recover brings nothing new: name no source with it")
            recover(there, place)
            return
        known_codes(allow, FATES.keys(), "--allow")
        somebody_is_asked(yes=yes, dry=dry)
        order = _order(asked, wanted, there, place)
        order = _with(order, allowed=frozenset(allow), dry=dry, tried=not no_trial, load_s=reach.load_s)
        applied = converse(
            there, place, lambda agreed: bring(there, place, order, agreed=agreed), _findings, yes=yes, quiet=as_json
        )
        print_json(applied) if as_json else _end(applied, order.allowed)
    sys.exit(exit_code(applied.end))


def _with(order: Order, **more: object) -> Order:
    import msgspec

    return msgspec.structs.replace(order, **more)


def _order(asked: Asked, wanted: Wanted, runner: Runner, place: Place) -> Order:
    """What is to be brought there.

    Raises:
        FabricError: A source or slurm.conf cannot be read, or there is nothing to translate.
        Unavailable: The machine cannot be reached.
    """
    from hpcjobs.slurmconf.controller import Controller
    from hpcjobs_plugins.topology.apply import Order
    from hpcjobs_plugins.topology.commands.sites import given, site_of
    from hpcjobs_plugins.topology.commands.translating import translation_of

    known = given(asked)
    controller = Controller(runner, place)
    translation: Translation = translation_of(wanted, known.of, controller.release())
    if asked.nodes is None and not asked.slurm_conf:
        known = known._replace(nodes=frozenset(controller.conf().nodes))
    plan = translation.plan(site_of(asked, known), known.nodes)
    tell_notices(plan.notices)
    return Order(plan, translation.form, wanted.params, wanted.tree_width)


def _findings(applied: Applied) -> None:
    from hpcjobs_plugins.topology.shown import Table

    if applied.findings:
        head = ("SLURM", "CODE", "SUBJECT", "WHAT")
        rows = [(one.fate.value, one.code, one.subject or "-", one.text) for one in applied.findings]
        sentences(Table(head, rows), ("SLURM", "CODE"))


def _end(applied: Applied, allowed: frozenset[str]) -> None:
    """How it ended, and why."""
    from hpcjobs_plugins.topology.engines.findings import Fate
    from hpcjobs_plugins.topology.engines.judge import refusals

    against = refusals(applied.findings, allowed)
    codes = sorted({one.code for one in against if one.fate is not Fate.DIES})
    tell_end(
        applied,
        applied="applied: ",
        same="slurmctld has this topology",
        dry=f"it would be applied, in {counted(len(applied.changes), 'file')}; ",
        shown={one.text for one in against},
        advice="where it is meant so, say " + " ".join(f"--allow {code}" for code in codes) if codes else "",
    )

"""``hpcjobs topology apply``: a site is translated and brought to a running controller, or is not, and it says why."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.slurmconf.reach import Reach, reach_options
from hpcjobs_plugins.topology.commands.options import (
    Asked,
    Sectioned,
    Wanted,
    json_option,
    known_codes,
    site_options,
    translation_options,
)
from hpcjobs_plugins.topology.commands.saying import (
    INTERRUPTED,
    clean,
    counted,
    faults,
    print_json,
    say,
    sentences,
    styled,
    tell,
    tell_notices,
)

if TYPE_CHECKING:
    from hpcjobs.slurmconf.controller import Place
    from hpcjobs.slurmconf.runner import Runner
    from hpcjobs_plugins.topology.apply import Applied, Order
    from hpcjobs_plugins.topology.settings import Translation

_DIFF: Final[Mapping[str, str]] = {"+": "green", "-": "red", "@": "cyan"}
"""Colours of lines of a diff."""


@click.command(cls=Sectioned)
@site_options(ssh="--source-ssh")
@translation_options
@reach_options
@click.option("--dry-run", "dry", is_flag=True, help="Judge and try it, say what would change, and write nothing.")
@click.option("--allow", metavar="CODE", multiple=True, help="This finding is meant so. None that slurmctld dies of.")
@click.option("--no-trial", is_flag=True, help="Do not let a second slurmctld load it first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--recover", is_flag=True, help="Only undo what an earlier run that was killed has left half done.")
@json_option
def apply(
    asked: Asked,
    wanted: Wanted,
    reach: Reach,
    dry: bool,
    allow: tuple[str, ...],
    no_trial: bool,
    yes: bool,
    recover: bool,
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
        from hpcjobs_plugins.topology.engines.findings import FATES

        there, place = reach.machine(), reach.place()
        if recover:
            if asked.words or asked.sources or asked.commands:
                raise click.UsageError("--recover brings nothing new: name no source with it")
            from hpcjobs.slurmconf.bring import recover as undo

            tell(undo(there, place) or "nothing was left half done")
            return
        known_codes(allow, FATES.keys(), "--allow")
        if not (yes or dry) and not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: say --yes, or --dry-run")
        order = _order(asked, wanted, there, place)
        order = _with(order, allowed=frozenset(allow), dry=dry, tried=not no_trial, load_s=reach.load_s)
        applied = _apply(there, place, order, yes=yes, quiet=as_json)
        if as_json:
            print_json(applied)
        else:
            _end(applied, order.allowed)
    sys.exit(_exit_code(applied))


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


def _apply(runner: Runner, place: Place, order: Order, *, yes: bool, quiet: bool) -> Applied:
    """Do it. Who interrupts it finds everything as it was."""
    from hpcjobs.slurmconf.bring import recover
    from hpcjobs_plugins.topology.apply import apply as bring

    told: list[Applied] = []

    def agreed(so_far: Applied) -> bool:
        told.append(so_far)
        if not quiet:
            _so_far(so_far)
        files = ", ".join(so_far.changes) or "no file"
        return yes or click.confirm(f"Change {files}, and let slurmctld read it?", err=True)

    try:
        applied = bring(runner, place, order, agreed=agreed)
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        tell(recover(runner, place) or "nothing was changed")
        sys.exit(INTERRUPTED)
    if not (quiet or told):
        _so_far(applied)
    return applied


def _so_far(applied: Applied) -> None:
    """What would change, what was found, and what the trial made of it."""
    from hpcjobs_plugins.topology.shown import Table

    if applied.recovered:
        tell(applied.recovered, "note")
    for text in applied.changes.values():
        for line in text.splitlines():
            say(styled(clean(line), _DIFF.get(line[:1])))
    if applied.findings:
        head = ("SLURM", "CODE", "SUBJECT", "WHAT")
        rows = [(one.fate.value, one.code, one.subject or "-", one.text) for one in applied.findings]
        sentences(Table(head, rows), ("SLURM", "CODE"))
    if tried := applied.trial:
        took = f", {tried.load_s:.1f} s of it for the topology" if tried.load_s else ""
        up = f"was up after {tried.seconds:.1f} s{took}" if tried.up else "did not come up"
        tell(f"trial: a second slurmctld {up}")
        for complaint in tried.complaints:
            tell(f"trial: {complaint}")


def _end(applied: Applied, allowed: frozenset[str]) -> None:
    """How it ended, and why."""
    from hpcjobs.slurmconf.bring import End
    from hpcjobs_plugins.topology.engines.findings import Fate
    from hpcjobs_plugins.topology.engines.judge import refusals

    against = refusals(applied.findings, allowed)
    for reason in applied.reasons:
        if reason not in {one.text for one in against}:  # they were shown
            tell(reason, "error")
    if codes := sorted({one.code for one in against if one.fate is not Fate.DIES}):
        tell("where it is meant so, say " + " ".join(f"--allow {code}" for code in codes))
    for backup in applied.backups:
        tell(f"the old file is {backup}")
    words = {
        End.APPLIED: f"applied: slurmctld shows it after {applied.seconds:.1f} s",
        End.SAME: "nothing to do: slurmctld has this topology",
        End.DRY: f"it would be applied, in {counted(len(applied.changes), 'file')}; nothing was written",
        End.REFUSED: "refused: nothing was written",
        End.ROLLED_BACK: "rolled back: the old files are in place, and slurmctld shows what it showed before",
        End.DOWN: "the controller is down",
    }
    tell(words[applied.end])


def _exit_code(applied: Applied) -> int:
    from hpcjobs.slurmconf.bring import End

    return {End.REFUSED: 1, End.ROLLED_BACK: 1, End.DOWN: 2}.get(applied.end, 0)

"""``hpcjobs tune``: what policies say of Slurm's scheduler, brought to slurm.conf of a running controller."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NoReturn

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.slurmconf.reach import Reach, reach_options

if TYPE_CHECKING:
    from hpcjobs.slurmconf.controller import Place
    from hpcjobs.slurmconf.runner import Runner
    from hpcjobs.slurmconf.tune import Order, Tuned

INTERRUPTED: Final = 130
FAILED: Final = 2

_DIFF: Final[Mapping[str, str]] = {"+": "green", "-": "red", "@": "cyan"}
"""Colours of lines of a diff."""


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@cluster_option
@click.option("--policy", metavar="NAME", help="Only what this policy says.")
@click.option("--keep", metavar="NAME", multiple=True, help="This parameter stays as it is, whatever policies say.")
@reach_options
@click.option("--dry-run", "dry", is_flag=True, help="Say what would change and try it; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", is_flag=True, help="All that was tuned is as it was before.")
@click.option("--recover", is_flag=True, help="Only undo what a run that was killed has left half done.")
@click.option("--no-trial", is_flag=True, help="Do not let a second slurmctld load it first.")
@json_option
def tune(
    words: tuple[str, ...],
    cluster: str | None,
    policy: str | None,
    keep: tuple[str, ...],
    reach: Reach,
    dry: bool,
    yes: bool,
    undo: bool,
    recover: bool,
    no_trial: bool,
    as_json: bool,
) -> None:
    """Set SchedulerParameters of slurm.conf as the policies say, or as said here.

    Only the parameters that they name change; a comment in slurm.conf says what they were. A second slurmctld loads it
    first; then the controller is told to read it, and if it does not show it, or complains of it, the old file is put
    back. It needs root or SlurmUser on the controller's machine. What policies say: "hpcjobs policies".

    Exit code: 0 it is so now, was so, or would be (--dry-run), 1 it was refused or rolled back, 2 something cannot be
    read, or the controller is down.
    """
    if (undo or recover) and (words or keep or policy):
        raise click.UsageError(f"{'--undo' if undo else '--recover'} sets nothing: name no parameter with it")
    if undo and recover:
        raise click.UsageError("say --undo or --recover")
    there, place = reach.machine(), reach.place()
    if recover:
        _tell(_recover(there, place) or "nothing was left half done")
        return
    if not (yes or dry) and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: say --yes, or --dry-run")
    wanted = {} if undo else _given(words) or _wished(cluster, policy, dry)
    if not (undo or wanted):
        why = "no policy says how to tune the scheduler; backfill does where it is in use and jobs wait"
        _nothing(why, as_json=as_json)
    kept = {name.lower() for name in keep}
    wanted = {name: value for name, value in wanted.items() if name.lower() not in kept}
    if not (undo or wanted):
        _nothing("all that is wanted is to be kept as it is", as_json=as_json)
    from hpcjobs.slurmconf.tune import Order

    tuned = _tune(there, place, Order(wanted, undo, dry, not no_trial, reach.load_s), yes=yes, quiet=as_json)
    print_json(tuned) if as_json else _end(tuned, undo=undo)
    sys.exit(_exit_code(tuned))


def _nothing(why: str, *, as_json: bool) -> NoReturn:
    """Say that there is nothing to do, and end."""
    from hpcjobs.slurmconf.bring import End
    from hpcjobs.slurmconf.tune import Tuned

    _tell(f"nothing to do: {why}")
    if as_json:
        print_json(Tuned(End.SAME, (why,)))
    sys.exit(0)


def _given(words: tuple[str, ...]) -> dict[str, str]:
    """Parameters of the command line; what has no ``=`` is a word alone."""
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _wished(cluster: str | None, policy: str | None, dry: bool) -> dict[str, str]:
    """What policies say; of several the first in order. Of one in dry-run mode only what would be is told."""
    from hpcjobs.model.steering import Tune

    with service() as client:
        found = client.policies(cluster or client.clusters()[0].name)
        if policy and policy not in {one.name for one in found.policies}:
            raise ValueError(f"{policy}: no such policy is in use; slurm.conf is as it was")
    wanted: dict[str, str] = {}
    for one in found.policies:
        wishes = [action for action in one.actions if isinstance(action, Tune) and policy in (None, one.name)]
        if wishes and one.dry_run and not dry:
            _tell(f"{one.name} is in dry-run mode: what it says is left out; --dry-run shows it", "warning")
            continue
        for wish in wishes:
            _tell(f"{one.name}: {wish.why}")
            wanted = {**wish.parameters, **wanted}
    return wanted


def _tune(there: Runner, place: Place, order: Order, *, yes: bool, quiet: bool) -> Tuned:
    """Do it. Who interrupts it finds everything as it was."""
    from hpcjobs.errors import HpcjobsError
    from hpcjobs.slurmconf.lines import Unreadable
    from hpcjobs.slurmconf.tune import tune as bring

    told: list[Tuned] = []

    def agreed(so_far: Tuned) -> bool:
        told.append(so_far)
        if not quiet:
            _so_far(so_far)
        files = ", ".join(so_far.changes) or "no file"
        return yes or click.confirm(f"Change {files}, and let slurmctld read it?", err=True)

    try:
        tuned = bring(there, place, order, agreed=agreed)
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        _tell(_recover(there, place) or "nothing was changed")
        sys.exit(INTERRUPTED)
    except (HpcjobsError, Unreadable) as error:
        _fail(error)
    if not (quiet or told):
        _so_far(tuned)
    return tuned


def _recover(there: Runner, place: Place) -> str:
    from hpcjobs.errors import HpcjobsError
    from hpcjobs.slurmconf.bring import recover

    try:
        return recover(there, place)
    except HpcjobsError as error:
        _fail(error)


def _so_far(tuned: Tuned) -> None:
    """What would change, and what the trial made of it."""
    if tuned.recovered:
        _tell(tuned.recovered, "note")
    for text in tuned.changes.values():
        for line in text.splitlines():
            click.secho(line, fg=_DIFF.get(line[:1]))
    for word in tuned.kept:
        _tell(f"{word} stays: somebody has changed it since", "note")
    if tried := tuned.trial:
        _tell(f"trial: a second slurmctld {f'was up after {tried.seconds:.1f} s' if tried.up else 'did not come up'}")
        for complaint in tried.complaints:
            _tell(f"trial: {complaint}")


def _end(tuned: Tuned, *, undo: bool) -> None:
    """How it ended, and why."""
    from hpcjobs.slurmconf.bring import End

    for reason in tuned.reasons:
        _tell(reason, "error")
    for backup in tuned.backups:
        _tell(f"the old file is {backup}")
    words = {
        End.APPLIED: f"slurmctld shows it after {tuned.seconds:.1f} s",
        End.SAME: "nothing to do: " + ("nothing was tuned" if undo else "slurmctld has these parameters"),
        End.DRY: "nothing was written",
        End.REFUSED: "refused: nothing was written",
        End.ROLLED_BACK: "rolled back: the old file is in place, and slurmctld shows what it showed before",
        End.DOWN: "the controller is down",
    }
    moves = [f"{move.new or f'no {move.name}'} (was {move.old or 'not set'})" for move in tuned.moves]
    verb = {End.APPLIED: "tuned: ", End.DRY: "would be tuned: "}.get(tuned.end, "")
    _tell(f"{verb}{', '.join(moves)}; {words[tuned.end]}" if verb and moves else words[tuned.end])


def _exit_code(tuned: Tuned) -> int:
    from hpcjobs.slurmconf.bring import End

    return {End.REFUSED: 1, End.ROLLED_BACK: 1, End.DOWN: FAILED}.get(tuned.end, 0)


def _fail(error: Exception) -> NoReturn:
    _tell(str(error), "error")
    sys.exit(FAILED)


def _tell(text: str, kind: str = "") -> None:
    """A sentence for stderr; names and values come from others, so what would move the cursor is left out."""
    kept = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    click.echo(": ".join(filter(None, ("hpcjobs", kind, kept))), err=True)

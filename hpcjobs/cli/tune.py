"""``hpcjobs tune``: what policies say of Slurm's scheduler, brought to slurm.conf of a running controller."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.slurmconf.conversation import converse, exit_code, recover, somebody_is_asked, tell_end
from hpcjobs.slurmconf.reach import Reach, reach_options
from hpcjobs.slurmconf.saying import faults, tell

if TYPE_CHECKING:
    from hpcjobs.slurmconf.tune import Tuned


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME=VALUE]...")
@cluster_option
@click.option("--policy", metavar="NAME", help="Only what this policy says.")
@click.option("--keep", metavar="NAME", multiple=True, help="This parameter stays as it is, whatever policies say.")
@reach_options
@click.option("--dry-run", "dry", is_flag=True, help="Say what would change and try it; write nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", is_flag=True, help="All that was tuned is as it was before.")
@click.option("--recover", "only_recover", is_flag=True, help="Only undo what a killed run has left half done.")
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
    only_recover: bool,
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
    if (undo or only_recover) and (words or keep or policy):
        raise click.UsageError(f"{'--undo' if undo else '--recover'} sets nothing: name no parameter with it")
    if undo and only_recover:
        raise click.UsageError("say --undo or --recover")
    there, place = reach.machine(), reach.place()
    if only_recover:
        with faults():
            recover(there, place)
        return
    somebody_is_asked(yes=yes, dry=dry)
    wanted = {} if undo else _given(words) or _wished(cluster, policy, dry)
    if not (undo or wanted):
        why = "no policy says how to tune the scheduler; backfill does where it is in use and jobs wait"
        _nothing(why, as_json=as_json)
    kept = {name.lower() for name in keep}
    wanted = {name: value for name, value in wanted.items() if name.lower() not in kept}
    if not (undo or wanted):
        _nothing("all that is wanted is to be kept as it is", as_json=as_json)
    with faults():
        from hpcjobs.slurmconf.tune import Order
        from hpcjobs.slurmconf.tune import tune as bring

        order = Order(wanted, undo, dry=dry, tried=not no_trial, load_s=reach.load_s)
        tuned = converse(
            there, place, lambda agreed: bring(there, place, order, agreed=agreed), _kept, yes=yes, quiet=as_json
        )
    print_json(tuned) if as_json else _end(tuned, undo=undo)
    sys.exit(exit_code(tuned.end))


def _nothing(why: str, *, as_json: bool) -> NoReturn:
    """Say that there is nothing to do, and end."""
    from hpcjobs.slurmconf.bring import End
    from hpcjobs.slurmconf.tune import Tuned

    tell(f"nothing to do: {why}")
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
            tell(f"{one.name} is in dry-run mode: what it says is left out; --dry-run shows it", "warning")
            continue
        for wish in wishes:
            tell(f"{one.name}: {wish.why}")
            wanted = {**wish.parameters, **wanted}
    return wanted


def _kept(tuned: Tuned) -> None:
    for word in tuned.kept:
        tell(f"{word} stays: somebody has changed it since", "note")


def _end(tuned: Tuned, *, undo: bool) -> None:
    """How it ended, and why."""
    moves = ", ".join(f"{move.new or f'no {move.name}'} (was {move.old or 'not set'})" for move in tuned.moves)
    tell_end(
        tuned,
        applied=f"tuned: {moves}; " if moves else "",
        same="nothing was tuned" if undo else "slurmctld has these parameters",
        dry=f"would be tuned: {moves}; " if moves else "",
    )

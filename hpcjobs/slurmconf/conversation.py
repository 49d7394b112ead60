"""What a command says and asks while it brings something to a controller: it shows, somebody agrees, it tells the end.

Light, as ``reach`` is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import click

from hpcjobs.slurmconf.saying import FAILED, INTERRUPTED, clean, say, styled, tell

if TYPE_CHECKING:
    from hpcjobs.slurmconf.bring import End
    from hpcjobs.slurmconf.controller import Place
    from hpcjobs.slurmconf.errand import Outcome
    from hpcjobs.slurmconf.runner import Runner

Found = TypeVar("Found", bound="Outcome")

_DIFF: Final[Mapping[str, str]] = {"+": "green", "-": "red", "@": "cyan"}
"""Colours of lines of a diff."""


def somebody_is_asked(*, yes: bool, dry: bool) -> None:
    """Hold that there is somebody to ask, where something is to be asked.

    Raises:
        UsageError: There is nobody.
    """
    if not (yes or dry) and not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here: say --yes, or --dry-run")


def recover(runner: Runner, place: Place, nothing: str = "nothing was left half done") -> None:
    """Undo what a run has left half done, and tell of it.

    Args:
        runner: The controller's machine.
        place: Where its files and programs are.
        nothing: What is told where it left nothing.

    Raises:
        Conflict: Somebody is still about it.
        Unavailable: The machine cannot be reached, or a file cannot be written.
    """
    from hpcjobs.slurmconf.bring import recover as undo

    tell(undo(runner, place) or nothing)


def converse(
    runner: Runner,
    place: Place,
    bring: Callable[[Callable[[Found], bool]], Found],
    findings: Callable[[Found], None],
    *,
    yes: bool,
    quiet: bool,
) -> Found:
    """Have something brought that is shown and agreed to first. Who interrupts it finds everything as it was.

    Args:
        runner: The controller's machine.
        place: Where its files and programs are.
        bring: Does it; it is given whom to ask, with what came of it so far, before it writes.
        findings: Shows what it found beside changes, before the trial is told of.
        yes: Whether nobody is asked.
        quiet: Whether nothing is shown.

    Raises:
        SystemExit: It was interrupted, and undone.
    """
    shown: list[Found] = []

    def show(so_far: Found) -> None:
        if not (quiet or shown):
            _show(so_far, findings)
        shown.append(so_far)

    def agreed(so_far: Found) -> bool:
        show(so_far)
        files = ", ".join(so_far.changes) or "no file"
        return yes or click.confirm(f"Change {files}, and let slurmctld read it?", err=True)

    try:
        outcome = bring(agreed)
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        recover(runner, place, "nothing was changed")
        sys.exit(INTERRUPTED)
    show(outcome)
    return outcome


def _show(so_far: Found, findings: Callable[[Found], None]) -> None:
    """What would change, what was found, and what the trial made of it."""
    if so_far.recovered:
        tell(so_far.recovered, "note")
    for text in so_far.changes.values():
        for line in text.splitlines():
            say(styled(clean(line), _DIFF.get(line[:1])))
    findings(so_far)
    if tried := so_far.trial:
        took = f", {tried.load_s:.1f} s of it for the topology" if tried.load_s else ""
        up = f"was up after {tried.seconds:.1f} s{took}" if tried.up else "did not come up"
        tell(f"trial: a second slurmctld {up}")
        for complaint in tried.complaints:
            tell(f"trial: {complaint}")


def tell_end(
    outcome: Outcome, *, applied: str, same: str, dry: str, shown: Collection[str] = (), advice: str = ""
) -> None:
    """How it ended, and why.

    Args:
        outcome: Of ``converse``.
        applied: Before how long it took, where it was brought.
        same: What slurmctld has where there is nothing to do.
        dry: Before that nothing was written, where it could be brought.
        shown: Reasons that were shown already.
        advice: What would help.
    """
    from hpcjobs.slurmconf.bring import End

    for reason in outcome.reasons:
        if reason not in shown:
            tell(reason, "error")
    if advice:
        tell(advice)
    for backup in outcome.backups:
        tell(f"the old file is {backup}")
    words = {
        End.APPLIED: f"{applied}slurmctld shows it after {outcome.seconds:.1f} s",
        End.SAME: f"nothing to do: {same}",
        End.DRY: f"{dry}nothing was written",
        End.REFUSED: "refused: nothing was written",
        End.ROLLED_BACK: "rolled back: the old files are in place, and slurmctld shows what it showed before",
        End.DOWN: "the controller is down",
    }
    tell(words[outcome.end])


def exit_code(end: End) -> int:
    """0: it is so now, was so, or could be; 1: it was refused or rolled back; 2: the controller is down."""
    from hpcjobs.slurmconf.bring import End

    return {End.REFUSED: 1, End.ROLLED_BACK: 1, End.DOWN: FAILED}.get(end, 0)

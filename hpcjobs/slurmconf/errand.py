"""One errand to a running controller, from what would change to how it ended: shown, tried, agreed to, brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from hpcjobs.slurmconf.bring import Brought, End, Wanted, bring, difference, left, recovered
from hpcjobs.slurmconf.conf import SlurmConf
from hpcjobs.slurmconf.controller import Controller
from hpcjobs.slurmconf.swap import Change
from hpcjobs.slurmconf.trial import LOAD_S, Tried


class Care(msgspec.Struct, frozen=True, kw_only=True):
    """How carefully something is brought; what an order says beside what shall be.

    Attributes:
        dry: Whether nothing is to be written.
        tried: Whether a second controller is asked first.
        load_s: How long a controller may take to load its configuration.
    """

    dry: bool = False
    tried: bool = True
    load_s: float = LOAD_S


class Outcome(Brought, frozen=True):
    """What became of an errand; each kind of errand adds what it found.

    Attributes:
        changes: What changes in each file, as ``diff -u`` has it.
        recovered: What an earlier run had left half done, and that it was undone; ``""``: nothing.
        trial: What a second controller made of it; None: there was none.
    """

    changes: Mapping[str, str] = {}
    recovered: str = ""
    trial: Tried | None = None


Found = TypeVar("Found", bound=Outcome)


class Proposal(msgspec.Struct, frozen=True):
    """What is to be brought.

    Attributes:
        conf: The slurm.conf that says where the controller's log is.
        changes: The files, in an order in which each step is a whole state.
        wanted: What the controller shall come to show.
        trial: Has a second controller load it; what that made of it, and what is against it, a sentence each.
    """

    conf: SlurmConf
    changes: Sequence[Change]
    wanted: Wanted
    trial: Callable[[], tuple[Tried, Sequence[str]]]


def begun(controller: Controller, care: Care, kind: type[Found]) -> Found:
    """What comes first: what a run that died had left half done is undone; a dry run does not go on before it is.

    Returns:
        The outcome so far; it has a reason where it does not go on.
    """
    if care.dry and (first := left(controller)):
        return kind(End.REFUSED, (first,))
    return kind(End.REFUSED, recovered=recovered(controller))


def carry_out(
    controller: Controller,
    care: Care,
    proposal: Proposal,
    so_far: Found,
    *,
    agreed: Callable[[Found], bool],
    now: Callable[[], float],
) -> Found:
    """Bring it, or come to why not.

    Args:
        controller: Who is alone with it; see ``bring.alone``.
        care: How carefully.
        proposal: What.
        so_far: What was found of it.
        agreed: Is asked, with what came of it so far, before anything is written.
        now: Unix seconds, for the names of backups.

    Raises:
        Unavailable: A file cannot be read or written; the old ones are there.
    """
    said = {change.path: difference(change) for change in proposal.changes}
    so_far = msgspec.structs.replace(so_far, changes=said)
    if not proposal.changes and not proposal.wanted.wrong():
        return msgspec.structs.replace(so_far, end=End.SAME)
    if care.tried:
        tried, against = proposal.trial()
        so_far = msgspec.structs.replace(so_far, trial=tried)
        if against:
            return msgspec.structs.replace(so_far, reasons=tuple(f"in a trial, {reason}" for reason in against))
    if care.dry:
        return msgspec.structs.replace(so_far, end=End.DRY)
    if not agreed(so_far):
        return msgspec.structs.replace(so_far, reasons=("it was not agreed to",))
    brought = bring(controller, proposal.conf, proposal.changes, proposal.wanted, now)
    return msgspec.structs.replace(so_far, **msgspec.structs.asdict(brought))

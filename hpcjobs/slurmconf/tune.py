"""SchedulerParameters brought to a running controller: merged, tried, written, read back; and taken back, or undone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hpcjobs.slurmconf.bring import Wanted, alone
from hpcjobs.slurmconf.conf import SlurmConf
from hpcjobs.slurmconf.controller import Controller, Place
from hpcjobs.slurmconf.errand import Care, Outcome, Proposal, begun, carry_out
from hpcjobs.slurmconf.parameters import KEY, Move, Tuning, parameters_of, tuned, undone
from hpcjobs.slurmconf.runner import Runner, read_bytes
from hpcjobs.slurmconf.swap import Change
from hpcjobs.slurmconf.trial import Tried, trial

_SHOWN: Final = re.compile(rf"^{KEY}\s*=\s*(.*?)\s*$", re.MULTILINE)
_INVALID: Final = re.compile(r"invalid|ignoring|no longer supported", re.IGNORECASE)
NONE: Final = "(null)"
"""What scontrol shows for a key that is not set."""

BESIDE: Final = ("topology.conf", "topology.yaml")
"""Files that a trial needs as they are, where they are."""


class Order(Care, frozen=True):
    """What is to be done.

    Attributes:
        wanted: Values of parameters by name, ``""`` for one that is a word alone. All others are kept.
        undo: Whether what earlier orders changed is to be as it was before, instead.
    """

    wanted: Mapping[str, str] = {}
    undo: bool = False


class Tuned(Outcome, frozen=True):
    """What became of it.

    Attributes:
        moves: Parameters that change.
        kept: Parameters that were to be undone, and that somebody has changed since, as they are.
    """

    moves: tuple[Move, ...] = ()
    kept: tuple[str, ...] = ()


def tune(
    runner: Runner,
    place: Place,
    order: Order,
    *,
    now: Callable[[], float] = time.time,
    agreed: Callable[[Tuned], bool] = lambda _: True,
) -> Tuned:
    """Bring parameters of the scheduler to a controller, or undo that.

    Args:
        runner: Its machine; root or SlurmUser there, who may write slurm.conf.
        place: Where its files and programs are.
        order: What is to be done.
        now: Unix seconds, for the names of backups.
        agreed: Is asked, with what came of it so far, before anything is written.

    Raises:
        Conflict: Somebody else changes the configuration.
        Unavailable: The machine cannot be reached, or a file cannot be read or written.
        Unreadable: slurm.conf cannot be read, must be changed by hand, or a parameter can be none.
    """
    with alone(runner, place) as controller:
        so_far = begun(controller, order, Tuned)
        if so_far.reasons:
            return so_far
        conf = controller.conf()
        tuning = undone(conf) if order.undo else tuned(conf, order.wanted)
        wanted = Wanted(
            lambda: _wrong(controller, tuning.value),
            lambda: _shown(controller)[0],
            lambda complaint: _is_about(complaint, tuning),
            order.load_s,
        )
        changes = _changes(controller, conf, tuning)
        proposal = Proposal(conf, changes, wanted, lambda: _trial(controller, conf, tuning, order.load_s))
        so_far = msgspec.structs.replace(so_far, moves=tuning.moves, kept=tuning.kept)
        return carry_out(controller, order, proposal, so_far, agreed=agreed, now=now)


def _changes(controller: Controller, conf: SlurmConf, tuning: Tuning) -> list[Change]:
    files = {controller.path(name): (conf.files[name], text) for name, text in tuning.files.items()}
    return [Change(path, old.encode(), new.encode()) for path, (old, new) in files.items()]


def _shown(controller: Controller) -> tuple[str | None, str]:
    """What a controller has, or None and why not."""
    text, complaint = controller.ask("show", "config")
    if text is None:
        return None, complaint
    found = _SHOWN.search(text)
    return ("", "") if found is None or found[1] == NONE else (found[1], "")


def _wrong(controller: Controller, value: str) -> list[str]:
    """What a controller has otherwise."""
    shown, complaint = _shown(controller)
    if shown is None:
        return [complaint]
    has, wanted = parameters_of(shown), parameters_of(value)
    wrong = [f"slurmctld has {has.get(name) or f'no {name}'}, not {word}" for name, word in wanted.items()
        if has.get(name) != word]  # fmt: skip
    return wrong + [f"slurmctld has {word}, which it should not" for name, word in has.items() if name not in wanted]


def _is_about(complaint: str, tuning: Tuning) -> bool:
    """Whether slurmctld complains of one of these parameters, which it then does without."""
    names = "|".join(re.escape(move.name) for move in tuning.moves) or "$."
    return bool(_INVALID.search(complaint) and re.search(rf"\b({names})\b", complaint, re.IGNORECASE))


def _trial(controller: Controller, conf: SlurmConf, tuning: Tuning, load_s: float) -> tuple[Tried, list[str]]:
    """What a second controller makes of it, and what is against it."""
    said = {KEY: tuning.value} if tuning.value else {}
    if "schedulertype" in conf.settings:
        said["SchedulerType"] = conf.settings["schedulertype"]
    paths = {name: read_bytes(controller.runner, controller.path(name)) for name in BESIDE}
    files = {name: data.decode(errors="replace") for name, data in paths.items() if data is not None}
    tried = trial(controller.runner, controller.place, conf, files, said=said, load_s=load_s)
    if not tried.up:
        return tried, [(tried.complaints or ("slurmctld did not come up",))[-1]]
    return tried, [one for one in tried.complaints if _is_about(one, tuning)]

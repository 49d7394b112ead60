"""Files brought to a running controller: written, read back; and taken back where it does not show what it should."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, Unavailable
from hpcjobs.slurmconf.conf import SlurmConf
from hpcjobs.slurmconf.controller import Controller, Place, State
from hpcjobs.slurmconf.runner import Runner, locked, must
from hpcjobs.slurmconf.swap import Change, Journal, finish, put_back, swap, unfinished
from hpcjobs.slurmconf.trial import LOAD_S, complaints

LOCK: Final = ".hpcjobs-conf.lock"
"""File whose lock two at once cannot have, in the folder of slurm.conf."""

DEAD_S: Final = 5.0
"""A controller that refuses connections for so long is dead, not busy."""


class End(StrEnum):
    """How it ended."""

    APPLIED = "applied"
    SAME = "same"  # files and controller have it already
    DRY = "dry"  # it would be applied
    REFUSED = "refused"  # nothing was written
    ROLLED_BACK = "rolled-back"  # the old files are back, and the controller shows what it showed before
    DOWN = "down"  # the old files are back, and the controller does not answer


class Brought(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        end: How it ended.
        reasons: Why not, a sentence each.
        backups: Where the old files are kept.
        seconds: From the order to reconfigure until the controller showed what it should.
    """

    end: End
    reasons: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    seconds: float = 0.0


class Wanted(msgspec.Struct, frozen=True):
    """What the controller shall come to show.

    Attributes:
        wrong: What it has otherwise, a sentence each; asked again and again until it is nothing.
        shown: What it shows of it, whatever that is; it shows the same after a roll-back. None: it does not say.
        against: Whether a complaint in its log is about what was changed; then it is rolled back.
        load_s: How long it may take.
    """

    wrong: Callable[[], list[str]]
    shown: Callable[[], object]
    against: Callable[[str], bool] = lambda _: False
    load_s: float = LOAD_S


@contextmanager
def alone(runner: Runner, place: Place) -> Iterator[Controller]:
    """A controller whose configuration nobody else changes while the block runs.

    Args:
        runner: Its machine; root or SlurmUser there, who may write the files.
        place: Where its files and programs are.

    Raises:
        Conflict: Somebody else is about it.
        Unavailable: The machine cannot be reached, or has no such folder.
    """
    folder = must(runner, ["readlink", "-e", "--", place.conf_dir], f"{place.conf_dir} is not there").decode().strip()
    place = msgspec.structs.replace(place, conf_dir=folder)
    with locked(runner, f"{folder}/{LOCK}", "Slurm's configuration is being changed"):
        yield Controller(runner, place)


def recover(runner: Runner, place: Place) -> str:
    """Undo what a run that died had left half done.

    Returns:
        What was found and done; ``""``: nothing was.

    Raises:
        Conflict: Somebody is still about it.
        Unavailable: The machine cannot be reached, or a file cannot be written.
    """
    with alone(runner, place) as controller:
        return recovered(controller)


def recovered(controller: Controller) -> str:
    """As ``recover``, for who is alone with it."""
    journal = unfinished(controller.runner, controller.place.conf_dir)
    if journal is None:
        return ""
    put_back(controller.runner, controller.place.conf_dir, journal)
    again = controller.reconfigure()
    paths = ", ".join(entry.path for entry in journal.entries)
    said = f"a run of {journal.stamp} had not come to its end: {paths} are as they were before it"
    return said + (f"; the controller did not take the order to read them: {again}" if again else "")


def left(controller: Controller) -> str:
    """Why nothing can be tried before what a run that died left half done is undone; ``""``: it left nothing."""
    journal = unfinished(controller.runner, controller.place.conf_dir)
    return f"a run of {journal.stamp} had not come to its end: recover first" if journal else ""


def bring(
    controller: Controller, conf: SlurmConf, changes: Sequence[Change], wanted: Wanted, now: Callable[[], float]
) -> Brought:
    """Exchange files and have the controller read them; the old ones come back where it does not show what it should.

    Args:
        controller: Who is alone with it; see ``alone``.
        conf: Its slurm.conf, which says where its log is.
        changes: The files, in an order in which each step is a whole state.
        wanted: What it shall come to show.
        now: Unix seconds, for the names of backups.

    Raises:
        Unavailable: A file cannot be written; the old ones are there.
    """
    folder = controller.place.conf_dir
    before = wanted.shown()
    logged = controller.log_bytes(conf)
    try:
        journal = swap(controller.runner, folder, changes, _stamp(now()))
    except Conflict as error:
        return Brought(End.REFUSED, (f"{error}; look at it again",))
    except Unavailable:
        if half := unfinished(controller.runner, folder):
            put_back(controller.runner, folder, half)
        raise
    backups = tuple(entry.backup for entry in journal.entries if entry.backup)
    begun = time.monotonic()
    complaint = controller.reconfigure()
    reasons = [complaint] if complaint and not _may_be_busy(complaint) else _until_shown(controller, wanted)
    said = dict.fromkeys(complaints(controller.logged(conf, logged).decode(errors="replace")))
    about = [one for one in said if wanted.against(one)]
    if not (reasons or about):
        finish(controller.runner, folder)
        return Brought(End.APPLIED, (), backups, time.monotonic() - begun)
    reasons += [f"slurmctld says: {one}" for one in said if one in about or one.startswith("fatal")]
    end, more = _roll_back(controller, journal, wanted, before)
    return Brought(end, (*reasons, *more), backups)


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03}Z"


def _until_shown(controller: Controller, wanted: Wanted) -> list[str]:
    """Wait until the controller shows what it should; what it has otherwise when it does not come to it."""
    give_up = time.monotonic() + wanted.load_s
    refused_since = 0.0
    while True:
        state = controller.state()
        wrong = wanted.wrong() if state is State.UP else ["the controller has died of it"]
        at = time.monotonic()
        if not wrong:
            return []
        if state is not State.BUSY:  # one that dies again and again is busy in between
            refused_since = (refused_since or at) if state is State.REFUSES else 0.0
        if at > give_up or (refused_since and at - refused_since > DEAD_S):
            return wrong if state is not State.BUSY else ["the controller has not answered in time"]
        time.sleep(0.3)


def _roll_back(controller: Controller, journal: Journal, wanted: Wanted, before: object) -> tuple[End, list[str]]:
    give_up = time.monotonic() + wanted.load_s
    while True:
        try:
            put_back(controller.runner, controller.place.conf_dir, journal)
            break
        except Unavailable as error:  # a machine that goes down with its controller comes up with it
            if time.monotonic() > give_up:
                return End.DOWN, [f"the old files could not be put back: {error}"]
            time.sleep(1)
    start = controller.place.start
    if controller.up(0):
        controller.reconfigure()
    elif start and not controller.up(1):
        controller.runner.run(start)
    if not controller.up(wanted.load_s):
        return End.DOWN, ["the old files are back, and the controller does not answer: start it"]
    while before is not None and wanted.shown() != before:
        if time.monotonic() > give_up:
            return End.DOWN, ["the old files are back, and the controller does not show what it showed before"]
        time.sleep(0.3)
    return End.ROLLED_BACK, []


def _may_be_busy(complaint: str) -> bool:
    """Whether an order may have been taken, though scontrol says that it was not."""
    return any(words in complaint.lower() for words in ("timed out", "connect failure", "connection re"))


def difference(change: Change) -> str:
    """What changes in a file, as ``diff -u`` has it."""
    old, new = ((data or b"").decode(errors="replace").splitlines(keepends=True) for data in (change.old, change.new))
    return "".join(difflib.unified_diff(old, new, change.path, change.path, n=1))

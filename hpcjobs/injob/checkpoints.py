"""A checkpoint folder, which one attempt has at a time.

    state/                        the register (register.py): every decision is an exchange of its value
    work/attempt-000003/          where attempt 3 writes, whatever it likes
    saved/step-1200.attempt-3.…/  what was sealed; a checkpoint once the register says so
    orphans/attempt-000002/       what an older attempt left unfinished, or wrote too late
    status/attempt-000003.json    how it goes (status.py); .ending beside it: save, the end is near

An attempt that a newer one took the folder from cannot publish, whenever it wakes up: the exchange that would do it is
of a value that it has not seen. What it still writes lands aside.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from . import manifest, state, sweeping
from .errors import Busy, CheckpointError, Superseded, Torn
from .register import Register, sync_folder
from .state import Attempt, Keep, Run, Saved, State

TRIES = 200
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room: on the file system, of a quota, or a limit of the process."""


class Fault(NamedTuple):
    """A checkpoint that cannot be used.

    Attributes:
        path: Below the checkpoint folder.
        detail: Why.
    """

    path: str
    detail: str


class Checkpoints:
    """A checkpoint folder.

    Args:
        root: Made by the first attempt.
        keep: What retention keeps.
        now: The clock; it decides nothing, it is only told.
    """

    def __init__(self, root: Path, keep: Keep = Keep(), now: Callable[[], float] = time.time) -> None:  # noqa: B008
        self.root = root.absolute()
        self.keep = keep
        self.now = now
        self.register = Register(self.root / "state")

    def state(self) -> State:
        """Attempts and checkpoints.

        Raises:
            OSError: The folder cannot be read.
        """
        return state.decode(self.register.read().value)

    def begin(self, run: Run) -> Writer:
        """Take the folder: older attempts can publish nothing from now on.

        Args:
            run: Whose attempt it is.

        Raises:
            Superseded: Of the same job a later restart has it.
            Busy: See errors.
            OSError: As when the disk is full.
        """
        changed = self.change(lambda old, torn: state.begin(old, run, self.now(), torn))
        sweeping.sweep(self.root, changed)
        writer = Writer(self, changed.newest)
        writer.folder.mkdir(parents=True, exist_ok=True)
        return writer

    def join(self, run: Run, wait_s: float = 0.0) -> Writer | None:
        """The attempt that rank 0 of the same run began.

        Args:
            run: Whose.
            wait_s: How long rank 0 may take.

        Returns:
            None: it began none.
        """
        until = time.monotonic() + wait_s
        while True:
            found = state.attempt_of(self.state(), run)
            if found:
                return Writer(self, found.number)
            if time.monotonic() >= until:
                return None
            time.sleep(0.2)

    def good(self, faults: list[Fault] | None = None, *, content: bool = True) -> Iterator[Saved]:
        """Checkpoints that are what their manifests say, newest first; each is read when it is asked for.

        Args:
            faults: Those that are not are added here.
            content: Read every byte; else sizes alone.
        """
        for one in reversed(self.state().saved):
            fault = self._fault(one, content=content)
            if not fault:
                yield one
            elif faults is not None:
                faults.append(Fault(one.path, fault))

    def _fault(self, one: Saved, *, content: bool) -> str:
        try:
            manifest.check(self.root / one.path, one.digest, content=content)
        except Torn as error:
            return str(error)
        return ""

    def latest_good(self, faults: list[Fault] | None = None) -> Saved | None:
        """The newest checkpoint that is whole, None: there is none.

        Args:
            faults: Newer ones that are not are added here.
        """
        return next(self.good(faults), None)

    def change(self, make: Callable[[State, int], State]) -> State:
        """Exchange the state.

        Args:
            make: Makes the new one, of the old one and of how many newer ones cannot be read; may be called again.

        Raises:
            CheckpointError: What ``make`` raises, or Busy.
            OSError: As when the disk is full; nothing was changed.
        """
        for _ in range(TRIES):
            seen = self.register.read()
            made = make(state.decode(seen.value), seen.torn)
            if self.register.swap(seen, state.encode(made)):
                return made
        raise Busy(f"{self.root}: the state changed {TRIES} times while it was to be written")


class Writer:
    """An attempt, as it writes.

    Args:
        checkpoints: Its folder.
        number: Its token.

    Attributes:
        folder: Where it writes: its own.
    """

    def __init__(self, checkpoints: Checkpoints, number: int) -> None:
        self.checkpoints = checkpoints
        self.number = number
        self.folder = checkpoints.root / "work" / sweeping.name_of(number)

    def attempt(self) -> Attempt | None:
        """What the state says of it."""
        return next((one for one in self.checkpoints.state().attempts if one.number == self.number), None)

    def superseded(self) -> bool:
        """Whether a newer attempt has the folder."""
        return self.checkpoints.state().newest > self.number

    def resume(self, faults: list[Fault] | None = None) -> Path | None:
        """Folder of the newest checkpoint that is whole, which retention spares from then on. None: from the beginning.

        Args:
            faults: Newer ones that are not whole are added here.

        Raises:
            Superseded: Another attempt has the folder.
            OSError: As when the disk is full.
        """
        found = self.checkpoints.latest_good(faults)
        path = found.path if found else ""
        self.checkpoints.change(lambda old, _: state.resume(old, self.number, path))
        return self.checkpoints.root / path if path else None

    def started(self, wait_s: float) -> Path | None:
        """What ``resume`` gave on rank 0.

        Args:
            wait_s: How long rank 0 may take: it reads all of a checkpoint.

        Raises:
            CheckpointError: It took longer.
            OSError: The folder cannot be read.
        """
        until = time.monotonic() + wait_s
        while True:
            told = self.attempt()
            if told and told.resumed is not None:
                return self.checkpoints.root / told.resumed if told.resumed else None
            if time.monotonic() >= until:
                raise CheckpointError(f"rank 0 of attempt {self.number} found no checkpoint within {wait_s:.0f} s")
            time.sleep(0.2)

    @contextlib.contextmanager
    def saving(self, step: int) -> Iterator[Path]:
        """A folder to write a checkpoint into, which is published at the end, and removed when something is raised.

        Args:
            step: Of the program.

        Raises:
            CheckpointError: See ``publish``.
            OSError: As when the disk is full; older checkpoints are as they were.
        """
        folder = self.folder / f"step-{step}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError) and self.superseded():
                raise self._overtaken() from error
            raise
        self.publish(folder, step)

    def publish(self, folder: Path, step: int) -> Saved:
        """Make a checkpoint of a folder: seal it, move it to its place, and say so if the folder is still ours.

        Args:
            folder: In the attempt's own.
            step: Of the program.

        Raises:
            Superseded: Another attempt has the checkpoint folder; what was written lies in orphans/.
            Torn: It is empty, or has something that is neither file nor folder.
            CheckpointError: It is not in the attempt's own folder.
            OSError: As when the disk is full; it was removed, older checkpoints are as they were.
        """
        folder = folder.absolute()
        if folder.parent != self.folder or folder.is_symlink():
            raise CheckpointError(f"{folder}: checkpoints of attempt {self.number} are folders in {self.folder}")
        lies = folder
        try:
            state.owned(self.checkpoints.state(), self.number)
            now = self.checkpoints.now()
            digest = manifest.seal(folder, step, self.number, now)
            size = manifest.read(folder, digest).size
            whole = frozenset(self._whole())
            lies = self._place(folder, step, digest)
            path = lies.relative_to(self.checkpoints.root).as_posix()
            saved = Saved(0, path, step, self.number, now, size, digest)
            made = self.checkpoints.change(lambda old, _: self._published(old, saved, whole))
        except Superseded:
            sweeping.aside(self.checkpoints.root, lies, self.number)
            raise
        except (Torn, OSError) as error:
            if self.superseded():
                sweeping.aside(self.checkpoints.root, lies, self.number)
                raise self._overtaken() from error
            if isinstance(error, OSError) and error.errno in FULL:
                shutil.rmtree(lies, ignore_errors=True)
            raise
        sweeping.clear(self.checkpoints.root, made.dropped)
        return made.saved[-1]

    def _overtaken(self) -> Superseded:
        return Superseded(f"attempt {self.number} lost the checkpoint folder while it wrote")

    def _published(self, old: State, saved: Saved, whole: frozenset[str]) -> State:
        keep = state.given_up(state.owned(old, self.number), self.checkpoints.keep, whole)
        there = tuple(one for one in old.dropped if (self.checkpoints.root / one.path / manifest.NAME).exists())
        return state.publish(old._replace(dropped=there), saved, keep)

    def _whole(self) -> Iterator[str]:
        """As many of the newest as retention must find whole; sizes alone are looked at."""
        good = self.checkpoints.good(content=False)
        return (one.path for one in itertools.islice(good, self.checkpoints.keep.last))

    def _place(self, folder: Path, step: int, digest: str) -> Path:
        """Move a sealed folder to its place, whose name no other checkpoint has or will have."""
        target = self.checkpoints.root / "saved" / f"step-{step}.attempt-{self.number}.{digest[:12]}"
        target.parent.mkdir(exist_ok=True)
        folder.rename(target)
        sync_folder(target.parent)
        return target

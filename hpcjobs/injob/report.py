"""What programs report with. Where no agent listens, reports go nowhere and checkpoints cannot be made.

from hpcjobs.injob import report      # or, where the folder is mounted: from injob import report

start = report.resume_from()          # folder of the newest checkpoint that is whole, or None
report.step(1200, loss=2.31)          # never raises, and never waits longer than a second
with report.saving(1200) as folder:   # a checkpoint when this ends; ranks other than 0 write there, too
    torch.save(state, folder / "state.pt")
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from . import lines
from .errors import CheckpointError, Superseded
from .lines import Told
from .listening import LINES, SOCKET

ATTEMPT, ROOT, FOLDER, RESUME, ENDING = (
    "HPCJOBS_ATTEMPT",
    "HPCJOBS_CHECKPOINTS",
    "HPCJOBS_CHECKPOINT_DIR",
    "HPCJOBS_RESUME_FROM",
    "HPCJOBS_ENDING_FILE",
)
OK, REFUSED, FAILED = "ok", "refused", "failed"
WAIT_S = 1.0
PUBLISH_S = 3600.0


class _Line:
    """The connection that heartbeats and steps go through; each process has its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: tuple[int, socket.socket] | None = None

    def send(self, line: str) -> bool:
        with self._lock:
            return self._sent(line) or self._sent(line) or _appended(line)  # the second time on a new connection

    def _sent(self, line: str) -> bool:
        try:
            if self._open is None or self._open[0] != os.getpid():
                self._open = os.getpid(), _connected(WAIT_S)
            self._open[1].sendall(line.encode() + b"\n")
        except OSError:
            if self._open is not None:
                self._open[1].close()
            self._open = None
            return False
        return True


_line = _Line()


def attempt() -> int:
    """Number of this attempt, 0: without a checkpoint folder."""
    return int(os.environ.get(ATTEMPT) or 0)


def resume_from() -> Path | None:
    """Folder of the checkpoint to go on from, None: from the beginning."""
    path = os.environ.get(RESUME)
    return Path(path) if path else None


def ending() -> bool:
    """Whether the end is near: save, and end.

    A file in the checkpoint folder tells it, so on every node, but not in the same moment: ranks have to agree.
    """
    path = os.environ.get(ENDING)
    return path is not None and os.path.exists(path)


def heartbeat() -> bool:
    """Say that the program lives.

    Returns:
        Whether anybody heard it.
    """
    return _line.send(lines.written(Told()))


def step(number: int, loss: float | None = None) -> bool:
    """Say how far the program is.

    Args:
        number: Of the step.
        loss: At that step; NaN is told, too.

    Returns:
        Whether anybody heard it.
    """
    return _line.send(lines.written(Told(number, loss)))


@contextlib.contextmanager
def saving(number: int, *, publishes: bool = True) -> Iterator[Path]:
    """A folder to write a checkpoint into. When it ends it is published; when something is raised it is removed.

    Args:
        number: Of the step.
        publishes: False on ranks other than 0: they write, and rank 0 publishes after a barrier in its own block.

    Raises:
        Superseded: A newer attempt has the checkpoint folder: end.
        CheckpointError: Nobody listens, or what the agent says.
        OSError: As when the disk is full; older checkpoints are as they were.
    """
    own = os.environ.get(FOLDER)
    if not own:
        raise CheckpointError(f"{FOLDER} is not set: start the program with hpcjobs run --checkpoints FOLDER -- ...")
    folder, began = Path(own) / f"step-{number}", time.monotonic()
    try:
        folder.mkdir(exist_ok=True)
        yield folder
    except BaseException:
        if publishes:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if publishes:
        checkpoint(folder, number, save_s=time.monotonic() - began)


def checkpoint(folder: Path, number: int, *, save_s: float | None = None) -> str:
    """Have a folder published as a checkpoint, and wait until it is.

    Args:
        folder: In HPCJOBS_CHECKPOINT_DIR; it is moved from there.
        number: Of the step.
        save_s: How long writing it took, in seconds.

    Returns:
        Where it is now; ``""``: only the file was there to tell, so nobody answered.

    Raises:
        Superseded: A newer attempt has the checkpoint folder: end.
        CheckpointError: Nobody listens, or what the agent says.
    """
    line = lines.written(Told(number, None, os.fspath(folder.absolute()), save_s))
    try:
        with _connected(PUBLISH_S) as connection, connection.makefile("rb") as heard:
            connection.sendall(line.encode() + b"\n")
            reply = heard.readline().decode().strip()
    except OSError as error:
        if _appended(line):
            return ""
        raise CheckpointError(f"no agent publishes {folder}: {error}") from error
    word, _, text = reply.partition(" ")
    if word == REFUSED:
        raise Superseded(text)
    if word != OK:
        raise CheckpointError(text or "the agent ended before it answered")
    return text


def _connected(wait_s: float) -> socket.socket:
    path = os.environ.get(SOCKET)
    if not path:
        raise FileNotFoundError(f"{SOCKET} is not set")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(wait_s)
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def _appended(line: str) -> bool:
    path = os.environ.get(LINES)
    if not path:
        return False
    try:
        opened = os.open(path, os.O_WRONLY | os.O_APPEND)  # the agent made it: without an agent there is none
    except OSError:
        return False
    try:
        return os.write(opened, line.encode() + b"\n") > 0
    except OSError:
        return False
    finally:
        os.close(opened)

"""Files that are nobody else's: written whole or not at all, and still there after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

LOOK_S = 0.05
"""How often a lock that somebody else holds is looked at, in seconds."""


def make_folder(path: str) -> None:
    """Make a folder, and those above it, that only its owner can enter; one of ours that is there becomes so."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o700)


def sync_folder(path: str) -> None:
    """Have the names in a folder on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: str, data: bytes) -> None:
    """Write a file of mode 0600: after a crash at any moment it is the old one or the new one, whole.

    A link is followed, as people keep their settings elsewhere.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    draft = f"{folder}/.{name}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    sync_folder(folder)


@contextlib.contextmanager
def lock(path: str, wait_s: float) -> Iterator[bool]:
    """Hold a lock among the processes of this machine; a process that dies lets go of it.

    Args:
        path: File that stands for it.
        wait_s: How long to wait for it, in seconds.

    Yields:
        Whether it was had.
    """
    until = time.monotonic() + wait_s
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        had = False
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                had = True
            if had or time.monotonic() >= until:
                break
            time.sleep(LOOK_S)
        yield had
    finally:
        os.close(file)

"""A value on a shared file system that is exchanged whole, and only by who has seen the newest: compare and swap.

Each value is a file of its own, ``00000017``, that link(2) puts in its place. link fails when the name is taken, also
on NFS (open(2) under O_EXCL: a unique file and link is the portable way). Nothing is ever written again, so readers
need no lock and see no half value. flock, which NFS may not have, and the clock decide nothing.

Assumed: link and rename are atomic on the server, and a file that was synced before it was linked has its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
import uuid
from pathlib import Path
from typing import NamedTuple

KEPT = 1000
"""Old values that stay. So many exchanges after a writer looked, the name that it takes for the next may be free."""

STALE_S = 3600.0
"""Unlinked files of writers that were killed are removed when they are this old."""

_NAME = re.compile(r"\d{8}")


class Seen(NamedTuple):
    """What was read.

    Attributes:
        slot: Number of the newest file, 0: there is none.
        value: Newest value that is whole, ``b""``: there is none.
        torn: How many newer ones are not whole, as after a power cut.
    """

    slot: int
    value: bytes
    torn: int = 0


class Register:
    """The value in a folder.

    Args:
        folder: Made when it is not there; nothing else belongs in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> Seen:
        """The newest value.

        Raises:
            OSError: The folder cannot be read.
        """
        slots = self._slots()
        for torn, slot in enumerate(slots):
            value = self._value(slot)
            if value is not None:
                return Seen(slots[0], value, torn)
        return Seen(slots[0] if slots else 0, b"", len(slots))

    def swap(self, seen: Seen, value: bytes) -> bool:
        """Put a value in place of the one that was seen.

        Args:
            seen: What ``read`` gave.
            value: The new one.

        Returns:
            False: somebody else was first, and nothing was changed.

        Raises:
            OSError: As when the disk is full; nothing was changed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = self.folder / f".{socket.gethostname()}.{uuid.uuid4().hex}"
        slot = seen.slot + 1
        try:
            write_synced(mine, hashlib.sha256(value).hexdigest().encode() + b"\n" + value)
            try:
                os.link(mine, self._path(slot))
            except OSError as error:
                # NFS may answer so to the repetition of a link that was made: then the file has two names.
                if mine.stat().st_nlink != 2:
                    if isinstance(error, FileExistsError):
                        return False
                    raise
            with contextlib.suppress(OSError):  # it is done, whatever follows
                return self._settled(slot)
        finally:
            with contextlib.suppress(FileNotFoundError):
                mine.unlink()
        return True

    def _settled(self, slot: int) -> bool:
        sync_folder(self.folder)
        slots = self._slots()
        if slot + KEPT <= slots[0]:
            # A name that was cleared away long ago. Readers take the last value, so this one was never seen.
            self._path(slot).unlink()
            return False
        self._clear(slots)
        return True

    def _path(self, slot: int) -> Path:
        return self.folder / f"{slot:08d}"

    def _slots(self) -> list[int]:
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        return sorted((int(name) for name in names if _NAME.fullmatch(name)), reverse=True)

    def _value(self, slot: int) -> bytes | None:
        try:
            digest, _, value = self._path(slot).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return value if hashlib.sha256(value).hexdigest().encode() == digest else None

    def _clear(self, slots: list[int]) -> None:
        for slot in slots[KEPT:]:
            with contextlib.suppress(FileNotFoundError):
                self._path(slot).unlink()
        if slots[0] % 100 == 0:
            for left in self.folder.glob(".*"):
                with contextlib.suppress(FileNotFoundError):
                    if left.stat().st_mtime < time.time() - STALE_S:
                        left.unlink()


def write_synced(path: Path, content: bytes) -> None:
    """A new file, on disk when this returns; none when it fails.

    Args:
        path: Where; nothing may be there.
        content: All of it.

    Raises:
        OSError: As when the disk is full.
    """
    try:
        with path.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def replace_synced(path: Path, content: bytes) -> None:
    """A file exchanged whole, by rename.

    Args:
        path: Where.
        content: All of it.

    Raises:
        OSError: As when the disk is full; what was there stays.
    """
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    write_synced(fresh, content)
    fresh.replace(path)


def point_at(path: Path, target: str) -> None:
    """A symbolic link, in place of what was there.

    Args:
        path: Where.
        target: What it says.

    Raises:
        OSError: As where a file system has no links; what was there stays.
    """
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    fresh.symlink_to(target)
    fresh.replace(path)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk; where file systems cannot, they say EINVAL, and that is passed over.

    Args:
        folder: Which.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(opened)
    finally:
        os.close(opened)

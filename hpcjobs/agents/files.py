"""What the files agent does: it works on files in the user's own name. The kernel says what that may be.

Every call is told the ``roots`` and acts below them only (beneath.py). No call takes long: data goes in
pieces of MAX_READ bytes, a checksum in slices, so that a user's calls do not wait for each other's bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Sequence
from typing import Any, Final

from hpcjobs.agents import uploads
from hpcjobs.agents.beneath import named, regular, tidy
from hpcjobs.agents.entries import describe, entries, etag_of, status
from hpcjobs.agents.renaming import rename
from hpcjobs.agents.serve import Operation

MAX_READ: Final = 4 * 1024 * 1024
SLICE_S: Final = 0.2
"""How long a call may go on with a checksum, in seconds; a piece of MAX_READ bytes more where the disk is slow."""
MAX_SUMS: Final = 16
MAX_DEPTH: Final = 256
"""Most folders made at once."""
FORGET_S: Final = 120.0
"""A checksum that nobody went on with for that long is given up, in seconds."""


def _range(descriptor: int, size: int, offset: int, limit: int) -> dict[str, Any]:
    start = max(0, size + offset) if offset < 0 else offset
    return {"data": os.pread(descriptor, min(limit, MAX_READ), start), "offset": start, "size": size}


def read(roots: Sequence[bytes], path: bytes, offset: int, limit: int) -> dict[str, Any]:
    """Read a range of a regular file below the roots.

    Args:
        roots: Where the path must lie.
        path: Absolute path.
        offset: First byte; negative counts from the end.
        limit: Most bytes to return; MAX_READ at the most.

    Returns:
        ``data``, its ``offset``, the file's ``size`` in bytes, and the ``file`` as stat tells it.

    Raises:
        OSError: As the system says; EISDIR or EINVAL for what is not a regular file.
    """
    with regular(path, roots) as descriptor:
        status = os.fstat(descriptor)
        told = _range(descriptor, status.st_size, offset, limit)
        return told | {"file": describe(os.path.basename(tidy(path)), status)}


class _Sum:
    """A checksum under way."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = os.dup(descriptor)
        self.before = os.fstat(descriptor)
        self.digest = hashlib.sha256()
        self.offset = 0
        self.used_at = time.monotonic()

    def go_on(self) -> bool:
        """Work for a while; whether the end was reached."""
        self.used_at = time.monotonic()
        while time.monotonic() < self.used_at + SLICE_S:
            data = os.pread(self.descriptor, MAX_READ, self.offset)
            if not data:
                return True
            self.digest.update(data)
            self.offset += len(data)
        return False


_sums: dict[str, _Sum] = {}


def _end(ticket: str) -> None:
    os.close(_sums.pop(ticket).descriptor)


def checksum(roots: Sequence[bytes], path: bytes, ticket: str, token: str) -> dict[str, Any]:
    """Begin or go on with a checksum.

    Args:
        roots: Where the path must lie.
        path: Absolute path of a regular file.
        ticket: Of the call before; ``""`` begins.
        token: Of an upload: its part is meant, not the file itself; ``""``: the file.

    Returns:
        ``ticket`` to go on with, ``sha256`` in hexadecimal once it is ``""``, ``size_bytes`` read, the file's ``etag``.

    Raises:
        OSError: As the system says; ESTALE: the ticket is unknown or the file has changed, begin again;
            EBUSY: too many at once.
    """
    if ticket:
        if ticket not in _sums:
            raise OSError(errno.ESTALE, "this checksum is not under way")
    else:
        for old in [known for known, work in _sums.items() if work.used_at < time.monotonic() - FORGET_S]:
            _end(old)
        if len(_sums) >= MAX_SUMS:
            raise OSError(errno.EBUSY, f"{MAX_SUMS} checksums are under way")
        if token:
            above, _, name = tidy(path).rpartition(b"/")
            path = above + b"/" + uploads.part_name(name, token)
        with regular(path, roots) as descriptor:
            ticket = secrets.token_hex(8)
            _sums[ticket] = _Sum(descriptor)
    work = _sums[ticket]
    try:
        done = work.go_on()
        changed = etag_of(os.fstat(work.descriptor)) != etag_of(work.before)
    except OSError:
        _end(ticket)
        raise
    if done or changed:
        _end(ticket)
    if changed:
        raise OSError(errno.ESTALE, "the file has changed meanwhile")
    return {
        "ticket": "" if done else ticket,
        "sha256": work.digest.hexdigest() if done else "",
        "size_bytes": work.offset,
        "etag": etag_of(work.before),
    }


def make_folder(roots: Sequence[bytes], path: bytes, parents: bool) -> None:
    """Make a folder.

    Args:
        roots: Where the path must lie.
        path: Absolute path.
        parents: Make those above it too, and do not mind if it is there.

    Raises:
        OSError: As the system says.
    """
    wanted = [tidy(path)]
    while wanted:
        try:
            with named(wanted[-1], roots) as (folder, name):
                os.mkdir(name, 0o777, dir_fd=folder)
        except FileNotFoundError:
            if not parents or len(wanted) > MAX_DEPTH:
                raise
            wanted.append(os.path.dirname(wanted[-1]))
            continue
        except FileExistsError:
            if not parents or status(roots, wanted[-1], follow=True)["type"] != "dir":
                raise
        wanted.pop()


def remove(roots: Sequence[bytes], path: bytes) -> None:
    """Remove a file, a link or an empty folder.

    Raises:
        OSError: As the system says; ENOTEMPTY.
    """
    with named(path, roots) as (folder, name):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


OPERATIONS: Final[dict[str, Operation]] = {
    "read": read,
    "status": status,
    "entries": entries,
    "checksum": checksum,
    "make_folder": make_folder,
    "remove": remove,
    "rename": rename,
    **uploads.OPERATIONS,
}

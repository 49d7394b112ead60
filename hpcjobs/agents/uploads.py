"""Uploads: a part file beside the file that it becomes. Its name says which upload it is, its size how far it got."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from hpcjobs.agents.beneath import Name, named
from hpcjobs.agents.entries import describe, etag_of
from hpcjobs.agents.renaming import move_new
from hpcjobs.agents.serve import Operation

PART_MODE: Final = 0o600
NEW_MODE: Final = 0o666
"""Of a file that replaces none, before the umask."""
SYNC_EVERY: Final = 32 * 1024 * 1024
"""Bytes between two waits for the disk, so that the last wait is short."""
KEEP_OF_NAME: Final = 180
TOKEN: Final = re.compile(r"[0-9a-f]{32}")


def part_name(name: bytes, token: str) -> bytes:
    """The name of the part file of an upload.

    Raises:
        ValueError: The token is not one.
    """
    if not TOKEN.fullmatch(token):
        raise ValueError("this is no upload")
    return b".%b.hpcjobs-%b" % (name[:KEEP_OF_NAME], token.encode())


@contextmanager
def _part(at: Name, token: str, flags: int) -> Iterator[int]:
    """The part file, open; whatever else has its name is refused.

    Raises:
        OSError: As the system says; EPERM where it is not a file that only we could have made.
    """
    part = part_name(at.name, token)
    descriptor = os.open(part, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PART_MODE, dir_fd=at.folder)
    try:
        status = os.fstat(descriptor)
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        mode = stat.S_IMODE(status.st_mode)
        if not ours or mode not in (PART_MODE, NEW_MODE & ~_umask()):
            raise OSError(errno.EPERM, "another file has the name of this upload's part")
        if mode != PART_MODE:  # an agent was killed between giving it its mode and giving it its name
            os.fchmod(descriptor, PART_MODE)
        yield descriptor
    finally:
        os.close(descriptor)


def _replaced(at: Name, overwrite: bool) -> os.stat_result | None:
    """The file that an upload is about to replace, or None.

    Raises:
        OSError: It must not be replaced: EEXIST, EISDIR, ELOOP for a link, EINVAL for a device, EACCES.
    """
    try:
        status = os.stat(at.name, dir_fd=at.folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not overwrite:
        raise OSError(errno.EEXIST, "it exists already")
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "it is a symbolic link, and nothing is written through one")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if not os.access(at.name, os.W_OK, dir_fd=at.folder):  # a rename alone would not ask
        raise OSError(errno.EACCES, "the file there may not be written to")
    return status


def part_begin(
    roots: Sequence[bytes], path: bytes, token: str, size_bytes: int | None, overwrite: bool
) -> dict[str, Any]:
    """Begin an upload, or find out how far it got.

    Args:
        roots: Where the path must lie.
        path: The file to be.
        token: Which upload, 32 hexadecimal digits.
        size_bytes: How large it will be, where that is known.
        overwrite: Whether it may replace a file.

    Returns:
        ``offset``: how many bytes are there.

    Raises:
        OSError: As the system says, and as said for a file that must not be replaced.
    """
    with named(path, roots) as at:
        _replaced(at, overwrite)
        with suppress(FileNotFoundError), _part(at, token, os.O_WRONLY) as part:
            return {"offset": os.fstat(part).st_size}
        with _part(at, token, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as part:
            room = os.fstatvfs(part)
            if size_bytes is not None and size_bytes > room.f_bavail * room.f_frsize:
                os.unlink(part_name(at.name, token), dir_fd=at.folder)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return {"offset": 0}


def part_state(roots: Sequence[bytes], path: bytes, token: str) -> dict[str, Any]:
    """How far an upload got.

    Raises:
        OSError: As the system says; ENOENT: there is no such upload.
    """
    with named(path, roots) as at, _part(at, token, os.O_WRONLY) as part:
        return {"offset": os.fstat(part).st_size}


def part_write(roots: Sequence[bytes], path: bytes, token: str, offset: int, data: bytes) -> dict[str, Any]:
    """Append to an upload.

    Args:
        roots: Where the path must lie.
        path: The file to be.
        token: Which upload.
        offset: How many bytes the caller believes to be there.
        data: What comes next.

    Returns:
        ``offset``: how many bytes are there now; nothing was written where the caller was wrong.

    Raises:
        OSError: As the system says; what was written before it said so stays.
    """
    with named(path, roots) as at, _part(at, token, os.O_WRONLY) as part:
        size = os.fstat(part).st_size
        if size != offset:
            return {"offset": size}
        rest = memoryview(data)
        while rest:
            written = os.pwrite(part, rest, size)
            size, rest = size + written, rest[written:]
        if size // SYNC_EVERY != offset // SYNC_EVERY:
            os.fdatasync(part)
        return {"offset": size}


def part_commit(
    roots: Sequence[bytes],
    path: bytes,
    token: str,
    part_etag: str,
    overwrite: bool,
    if_match: str | None,
    private: bool = False,
) -> dict[str, Any]:
    """Give an upload its name, at once and whole.

    Args:
        roots: Where the path must lie.
        path: The file to be.
        token: Which upload.
        part_etag: Of the part as it was checked; ``""``: it was not.
        overwrite: Whether it may replace a file.
        if_match: Etag of the only file that it may replace; None: of any.
        private: Whether its owner alone may read it, whatever the mode of the one that it replaces.

    Returns:
        The file, and whether one was ``replaced``.

    Raises:
        OSError: As the system says; ESTALE: the part is not as it was checked, ECANCELED: if_match does not hold.
    """
    with named(path, roots) as at, _part(at, token, os.O_RDWR) as part:
        if part_etag and etag_of(os.fstat(part)) != part_etag:
            raise OSError(errno.ESTALE, "the upload was written to while it was checked")
        old = _replaced(at, overwrite)
        if if_match is not None and (old is None or etag_of(old) != if_match):
            raise OSError(errno.ECANCELED, "the file there is not the one that was meant")
        if old is not None:
            with suppress(PermissionError):  # a group that the user is not in
                os.fchown(part, -1, old.st_gid)
        os.fsync(part)
        if not private:
            os.fchmod(part, stat.S_IMODE(old.st_mode) & 0o777 if old else NEW_MODE & ~_umask())
        try:
            if overwrite:
                os.rename(part_name(at.name, token), at.name, src_dir_fd=at.folder, dst_dir_fd=at.folder)
            else:
                move_new(Name(at.folder, part_name(at.name, token)), at)
        except OSError:
            os.fchmod(part, PART_MODE)  # it stays an upload
            raise
        _sync_folder(at.folder)
        return {"file": describe(at.name, os.fstat(part)), "replaced": old is not None}


def part_remove(roots: Sequence[bytes], path: bytes, token: str) -> None:
    """Give an upload up.

    Raises:
        OSError: As the system says; ENOENT: there is no such upload.
    """
    with named(path, roots) as at:
        with _part(at, token, os.O_WRONLY):
            pass
        os.unlink(part_name(at.name, token), dir_fd=at.folder)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: int) -> None:
    """Have the new name on disk; a folder that may not be read keeps it by itself, later."""
    with suppress(OSError):
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fsync(readable)
        finally:
            os.close(readable)


OPERATIONS: Final[dict[str, Operation]] = {
    "part_begin": part_begin,
    "part_state": part_state,
    "part_write": part_write,
    "part_commit": part_commit,
    "part_remove": part_remove,
}

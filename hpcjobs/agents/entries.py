"""What the files agent tells of files and folders."""

from __future__ import annotations

import errno
import functools
import grp
import heapq
import os
import pwd
import stat
from collections.abc import Sequence
from typing import Any, Final

from hpcjobs.agents.beneath import named, reached, tidy

KINDS: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@functools.lru_cache(4096)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(4096)
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def etag_of(status: os.stat_result) -> str:
    """What changes whenever another file or other bytes are at a path."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def describe(name: bytes, status: os.stat_result, target: bytes | None = None) -> dict[str, Any]:
    """An entry as it goes to the caller."""
    return {
        "name": name,
        "type": KINDS.get(stat.S_IFMT(status.st_mode), "device"),
        "size_bytes": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
        "owner": _user(status.st_uid),
        "group": _group(status.st_gid),
        "mtime_ns": status.st_mtime_ns,
        "target": target,
        "etag": etag_of(status),
    }


def _described(folder: int, name: bytes) -> dict[str, Any] | None:
    """A name in a folder, a link as a link; None where it has gone meanwhile."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
    except FileNotFoundError:
        return None
    return describe(name, status, target)


def status(roots: Sequence[bytes], path: bytes, follow: bool) -> dict[str, Any]:
    """What is at a path.

    Args:
        roots: Where the path must lie.
        path: Absolute path.
        follow: Whether to tell of what a link leads to.

    Raises:
        OSError: As the system says.
    """
    if follow:
        with reached(path, roots) as handle:
            return describe(os.path.basename(tidy(path)), os.fstat(handle))
    with named(path, roots) as (folder, name):
        if (told := _described(folder, name)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return told


def entries(roots: Sequence[bytes], path: bytes, after: bytes, limit: int) -> dict[str, Any]:
    """A page of a folder, by name, byte by byte. What is there all along is told once, whatever comes and goes.

    Args:
        roots: Where the path must lie.
        path: Absolute path of a folder.
        after: Last name of the page before, or nothing.
        limit: Most entries.

    Returns:
        ``items``, and the ``last`` name where there are more, else None.

    Raises:
        OSError: As the system says.
    """
    with reached(path, roots, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK) as folder:
        with os.scandir(folder) as found:
            names = heapq.nsmallest(limit + 1, (name for e in found if (name := os.fsencode(e.name)) > after))
        told = [_described(folder, name) for name in names[:limit]]
        last = names[limit - 1] if len(names) > limit else None
        return {"items": [entry for entry in told if entry is not None], "last": last}

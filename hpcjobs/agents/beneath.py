"""Opening paths so that nothing outside the roots is reached, whatever links others plant meanwhile.

The kernel is the judge: every path is opened by openat2(2) from a descriptor of its root with RESOLVE_BENEATH, so
that neither ``..`` nor a link can leave the root between a look and an act. A link that points to another place below
the roots (``~/scratch -> /scratch/alice``) is allowed: where the kernel refuses to leave the root, it is asked where
the path leads to, and that place is opened anew, this time with no link at all in it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

SYS_OPENAT2: Final = 437
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
TRIES: Final = 16
"""RESOLVE_BENEATH says EAGAIN when a folder is moved while it climbs a ``..``."""
MAX_PATH: Final = 4095
MAX_NAME: Final = 255

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Name(NamedTuple):
    """A name in an open folder: what calls that make, move or remove something take."""

    folder: int
    name: bytes


def openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    """Open a path, with the limits on its resolution of openat2.

    Args:
        folder: Descriptor of the folder that the path starts at.
        path: Relative path.
        flags: Of open(2); O_CLOEXEC is added.
        resolve: RESOLVE_ flags.

    Raises:
        OSError: As the system says; ENOSYS where the kernel or a container's filter has no openat2.
    """
    how = _How(flags | os.O_CLOEXEC, 0, resolve)
    number = errno.EAGAIN
    for _ in range(TRIES):
        descriptor = int(_libc.syscall(SYS_OPENAT2, folder, path, ctypes.byref(how), ctypes.sizeof(how)))
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    if number in (errno.ENOSYS, errno.EPERM):  # EPERM: what filters of old container engines answer
        raise OSError(errno.ENOSYS, "the system has no openat2 (Linux 5.6 or later): no file can be served safely")
    raise OSError(number, os.strerror(number))


def tidy(path: bytes) -> bytes:
    """The path without doubled slashes, ``.`` and a slash at its end; ``..`` is the kernel's to judge.

    Raises:
        ValueError: It is not absolute, holds a NUL or is too long.
    """
    if not path.startswith(b"/") or b"\0" in path or len(path) > MAX_PATH:
        raise ValueError(f"{path.decode('utf-8', 'replace')!r} is not an absolute path of at most {MAX_PATH} bytes")
    return b"/" + b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))


def _below(path: bytes, root: bytes) -> bytes | None:
    """The path as seen from the root, or None where it is not below it."""
    stem = root.rstrip(b"/") + b"/"
    return path[len(stem) :] or b"." if (path + b"/").startswith(stem) else None


def _nearest(path: bytes, roots: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The innermost root above a path, and the path as seen from it.

    Raises:
        OSError: EXDEV: there is none.
    """
    innermost_first = sorted((tidy(root) for root in roots), key=len, reverse=True)
    for spelling in (bytes, os.path.realpath):
        for root in innermost_first:
            if (seen := _below(path, spelling(root))) is not None:
                return root, seen
    raise OSError(errno.EXDEV, "the path leads out of the roots")


def _leads_to(path: bytes) -> bytes:
    """Where the kernel gets to when it follows every link, by its own rules about links of others."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            return os.readlink(b"/proc/self/fd/%d" % descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:  # not said which: what lies outside is not told apart
        raise OSError(errno.EXDEV, "the path leads out of the roots, or nowhere") from error


def reach(path: bytes, roots: Sequence[bytes], flags: int = os.O_PATH) -> int:
    """Open what a path leads to, if it lies below one of the roots.

    Args:
        path: Absolute path.
        roots: Absolute paths of folders.
        flags: Of open(2). Without O_PATH only for folders: opening a device or a FIFO does something to it.

    Returns:
        A descriptor, which the caller closes.

    Raises:
        OSError: As the system says; EXDEV: the path leads out of the roots.
        ValueError: The path is not absolute, holds a NUL or is too long.
    """
    path = tidy(path)
    try:
        return _open_below(path, roots, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    _nearest(path, roots)
    try:
        return _open_below(_leads_to(path), roots, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.EXDEV, "the path leads out of the roots") from error  # changed since we asked


def _open_below(path: bytes, roots: Sequence[bytes], flags: int, resolve: int) -> int:
    root, seen = _nearest(path, roots)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(folder, seen, flags, resolve)
    finally:
        os.close(folder)


@contextmanager
def reached(path: bytes, roots: Sequence[bytes], flags: int = os.O_PATH) -> Iterator[int]:
    """reach() for a ``with``."""
    descriptor = reach(path, roots, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def named(path: bytes, roots: Sequence[bytes]) -> Iterator[Name]:
    """The last name of a path in its open folder: a link of that name is not followed by calls that take it.

    Raises:
        OSError: As the system says; EXDEV: the folder lies out of the roots, or the path is a root itself.
        ValueError: The path is not one, or ends in ``..``.
    """
    above, _, name = tidy(path).rpartition(b"/")
    if name in (b"", b".."):
        raise ValueError("the path must end in a name")
    if len(name) > MAX_NAME:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    with reached(above or b"/", roots, os.O_PATH | os.O_DIRECTORY) as folder:
        yield Name(folder, name)


@contextmanager
def regular(path: bytes, roots: Sequence[bytes]) -> Iterator[int]:
    """A regular file, open for reading. What is none is not even opened.

    Raises:
        OSError: As the system says; EISDIR or EINVAL where it is no regular file, EXDEV where it is out of the roots.
    """
    with reached(path, roots) as handle:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, "it is a folder")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        descriptor = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)

"""Giving things other names: only where nothing has that name yet, or over it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from hpcjobs.agents.beneath import Name, named

RENAME_NOREPLACE: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


def move_new(old: Name, new: Name) -> None:
    """Rename where the new name is free, without a moment between look and act.

    Raises:
        OSError: As the system says; EEXIST: the name is taken.
    """
    if not _libc.renameat2(old.folder, old.name, new.folder, new.name, RENAME_NOREPLACE):
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    # File systems such as NFS have no such rename: a second name, which must be new, then the first goes.
    if stat.S_ISDIR(os.stat(old.name, dir_fd=old.folder, follow_symlinks=False).st_mode):
        raise OSError(errno.ENOTSUP, "this file system cannot rename a folder without the danger of replacing another")
    os.link(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder, follow_symlinks=False)
    os.unlink(old.name, dir_fd=old.folder)


def rename(roots: Sequence[bytes], path: bytes, to: bytes, overwrite: bool) -> None:
    """Give a file, link or folder another name or place.

    Args:
        roots: Where both paths must lie.
        path: What.
        to: Its new path.
        overwrite: Whether it may replace what has that path, as rename(2) does.

    Raises:
        OSError: As the system says; EEXIST: the path is taken.
    """
    with named(path, roots) as old, named(to, roots) as new:
        try:
            if overwrite:
                os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)
            else:
                move_new(old, new)
        except OSError as error:
            if error.errno != errno.EXDEV:  # which says something else here: out of the roots
                raise
            raise OSError(errno.ENOTSUP, "the two paths lie on different file systems") from error

"""Small files in users' homes, that what runs on nodes reads: each is there whole, or as it was before."""

from __future__ import annotations

import secrets
from contextlib import suppress

from hpcjobs.errors import FileExists, FileMissing, HpcjobsError
from hpcjobs.files import FileSystem


async def keep(files: FileSystem, path: bytes, data: bytes, *, private: bool = False) -> None:
    """Have a file be so; where it is, nothing is written.

    Args:
        files: Of its owner.
        path: Absolute path; folders above it are made.
        data: What is to be in it.
        private: Whether its owner alone may read it.

    Raises:
        HpcjobsError: It cannot be written.
    """
    with suppress(FileMissing):
        there = await files.read(path, 0, len(data) + 1)
        closed = there.file is not None and not there.file.mode & 0o077
        if there.data == data and (closed or not private):
            return
    with suppress(FileExists):
        await files.make_folder(path.rpartition(b"/")[0], True)
    token = secrets.token_hex(16)  # others may write the same at once, or have been killed while they did
    try:
        await files.part_begin(path, token, len(data), True)
        await files.part_write(path, token, 0, data)
        await files.part_commit(path, token, "", True, None, private)
    except HpcjobsError:
        with suppress(HpcjobsError):
            await files.part_remove(path, token)
        raise

"""What the files agent does: read files in the user's own name. The kernel says what that may be."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

MAX_READ = 4 * 1024 * 1024


def read(path: str, offset: int, limit: int) -> dict[str, Any]:
    """Read a range of a regular file.

    Args:
        path: Absolute path.
        offset: First byte; negative counts from the end, as far back as the file goes.
        limit: Most bytes to return; MAX_READ at the most.

    Returns:
        ``data``, its ``offset`` and the file's ``size``, in bytes.

    Raises:
        OSError: As the system says, EINVAL for what is not a regular file.
        ValueError: The path is not absolute or holds a NUL.
    """
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{path!r} is not an absolute path")
    # O_NONBLOCK: opening a FIFO that nobody writes to must not stop the agent.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a regular file")
        start = max(0, status.st_size + offset) if offset < 0 else offset
        data = os.pread(descriptor, min(limit, MAX_READ), start)
        return {"data": data, "offset": start, "size": status.st_size}
    finally:
        os.close(descriptor)


OPERATIONS = {"read": read}

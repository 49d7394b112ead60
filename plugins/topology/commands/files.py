"""Files that the commands write: whole or not at all."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it has the old or the new one, whenever we end; ``-`` is stdout.

    A name that ends in ``.gz`` is compressed; what is no file, as a pipe, is written to.

    Raises:
        OSError: It cannot be written; the old one is as it was.
    """
    if path == Path("-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    real = Path(os.path.realpath(path))
    mode = _mode(real)
    if not stat.S_ISREG(mode):
        path.write_bytes(data)
        return
    try:
        _replace(real, data, stat.S_IMODE(mode))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _replace(path: Path, data: bytes, mode: int) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _mode(path: Path) -> int:
    """Of a file, or that which a new one gets."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return stat.S_IFREG | (0o666 & ~mask)

"""Disks: room and inodes are left, nothing became read-only, and what is written comes back."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .call import Call
from .host import Host

WRITTEN = 4096
MIB = 1024 * 1024
CONFIGURATIONS = ("/etc/slurm/slurm.conf", "/run/slurm/conf/slurm.conf")
SPOOL = "/var/spool/slurmd"


class Options(NamedTuple):
    """What may be set of disks.

    Attributes:
        folders: Whose file systems are looked at; one that is not there is a fault.
        free_percent: So much must be free for users.
        inodes_percent: The same of inodes, where there are such.
        write: Folders where something is written and read again.
    """

    folders: list[str]
    free_percent: float
    inodes_percent: float
    write: list[str]


class Spool(NamedTuple):
    """What may be set of slurmd's own folder.

    Attributes:
        folder: It; ``""``: SlurmdSpoolDir of slurm.conf.
        free_mib: So many MiB must be free.
    """

    folder: str
    free_mib: float


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See how its disks are.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    return [*_room(options, host), *(fault for folder in options.write for fault in _written(host, folder))]


def spool(options: Spool, host: Host, call: Call) -> list[str]:
    """See whether slurmd can write where it must.

    Args:
        options: See Spool.
        host: The node.
        call: The time.
    """
    folder = options.folder or spool_of(host, call.environ.get("SLURM_CONF", ""))
    try:
        told = os.statvfs(host.at(folder))
    except OSError as error:
        return [f"{folder}: {error.strerror}"]
    free = told.f_bavail * told.f_frsize / MIB
    if free < options.free_mib:
        return [f"{folder} has {free:.0f} MiB left"]
    return list(_written(host, folder))


def spool_of(host: Host, named: str = "") -> str:
    """SlurmdSpoolDir of a node, of slurm.conf and the files that it includes.

    Args:
        host: The node.
        named: Where its slurm.conf is; ``""``: where it usually is.
    """
    for path in filter(None, (named, *CONFIGURATIONS)):
        if host.at(path).is_file():
            told = [value for name, value in _lines(host.at(path)) if name == "slurmdspooldir"]
            folder = told[-1] if told else SPOOL
            return folder.replace("%n", host.name).replace("%h", host.name)
    return SPOOL


def _lines(path: Path, depth: int = 4) -> Iterator[tuple[str, str]]:
    for line in path.read_text(errors="replace").splitlines():
        if include := re.match(r"\s*include\s+(\S+)", line, re.IGNORECASE):
            if depth and (path.parent / include[1]).is_file():
                yield from _lines(path.parent / include[1], depth - 1)
        elif said := re.match(r"\s*(\w+)\s*=\s*([^\s#]+)", line):
            yield said[1].lower(), said[2]


def _room(options: Options, host: Host) -> Iterator[str]:
    seen = set()
    for folder in options.folders:
        try:
            device, told = os.stat(host.at(folder)).st_dev, os.statvfs(host.at(folder))
        except OSError as error:
            yield f"{folder}: {error.strerror}"
            continue
        if device in seen:
            continue
        seen.add(device)
        free = 100 * told.f_bavail / max(1, told.f_blocks)
        inodes = 100 * told.f_favail / told.f_files if told.f_files else 100.0
        if told.f_blocks and free < options.free_percent:
            yield f"{folder} has {free:.1f} % left"
        if inodes < options.inodes_percent:
            yield f"{folder} has {inodes:.1f} % of its inodes left"


def _written(host: Host, folder: str) -> Sequence[str]:
    """Write something there, and read it again, from the disk where the kernel lets go of its copy."""
    path = host.at(folder) / f".hpcjobs-{uuid.uuid4().hex}"
    text = os.urandom(WRITTEN)
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(opened, text)
            os.fsync(opened)
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
            back = os.pread(opened, WRITTEN, 0)
        finally:
            os.close(opened)
            path.unlink()
    except OSError as error:
        return [f"{folder} cannot be written: {error.strerror}"]
    return [] if back == text else [f"{folder}: what was written does not come back"]

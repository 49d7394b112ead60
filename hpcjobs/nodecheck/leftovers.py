"""What a job left behind: processes of its user that no job of theirs has, and files in /dev/shm."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

from .call import EPILOG, Call
from .host import Host
from .slurm import jobs_of

SHM = "/dev/shm"  # noqa: S108 - it is what is cleaned
STEP = "slurmstepd"
GONE = "ZX"
"""States of processes that have ended: zombie, dead."""


class Options(NamedTuple):
    """What may be set.

    Attributes:
        end: Whether processes are killed and files removed; else they are told.
        from_uid: Users below that number are the system's, and left alone.
        wait_s: How long killed processes may take to go.
    """

    end: bool
    from_uid: int
    wait_s: float


class Process(NamedTuple):
    """One that was left.

    Attributes:
        pid: Its number.
        name: Of its program.
        state: As ``D``: it waits in the kernel.
        began: Clock ticks since boot; with the number it is no other's.
    """

    pid: int
    name: str
    state: str
    began: int


def check(options: Options, host: Host, call: Call) -> list[str]:
    """Tidy up after a job in its epilog; later see whether what could not be ended has gone.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    if call.mode != EPILOG:
        known = [Process(*one) for one in call.kept.get("left", [])]
        return _told(call, [one for one in known if _same(host, one)])
    job, uid = call.environ.get("SLURM_JOB_ID", ""), int(call.environ.get("SLURM_JOB_UID", "-1"))
    if uid < options.from_uid:
        return []
    others = jobs_of(host, uid)
    if others is None or others - {job}:
        return []
    if options.end and not host.recorded:
        _end(host, uid, options.wait_s)
        _remove(host, uid)
    return _told(call, list(_processes(host, uid)))


def _told(call: Call, left: list[Process]) -> list[str]:
    if left or call.kept:
        call.kept["left"] = left
    names = ", ".join(f"{one.pid} {one.name} ({one.state})" for one in left[:3])
    return [f"{len(left)} processes of a job that has ended: {names}"] if left else []


def _end(host: Host, uid: int, wait_s: float) -> None:
    give_up = time.monotonic() + wait_s
    while (left := list(_processes(host, uid))) and time.monotonic() < give_up:
        for one in left:
            with contextlib.suppress(ProcessLookupError):
                _kill(host, one)
        time.sleep(0.1)


def _kill(host: Host, one: Process) -> None:
    """End a process, and no other that got its number meanwhile."""
    opened = os.pidfd_open(one.pid)
    try:
        if _same(host, one):
            signal.pidfd_send_signal(opened, signal.SIGKILL)
    finally:
        os.close(opened)


def _remove(host: Host, uid: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(host.at(SHM)):
            with contextlib.suppress(OSError):  # gone meanwhile
                if entry.stat(follow_symlinks=False).st_uid == uid:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)


def _processes(host: Host, uid: int) -> Iterator[Process]:
    """A user's, but those below a step of Slurm's: another job began meanwhile."""
    parents = {int(path.name): _parent(host, path.name) for path in host.at("/proc").glob("[0-9]*")}
    for pid, (name, parent, owner) in parents.items():
        if owner != uid or name == STEP or _below_step(parents, parent):
            continue
        if (one := _process(host, pid)) and one.state not in GONE:
            yield one


def _below_step(parents: dict[int, tuple[str, int, int]], pid: int) -> bool:
    while pid in parents:
        name, pid, _ = parents[pid]
        if name == STEP:
            return True
    return False


def _parent(host: Host, pid: str) -> tuple[str, int, int]:
    """Name, parent and owner of a process."""
    told = dict(re.findall(r"^(\w+):\s+(\S+)", host.text(f"/proc/{pid}/status"), re.MULTILINE))
    return told.get("Name", ""), int(told.get("PPid", 0)), int(told.get("Uid", -1))


def _process(host: Host, pid: int) -> Process | None:
    head, _, rest = host.text(f"/proc/{pid}/stat").rpartition(")")
    fields = rest.split()
    return Process(pid, head.partition("(")[2], fields[0], int(fields[19])) if len(fields) > 19 else None


def _same(host: Host, one: Process) -> bool:
    now = _process(host, one.pid)
    return now is not None and now.began == one.began and now.state not in GONE

"""What is remembered from one time to the next: a file of JSON, exchanged whole, for one boot."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .decide import Memory


class Kept(NamedTuple):
    """All of it.

    Attributes:
        memory: What decisions hang on.
        checks: What each check remembers, of this boot.
        stuck: Processes of checks that could not be ended, and when they began (clock ticks since boot).
    """

    memory: Memory
    checks: dict[str, dict[str, Any]]
    stuck: dict[str, tuple[int, int]]


def load(path: Path, boot: str) -> Kept:
    """Read it; nothing is remembered where it cannot be read.

    Args:
        path: Where it is.
        boot: Of this boot; strikes, counters and processes of another are forgotten.
    """
    try:
        told = json.loads(path.read_text())
        memory = told["memory"]
        lasting = Memory({}, 0, memory["drained"], tuple(memory["resumed"]))
        if told["boot"] != boot:
            return Kept(lasting, {}, {})
        stuck = {name: (pid, began) for name, (pid, began) in told["stuck"].items()}
        return Kept(lasting._replace(strikes=memory["strikes"], good=memory["good"]), told["checks"], stuck)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Kept(Memory({}), {}, {})


def save(path: Path, boot: str, kept: Kept) -> None:
    """Write it.

    Args:
        path: Where it is.
        boot: Of this boot.
        kept: What.

    Raises:
        OSError: As when the disk is full; what was there stays.
    """
    told = {"boot": boot, "memory": kept.memory._asdict(), "checks": kept.checks, "stuck": kept.stuck}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else acts meanwhile: a periodic look and a prolog may come together.

    Args:
        path: Where it is kept; where there can be no lock beside it, there is none.
    """
    lock = -1
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if lock >= 0:
            os.close(lock)

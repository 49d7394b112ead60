"""Work in processes of its own, each with a time limit: what waits for a dead file system cannot be ended otherwise."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

ENDED_S = 1.0
"""How long killed processes are waited for; those that wait in the kernel do not end."""


class Task(NamedTuple):
    """Work to be done.

    Attributes:
        do: It; what it returns must be JSON.
        limit_s: How long it may take.
    """

    do: Callable[[], Any]
    limit_s: float


class Answer(NamedTuple):
    """What became of it.

    Attributes:
        value: What it returned, None: nothing.
        late: Whether it had to be ended.
        stuck: Number of the process where it could not be ended, and stays until the kernel lets it go.
    """

    value: Any = None
    late: bool = False
    stuck: int | None = None


def apart(tasks: Mapping[str, Task]) -> dict[str, Answer]:
    """Do all of it at the same time.

    Args:
        tasks: By name.

    Returns:
        By name; the value is None where it broke, and why is on stderr.
    """
    began = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    started = {name: _start(task) for name, task in tasks.items()}
    told = dict.fromkeys(tasks, b"")
    open_ = {pipe: name for name, (_, pipe) in started.items()}
    late: set[str] = set()
    while open_:
        left = {pipe: tasks[name].limit_s - (time.monotonic() - began) for pipe, name in open_.items()}
        for pipe in [one for one, seconds in left.items() if seconds <= 0]:
            late.add(open_.pop(pipe))
        if open_:
            for pipe in select.select(list(open_), [], [], max(0.0, min(left[one] for one in open_)))[0]:
                piece = os.read(pipe, 65536)
                told[open_[pipe]] += piece
                if not piece:
                    del open_[pipe]
    for pid, _ in started.values():  # nothing that any of them started stays
        os.killpg(pid, signal.SIGKILL)
    stuck = _reaped([pid for pid, _ in started.values()])
    for _, pipe in started.values():
        os.close(pipe)
    return {
        name: Answer(
            None if name in late or not told[name] else json.loads(told[name]),
            name in late,
            pid if pid in stuck else None,
        )
        for name, (pid, _) in started.items()
    }


def _start(task: Task) -> tuple[int, int]:
    """Begin it: the process, and where its answer comes from."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        os.setpgid(pid, pid)
        return pid, reading
    code = 1
    try:
        os.setpgid(0, 0)
        answer = json.dumps(task.do()).encode()
        while answer:
            answer = answer[os.write(writing, answer) :]
        code = 0
    finally:
        if code:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)


def _reaped(pids: list[int]) -> set[int]:
    """Wait for them a while; those that are still there."""
    left = set(pids)
    give_up = time.monotonic() + ENDED_S
    while left and time.monotonic() < give_up:
        left = {pid for pid in left if os.waitpid(pid, os.WNOHANG)[0] != pid}
        if left:
            time.sleep(0.01)
    return left

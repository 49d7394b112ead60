"""Shared file systems answer, each asked by a process of its own."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .apart import Task, apart
from .call import Call
from .host import Host


class Options(NamedTuple):
    """What may be set.

    Attributes:
        needed: Folders where something must be mounted.
        types: Types of file systems that are asked wherever they are mounted.
        answer_s: How long each may take.
    """

    needed: list[str]
    types: list[str]
    answer_s: float


def check(options: Options, host: Host, call: Call) -> list[str]:
    """Ask them all at the same time.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    mounted = dict(read(host.text("/proc/mounts")))
    found = [f"{folder} is not mounted" for folder in options.needed if folder not in mounted]
    asked = [one for one, kind in mounted.items() if one in options.needed or kind in options.types]
    answers = apart({one: Task(partial(_asked, host.at(one)), options.answer_s) for one in asked})
    for folder, answer in answers.items():
        if answer.late:
            found.append(f"{folder} does not answer within {options.answer_s:g} s")
        elif answer.value:
            found.append(f"{folder}: {answer.value}")
    return found


def read(text: str) -> list[tuple[str, str]]:
    """Where something is mounted, and of which type.

    Args:
        text: /proc/mounts.
    """
    lines = [line.split() for line in text.splitlines()]
    return [
        (re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line[1]), line[2]) for line in lines if len(line) > 2
    ]


def _asked(path: Path) -> str:
    try:
        os.stat(path)
        os.statvfs(path)
    except OSError as error:
        return error.strerror or str(error)
    return ""

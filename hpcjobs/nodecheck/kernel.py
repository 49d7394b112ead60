"""What the kernel says of ill hardware, since the node booted or since it was told to forget."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .call import FORGET, Call
from .host import Host

LOG = "/dev/kmsg"
LONGEST = 16 * 1024 * 1024
FILE = Path(__file__).with_name("kernel.json")


class Options(NamedTuple):
    """What may be set.

    Attributes:
        ignore: Names of lines that are no illness here, as ``xid-94``.
    """

    ignore: list[str]


class Pattern(NamedTuple):
    """A line of the kernel's.

    Attributes:
        name: As docs/RECOVERY.md calls it.
        words: Words that it has.
        regex: What else it is like, or ``""``.
    """

    name: str
    words: str
    regex: str


def patterns() -> list[Pattern]:
    """All that are known."""
    return [Pattern(**one) for one in json.loads(FILE.read_text())]


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See what it said.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    lines = list(records(_log(host)))
    if call.mode == FORGET:
        call.kept["from_us"] = max((at for at, _ in lines), default=0)
    since = call.kept.get("from_us", -1)
    known = [one for one in patterns() if one.name not in options.ignore]
    found: dict[str, str] = {}
    for at, line in lines:
        says = (one for one in known if one.words in line and re.search(one.regex, line))
        if at > since and (first := next(says, None)):
            found.setdefault(first.name, f"{first.name}: {line[:120]}")
    return list(found.values())


def records(log: str) -> Iterator[tuple[int, str]]:
    """Microseconds since boot, and the line, of each record of the kernel's log.

    Args:
        log: As /dev/kmsg has it (Documentation/ABI/testing/dev-kmsg of the kernel).
    """
    for line in log.splitlines():
        head, _, text = line.partition(";")
        fields = head.split(",")
        if len(fields) >= 4 and fields[2].isdigit():
            yield int(fields[2]), text


def _log(host: Host) -> str:
    """All of it; ``""``: there is none, as in a container."""
    try:
        log = os.open(host.at(LOG), os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    told = bytearray()
    try:
        with contextlib.suppress(BlockingIOError):  # no more for now
            while len(told) < LONGEST:
                try:
                    piece = os.read(log, 8192)
                except BrokenPipeError:
                    continue  # what was next has been overwritten
                if not piece:
                    break
                told += piece
    finally:
        os.close(log)
    return told.decode(errors="replace")

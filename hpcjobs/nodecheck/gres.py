"""Devices: slurmd finds each file and as many as the controller has."""

from __future__ import annotations

import re
import socket
from collections import Counter
from typing import NamedTuple

from .call import Call
from .host import Host
from .slurm import declared

WAITS_S = 3.0
"""For a file that is not there slurmd waits 20 s; it says at once that it waits."""
KNOWN_S = 3600.0

FOUND = re.compile(r"Gres Name=(\S+)(?: Type=(\S+))? Count=(\d+)")
MISSING = re.compile(r"Waiting for gres\.conf file (\S+)")
FATAL = re.compile(r"fatal: (.+)")


class Options(NamedTuple):
    """What may be set.

    Attributes:
        program: slurmd's own look at its devices.
    """

    program: list[str]


def check(options: Options, host: Host, call: Call) -> list[str]:
    """See what slurmd would find if it began now.

    Args:
        options: See Options.
        host: The node.
        call: The time.

    Raises:
        TimeoutError: slurmd says nothing.
    """
    named = [] if host.name == socket.gethostname().partition(".")[0] or host.recorded else ["-N", host.name]
    ran = host.run([*options.program, *named], WAITS_S)
    if missing := MISSING.findall(ran.text):
        return [f"{missing[0]} is not there"]
    if fatal := FATAL.findall(ran.text):
        return [f"slurmd says: {fatal[0]}"]
    if ran.code is None:
        raise TimeoutError(f"{options.program[0]} does not answer within {WAITS_S:.0f} s")
    has = counted(ran.text)
    known, since = call.kept.get("declared", {}), call.kept.get("since", 0.0)
    if fewer(known, has) or call.now - since > KNOWN_S:
        text = declared(host)
        if text is None:
            return fewer(known, has)
        known = call.kept["declared"] = read(text)
        call.kept["since"] = call.now
    return fewer(known, has)


def counted(text: str) -> dict[str, int]:
    """What slurmd found: by ``name`` and ``name:type``.

    Args:
        text: What ``slurmd -G`` printed.
    """
    found: Counter[str] = Counter()
    for name, type_, count in FOUND.findall(text):
        found[name] += int(count)
        if type_:
            found[f"{name}:{type_}"] += int(count)
    return dict(found)


def read(gres: str) -> dict[str, int]:
    """What the controller has, the same way.

    Args:
        gres: As ``gpu:a100:8(S:0-1),shard:a100:32``; counts of bytes (``4G``) are left out.
    """
    found: Counter[str] = Counter()
    for one in re.sub(r"\([^)]*\)", "", gres).split(","):
        words = one.split(":")
        if len(words) > 1 and words[-1].isdigit():
            found[":".join(words[:-1])] += int(words[-1])
    return dict(found)


def fewer(declared: dict[str, int], has: dict[str, int]) -> list[str]:
    """What there is less of than the controller has.

    Args:
        declared: That.
        has: What slurmd found.
    """
    return [f"{has.get(name, 0)} of {count} {name}" for name, count in declared.items() if has.get(name, 0) < count]

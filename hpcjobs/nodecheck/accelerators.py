"""Accelerators are asked by their vendor's command whether they are well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .call import Call
from .host import Host

LIMIT_S = 25.0
EXPORTER = "curl"
FILE = Path(__file__).with_name("devices.json")


class Options(NamedTuple):
    """What may be set.

    Attributes:
        families: Those that are asked in any case; others where a device file and the vendor's program are found.
    """

    families: list[str]


class Family(NamedTuple):
    """How a family is asked.

    Attributes:
        name: As hpcjobs calls it.
        files: Device files of one device, with ``%d``; ``""``: not known.
        argv: The vendor's command.
        ill: Regular expression of a line that tells an ill device; ``""``: the exit code says it.
        well: The same of one that a well node tells; ``""``: silence is well, too.
    """

    name: str
    files: str
    argv: list[str]
    ill: str
    well: str


def families() -> list[Family]:
    """All that are known."""
    return [Family(**one) for one in json.loads(FILE.read_text())]


def check(options: Options, host: Host, call: Call) -> list[str]:
    """Ask those that the node has.

    Args:
        options: See Options.
        host: The node.
        call: The time.
    """
    return list(_faults(options, host))


def _faults(options: Options, host: Host) -> Iterator[str]:
    for family in families():
        if family.name not in options.families and not _there(family, host):
            continue
        ran = host.run(family.argv, LIMIT_S)
        found = (
            "does not answer" if ran.code is None else fault(family.argv, family.ill, family.well, ran.code, ran.text)
        )
        if found:
            yield f"{family.name}: {found}"


def _there(family: Family, host: Host) -> bool:
    """Whether it has devices and the vendor's program; an exporter may not have been installed."""
    first = family.files.partition(",")[0]
    there = bool(first) and any(host.root.glob(first.lstrip("/").replace("%d", "[0-9]*")))
    return there and family.argv[0] != EXPORTER and host.program(family.argv[0]) is not None


def fault(argv: Sequence[str], ill: str, well: str, code: int, output: str) -> str:
    """What is wrong with a node's devices.

    Args:
        argv: How they were asked.
        ill: Regular expression of a line that tells an ill device, or ``""``.
        well: Regular expression of a line that a well node tells, or ``""``.
        code: With what the command ended.
        output: What it printed.

    Returns:
        A line for people; ``""``: they are well.
    """
    if code:
        return f"{argv[0]} ended with {code}"
    lines = [line.strip() for line in output.splitlines()]
    if ill and (told := [line for line in lines if re.search(ill, line)]):
        return told[0]
    if well and not any(re.search(well, line) for line in lines):
        return f"{argv[0]} does not say {well}"
    return ""

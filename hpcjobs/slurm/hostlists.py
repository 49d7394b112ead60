"""Whether a node is in a hostlist, as ``c[1-4,7],gpu01``, without writing the list out."""

from __future__ import annotations

import re

_ITEM = re.compile(r"(?:[^,\[\]]|\[[^\]]*\])+")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
_NUMBER = re.compile(r"[0-9]{0,18}")


def in_hostlist(name: str, hostlist: str) -> bool:
    """Whether a node is one of those that a hostlist names.

    Args:
        name: Slurm's NodeName.
        hostlist: Comma-separated names, numbers in brackets as single ones and ranges; ranges may be padded with
            zeros. What is not of that form names nothing.
    """
    return any(_matches(name, item.strip()) for item in _ITEM.findall(hostlist))


def _matches(name: str, item: str) -> bool:
    head, bracket, rest = item.partition("[")
    if not bracket:
        return name == item
    ranges, _, tail = rest.partition("]")
    if not name.startswith(head):
        return False
    name = name[len(head) :]
    (digits,) = _NUMBER.findall(name)[:1]
    return any(
        _in_ranges(digits[:length], ranges) and _matches(name[length:], tail) for length in range(1, len(digits) + 1)
    )


def _in_ranges(digits: str, ranges: str) -> bool:
    for bounds in map(_RANGE.fullmatch, ranges.split(",")):
        if bounds and int(bounds[1]) <= int(digits) <= int(bounds[2] or bounds[1]):
            return digits == str(int(digits)).zfill(len(bounds[1]))
    return False

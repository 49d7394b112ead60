"""Hostlists, as ``c[1-4,7],gpu01``: whether a node is in one, without writing it out; writing one out; making one."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final

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


_PARTS = re.compile(r"([^\[\]]+)|\[([^\]]*)\]")
_CHUNKS = re.compile(r"([0-9]{1,18})")
_TAIL = re.compile(r"(.*?)([0-9]{0,18})", re.DOTALL)

MOST_NAMES: Final = 100_000
"""As many names as one hostlist may write out to."""


def expand_hostlist(hostlist: str) -> list[str]:
    """Every name of a hostlist, in its order.

    Args:
        hostlist: Comma-separated names; numbers in brackets.

    Raises:
        ValueError: It is of no such form, or names more than ``MOST_NAMES``.
    """
    names: list[str] = []
    for item in filter(None, (item.strip() for item in _ITEM.findall(hostlist))):
        parts = [[text] if text else _written_out(ranges) for text, ranges in _PARTS.findall(item)]
        if "".join(text or f"[{ranges}]" for text, ranges in _PARTS.findall(item)) != item:
            raise ValueError(f"{item[:80]!r} is no hostlist")
        if len(names) + math.prod(map(len, parts)) > MOST_NAMES:
            raise ValueError(f"{hostlist[:80]!r} names more than {MOST_NAMES} nodes")
        names.extend("".join(one) for one in product(*parts))
    if hostlist.count("[") != hostlist.count("]"):
        raise ValueError(f"{hostlist[:80]!r} is no hostlist")
    return names


def _written_out(ranges: str) -> list[str]:
    found: list[str] = []
    for text in ranges.split(","):
        bounds = _RANGE.fullmatch(text.strip())
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (1, 0)
        if not bounds or not 0 <= last - first < MOST_NAMES - len(found):
            raise ValueError(f"[{ranges[:80]}] of a hostlist are no numbers of nodes")
        found.extend(str(number).zfill(len(bounds[1])) for number in range(first, last + 1))
    return found


def count_hosts(hostlist: str) -> int:
    """How many nodes a hostlist names, each once; 1 where it cannot be told: Slurm will refuse it."""
    try:
        return len(set(expand_hostlist(hostlist))) or 1
    except ValueError:
        return 1


@functools.lru_cache(maxsize=20_000)
def nodes_in(node_list: str) -> tuple[str, ...]:
    """The nodes of a list that Slurm has printed; none of one that cannot be read, or is empty."""
    try:
        return tuple(expand_hostlist(node_list)) if node_list else ()
    except ValueError:
        return ()


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """What to sort names by so that ``c9`` comes before ``c10``."""
    chunks = _CHUNKS.split(name)
    return tuple((0, int(chunk), chunk) if "0" <= chunk[:1] <= "9" else (1, 0, chunk) for chunk in chunks if chunk)


def fold_hostlist(names: Iterable[str]) -> str:
    """A hostlist of names, sorted and each once, as Slurm folds them: numbers at the end of names become ranges.

    Args:
        names: Of nodes.
    """
    heads: dict[str, set[str]] = {}
    for name in names:
        match = _TAIL.fullmatch(name)
        head, digits = match.groups() if match else (name, "")
        heads.setdefault(head, set()).add(digits)
    return ",".join(item for head in sorted(heads, key=natural) for item in _folded(head, heads[head]))


def _folded(head: str, digits: set[str]) -> list[str]:
    items = [head] if "" in digits else []
    numbers = digits - {""}
    # 9 and 10 are of one range, and so are 09, 10 and 100; 9 and 09 are not.
    widths = sorted({len(text) for text in numbers if text[0] == "0" and len(text) > 1}, reverse=True)
    classes: dict[int, list[int]] = {}
    for text in numbers:
        width = next((width for width in widths if width <= len(text)), 1)
        classes.setdefault(width, []).append(int(text))
    for width, found in sorted(classes.items()):
        ranges = _ranges(sorted(found), width)
        single = len(ranges) == 1 and "-" not in ranges[0]
        items.append(head + (ranges[0] if single else f"[{','.join(ranges)}]"))
    return items


def _ranges(numbers: list[int], width: int) -> list[str]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return [str(first).zfill(width) + (f"-{str(last).zfill(width)}" if last > first else "") for first, last in ranges]


_NAME = re.compile(r"(.*?)([0-9]{1,18})?$", re.DOTALL)


def joined_hostlist(names: Sequence[str], *, sort: bool = False) -> str:
    """Names as ``scontrol show hostlist`` writes them, in their order and each as often as it stands there.

    Only numbers at the end of names are put in brackets; numbers of several widths stay apart.

    Args:
        names: The names.
        sort: Whether they are sorted; else neighbours that follow each other are folded as they stand.
    """
    parts = [(match[1], match[2] or "") for name in names if (match := _NAME.fullmatch(name))]
    if sort:
        parts = sorted(parts, key=lambda part: (part[0], int(part[1] or -1), len(part[1])))
    groups: list[tuple[str, list[list[str]]]] = []
    for head, number in parts:
        if not groups or groups[-1][0] != head or not number or not groups[-1][1][0][0]:
            groups.append((head, [[number, number]]))
            continue
        last = groups[-1][1][-1]
        if number == _next(last[1]):
            last[1] = number
        else:
            groups[-1][1].append([number, number])
    return ",".join(head + _brackets(ranges) for head, ranges in groups)


def _next(number: str) -> str:
    """The number after one, in its width."""
    return str(int(number) + 1).zfill(len(number))


def _brackets(ranges: list[list[str]]) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return ranges[0][0]
    return f"[{','.join(first if first == last else f'{first}-{last}' for first, last in ranges)}]"

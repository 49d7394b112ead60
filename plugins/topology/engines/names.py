"""Names for what Slurm shall know: stable between runs, never a node's, never too long. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from hashlib import sha256
from typing import Final

from hpcjobs.sbatch.hostlists import natural
from hpcjobs_plugins.topology.engines.model import LONGEST_NAME

LEGAL: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""What a name may be made of: nothing that means something to a hostlist, a line of topology.conf or YAML."""

_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]+")
_TAIL = re.compile(r"(.*?)([0-9]*)")
_DIGEST = 6


def legal_name(text: str) -> str:
    """A name as near to the text as Slurm's files allow: other characters become ``-``, a long one is cut and marked.

    Args:
        text: Any words; no two texts that differ only in what is cut get the same name.
    """
    name = _ILLEGAL.sub("-", text).strip("-.") or "unnamed"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - _DIGEST - 1].rstrip('-.')}-{_digest([text])}"


def group_name(members: Iterable[str]) -> str:
    """A short name for things that belong together, made of their names alone, whatever their order.

    ``leaf1`` to ``leaf8`` become ``leaf1-8``: the first, and the last one's number. Names that leave gaps, or that have
    more than a number to tell them apart, get a mark of all names as well.

    Args:
        members: Names; at least one.
    """
    names = sorted(set(members), key=natural)
    if len(names) == 1:
        return legal_name(names[0])
    parts = [match.groups() for name in names if (match := _TAIL.fullmatch(name))]
    heads = {head for head, _ in parts}
    numbers = [digits for _, digits in parts]
    if len(heads) == 1 and all(numbers):
        mark = "" if int(numbers[-1]) - int(numbers[0]) == len(names) - 1 else f"-{_digest(names)}"
        return legal_name(f"{names[0]}-{numbers[-1]}{mark}")
    return legal_name(f"{names[0]}-x{len(names)}-{_digest(names)}")


def _digest(names: Iterable[str]) -> str:
    return sha256("\n".join(names).encode()).hexdigest()[:_DIGEST]


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, or where it is taken the name with ``-sw`` or a number after it.

    Args:
        name: A legal one.
        taken: Names that it must not be.
    """
    if name not in taken:
        return name
    short = name[: LONGEST_NAME - 6].rstrip("-.")
    tails = ("-sw", *(f"-sw{number}" for number in range(2, 10_000)))
    return next(f"{short}{tail}" for tail in tails if f"{short}{tail}" not in taken)

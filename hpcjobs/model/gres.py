"""Generic resources (GRES) as Slurm writes them: ``gpu:a100:4``, ``gres/gpu:h100=8``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TYPE = r"(?![0-9]+[KMGTPkmgtp]?\Z)(?=[^:]*[A-Za-z_])\w[\w.\-]*"
_AMOUNT = r"[0-9]{1,19}[KMGTPkmgtp]?"
_REQUEST = rf"(?:(?P<type>{_TYPE}):)?(?P<count>{_AMOUNT})|(?P<one>{_TYPE})"
_COUNT = r"\d+[KMGTP]?"
_DETAIL = r"(?:\((?P<detail>.*?)\)?)?"
_GRES = rf"^(?P<name>[^:(]+)(?::(?P<type>(?!{_COUNT}(?:\(|$))[^:(]+))?(?::(?P<count>{_COUNT}))?{_DETAIL}$"
_COUNTED = r"(?:^|:)[0-9]+[KMGTPkmgtp]?$"
_SCALE = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}

UNTYPED = ""
"""The key of GPUs whose type is not known."""


MOST_GPUS = 0xFFFF_FFFD
"""As many GPUs as one request may name: tasks that follow from GPUs are counted in 32 bits (slurm.h; the two numbers
above it mean "not set" and "infinite")."""


def parse_amount(text: str) -> int:
    """Read how many of a generic resource, as ``4`` or ``2K`` (2,048), as sbatch does.

    Raises:
        ValueError: The text is of no such form, or has more than 19 digits.
    """
    if not re.fullmatch(_AMOUNT, text):
        raise ValueError(f"{text[:80]!r} is not a count")
    digits = text.rstrip("KMGTPkmgtp")
    return int(digits) * _SCALE[text[len(digits) :].upper()]


def check_gpus(count: int) -> int:
    """Let a number of GPUs pass that Slurm can hold.

    Raises:
        ValueError: They are too many.
    """
    if count > MOST_GPUS:
        raise ValueError(f"{count} GPUs are more than {MOST_GPUS}")
    return count


def parse_gpus(text: str) -> dict[str, int]:
    """Read a GPU request in sbatch's form.

    Args:
        text: ``8``, ``a100:4`` or ``a100:4,h100:2``: the argument of ``--gpus`` and its relatives. A type alone
            (``a100``) is one of it; ``2K`` are 2,048.

    Returns:
        Count by type; the key is ``""`` where no type is named.

    Raises:
        ValueError: The text is not of that form, names a type twice, or asks for more than ``MOST_GPUS``.
    """
    counts: dict[str, int] = {}
    for item in text.split(","):
        match = re.fullmatch(_REQUEST, item.strip())
        if match is None:
            raise ValueError(f"{text!r} is not of the form [type:]count[,[type:]count...]")
        kind = match["type"] or match["one"] or UNTYPED
        if kind in counts:
            raise ValueError(f"{text!r} names {kind or 'untyped GPUs'} twice")
        counts[kind] = parse_amount(match["count"] or "1")
    check_gpus(sum(counts.values()))
    return counts


def gpus_of_gres(text: str, wanted: str = "gpu") -> dict[str, int]:
    """GPUs by type out of a request for generic resources, as ``gpu:a100:2,shard:4``.

    Args:
        text: The argument of ``--gres``; a ``gpu`` without a count is one.
        wanted: Another generic resource that is to be counted in place of GPUs.

    Returns:
        Count by type; the key is ``""`` where no type is named.

    Raises:
        ValueError: A count has more than 19 digits, or more than ``MOST_GPUS`` are asked for.
    """
    counts: dict[str, int] = {}
    for item in text.split(","):
        name, _, rest = item.strip().removeprefix("gres/").partition(":")
        if name != wanted:
            continue
        kind, _, count = rest.rpartition(":") if re.search(_COUNTED, rest) else (rest, "", "1")
        counts[kind] = counts.get(kind, 0) + parse_amount(count)
    check_gpus(sum(counts.values()))
    return counts


def names_gpus(text: str) -> bool:
    """Whether a request for generic resources is for GPUs too."""
    return any(item.strip().removeprefix("gres/").partition(":")[0] == "gpu" for item in text.split(","))


def gpus_of_tres(tres: Mapping[str, int]) -> dict[str, int]:
    """GPUs by type out of a trackable-resource map.

    Slurm counts a typed GPU twice: once in ``gres/gpu``, once in ``gres/gpu:type``. What the types do not
    explain stays under ``""``.

    Args:
        tres: Counts by Slurm's names, as ``{"cpu": 4, "gres/gpu": 8, "gres/gpu:a100": 8}``.

    Returns:
        Count by type; only positive counts.
    """
    typed = {name.split(":", 1)[1]: count for name, count in tres.items() if name.startswith("gres/gpu:")}
    rest = tres.get("gres/gpu", 0) - sum(typed.values())
    return {kind: count for kind, count in {**typed, UNTYPED: rest}.items() if count > 0}


def parse_tres(text: str | None) -> dict[str, int]:
    """Read a TRES string, as ``cpu=4,mem=16G,node=1,gres/gpu:a100=8``.

    Args:
        text: The string, or None.

    Returns:
        Count by name; memory in bytes (Slurm writes it in MiB where no suffix stands); entries that are not
        counts are left out.
    """
    counts: dict[str, int] = {}
    for item in (text or "").split(","):
        name, _, value = item.partition("=")
        number = re.match(r"^([0-9]{1,19}(?:\.[0-9]{1,19})?)([KMGTP]?)$", value)
        if number is None:
            continue
        scale = _SCALE[number[2]]
        if name in ("mem", "billing") or number[2]:
            scale = scale if number[2] else (_SCALE["M"] if name == "mem" else 1)
        counts[name] = int(float(number[1]) * scale)
    return counts


class NodeGres(NamedTuple):
    """One generic resource of a node.

    Attributes:
        name: As ``gpu``.
        kind: Its type (``""`` untyped).
        number: How many.
        detail: What stands in brackets after it, as ``IDX:0-2``.
    """

    name: str
    kind: str
    number: int
    detail: str


def entries_of_node(text: str | None) -> Iterator[NodeGres]:
    """Read a node's ``Gres`` or ``GresUsed``, as ``gpu:a100:8(S:0-1)`` or ``gpu:a100:3(IDX:0-2)``.

    Args:
        text: The string, or None. Slurm 24.11 writes ``gpu:(null):2(IDX:0-1)`` for GPUs in use that have no type.
    """
    for item in re.split(r",(?![^(]*\))", (text or "").replace(":(null)", "")):
        match = re.match(_GRES, item.strip())
        if match is not None:
            number, suffix = re.match(r"(\d+)([KMGTP]?)", match["count"] or "1").groups()  # type: ignore[union-attr]
            yield NodeGres(match["name"], match["type"] or UNTYPED, int(number) * _SCALE[suffix], match["detail"] or "")


def parse_node_gres(text: str | None, name: str = "gpu") -> dict[str, int]:
    """Count a node's generic resources of one name.

    Args:
        text: See entries_of_node.
        name: Which GRES is wanted.

    Returns:
        Count by type; only positive counts.
    """
    counts: dict[str, int] = {}
    for entry in entries_of_node(text):
        if entry.name == name:
            counts[entry.kind] = counts.get(entry.kind, 0) + entry.number
    return {kind: count for kind, count in counts.items() if count > 0}

"""``--sort`` of sinfo: letters, each with ``-`` before it for the other way round. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from hpcjobs.cli.slurm.sinfo_lines import Line
from hpcjobs.sbatch.hostlists import natural

LAST: Final = 0xFFFF_FFFF

_AVAILABLE: Final = {"INACTIVE": 0, "DOWN": 1, "DRAIN": 2, "UP": 3}
_PREEMPT: Final = {"OFF": 0, "SUSPEND": 1, "REQUEUE": 2, "CANCEL": 8}


def _first(tell: str) -> Callable[[Line], Any]:
    def key(line: Line) -> Any:  # noqa: ANN401
        return min((natural(str(entry.tells[tell])) for entry in line.entries), default=())

    return key


def _of_first(tell: str) -> Callable[[Line], Any]:
    def key(line: Line) -> Any:  # noqa: ANN401
        told = line.entries[0].tells[tell] if line.entries else ""
        return ",".join(told) if isinstance(told, tuple) else told

    return key


def _shared(line: Line) -> int:
    word, _, count = line.partition.oversubscribe.partition(":")
    if word == "NO":
        return 0 if line.partition.exclusive == "NODE" else 1
    return int(count or 0) | (0x8000 if word == "FORCE" else 0)


def _size(line: Line) -> int:
    most = line.partition.nodes_max
    return LAST if most is None else most + line.partition.nodes_min


def _user(line: Line) -> int:
    if line.first is None:
        return 0
    uid = line.first.particulars.reason_uid
    return LAST if uid is None else uid


def _least(name: str) -> Callable[[Line], int]:
    return lambda line: line.least[name]


def _node(line: Line) -> Any:  # noqa: ANN401
    return min((natural(entry.node.name) for entry in line.entries), default=())


KEYS: Final[Mapping[str, Callable[[Line], Any]]] = {
    "a": lambda line: _AVAILABLE.get(line.partition.state, 0),
    "A": lambda line: line.allocated,
    "b": _of_first("features_active"),
    "c": _least("cpus"),
    "d": _least("disk"),
    "D": lambda line: line.total,
    "E": _of_first("reason"),
    "f": _of_first("features"),
    "F": lambda line: line.allocated,
    "g": lambda line: ",".join(line.partition.allow_groups),
    "h": _shared,
    "H": lambda line: line.first.particulars.reason_time if line.first else 0,
    "l": lambda line: LAST if line.partition.wall_max_s is None else line.partition.wall_max_s,
    "m": _least("memory"),
    "M": lambda line: _PREEMPT.get(line.partition.preempt_mode, LAST),
    "n": _first("hostname"),
    "N": _node,
    "o": _first("address"),
    "O": _least("load"),
    "e": _least("free"),
    "p": lambda line: line.partition.priority_tier,
    "P": lambda line: line.partition.name,
    "r": lambda line: line.partition.root_only,
    "R": lambda line: line.partition.name,
    "s": _size,
    "S": lambda line: line.partition.priority_job_factor,
    "t": lambda line: line.bits,
    "T": lambda line: line.bits,
    "u": _user,
    "U": _user,
    "V": lambda line: line.cluster,
    "w": _least("weight"),
    "X": _least("sockets"),
    "Y": _least("cores"),
    "Z": _least("threads"),
    "z": lambda line: (line.least["sockets"], line.least["cores"], line.least["threads"]),
}
"""By letter. What is not here does not sort."""


GATHERED: Final = {"n": "hostname", "o": "address"}


def sort_lines(lines: list[Line], order: str, matches: Collection[str]) -> None:
    """Sort in place.

    Args:
        lines: The lines.
        order: Letters with commas between them, the most important first; ``-`` before one turns it round, ``#``
            before P or R means the order of Slurm's configuration.
        matches: By what nodes are parted into lines: addresses and host names are gathered there only.
    """
    for at in range(len(order) - 1, -1, -1):
        letter, before = order[at], order[at - 1] if at else ""
        key = KEYS.get(letter)
        if key is None or GATHERED.get(letter, "") not in ("", *matches):
            continue
        if before == "#" and letter in "PR":
            key = _index
        lines.sort(key=key, reverse=before == "-")


def _index(line: Line) -> int:
    return line.index

"""What Python and torchrun say of a failure over several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.recovery.lines import Line, time_of

_HEADER: Final = "Traceback (most recent call last):"
_CHAINED: Final = ("During handling of the above exception", "The above exception was the direct cause")
_BLOCK = re.compile(r"\[\d{1,6}\]:$")
_FIELD = re.compile(r" {1,8}(time|host|rank|exitcode) {0,12}: (\S{1,255})")
_MOST_FIELDS: Final = 12


def exceptions(lines: Sequence[Line]) -> Iterator[Line]:
    """The line with the exception of each traceback; of a chain only the first, which all others follow from.

    Tracebacks of several ranks may be mixed, as long as their lines say whose they are.
    """
    inside: set[int | None] = set()
    chained: set[int | None] = set()
    for line in lines:
        body = line.body
        if body.startswith(_HEADER):
            inside.add(line.rank)
        elif body.startswith(_CHAINED):
            chained.add(line.rank)
        elif line.rank in inside and body.strip() and not body[0].isspace():
            inside.discard(line.rank)
            if line.rank not in chained:
                yield line
            chained.discard(line.rank)


class FirstFailure(msgspec.Struct, frozen=True):
    """The rank that failed first, as torchrun says.

    Attributes:
        time: When, by the clock of its node.
        line: Of the log, from 1, where it is told.
        rank: Which rank.
        host: Name of its node, as the node calls itself.
        exit_code: Below 0: the number of the signal that ended it.
    """

    time: float
    line: int
    rank: int
    host: str
    exit_code: int


def first_failure(lines: Sequence[Line]) -> FirstFailure | None:
    """The earliest of the failures that torchrun lists, of several torchruns too; None: it lists none.

    The form is that of ``torch.distributed.elastic.multiprocessing.errors.ChildFailedError``.
    """
    found = [_failure(lines[place : place + _MOST_FIELDS]) for place, line in enumerate(lines) if _starts(line)]
    return min((one for one in found if one is not None), key=lambda one: (one.time, one.rank), default=None)


def _starts(line: Line) -> bool:
    return _BLOCK.fullmatch(line.body.strip()) is not None


def _failure(lines: Sequence[Line]) -> FirstFailure | None:
    said: dict[str, str] = {}
    for line in lines[1:]:
        if _starts(line):
            break
        if field := _FIELD.match(line.body):
            said.setdefault(field[1], field[2])
    time = time_of(said.get("time", ""), None)
    rank, code = said.get("rank", ""), said.get("exitcode", "")
    if time is None or not re.fullmatch(r"\d{1,7}", rank) or not re.fullmatch(r"-?\d{1,3}", code):
        return None
    return FirstFailure(time, lines[0].number, int(rank), said.get("host", ""), int(code))

"""Who did not come to a collective that the others waited in, as PyTorch's watchdogs tell of NCCL and RCCL."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from hpcjobs.model.failure import LogTail
from hpcjobs.recovery.lines import Line

PATTERN: Final = "nccl-straggler"
"""Name of the pattern by which findings are known."""

_WORDS: Final = "last enqueued"

_TOLD = re.compile(
    r"\[(?P<group>PG .{0,80})Rank (?P<rank>\d{1,7}+)\].{0,200}last enqueued (?:NCCL )?work: (?P<enqueued>\d{1,15}+)"
)


class Straggler(msgspec.Struct, frozen=True, order=True):
    """A rank that had begun less than the others of its process group.

    Attributes:
        rank: Which rank, in its group.
        log: Which of the logs tells of it, from 0.
        line: Of that log, from 1.
        begun: Number of the last collective that it had begun.
        others: Of the last one that the others had begun.
    """

    rank: int
    log: int
    line: int
    begun: int
    others: int


def stragglers(logs: Iterable[tuple[LogTail, list[Line]]]) -> list[Straggler]:
    """The ranks that the others waited for.

    A watchdog tells how many collectives its rank has begun (``last enqueued NCCL work``). Who has begun fewer than
    the rest of its group is the one that they wait in vain for; where that is half of the group or more, nothing is
    said. Ranks that tell nothing are not known.

    Args:
        logs: Each log with its lines.

    Returns:
        By rank, each once.
    """
    groups: dict[str, dict[int, tuple[int, int, int]]] = defaultdict(dict)
    for place, (_, lines) in enumerate(logs):
        for line in lines:
            if _WORDS in line.text and (told := _TOLD.search(line.text)):
                groups[told["group"]].setdefault(int(told["rank"]), (int(told["enqueued"]), place, line.number))
    found: dict[int, Straggler] = {}
    for ranks in groups.values():
        most = max(begun for begun, _, _ in ranks.values())
        behind = {rank: told for rank, told in ranks.items() if told[0] < most}
        if 2 * len(behind) < len(ranks):
            for rank, (begun, place, number) in behind.items():
                found.setdefault(rank, Straggler(rank, place, number, begun, most))
    return sorted(found.values())

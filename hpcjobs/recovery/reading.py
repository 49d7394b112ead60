"""What logs say of a failure: every line that a pattern knows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

import msgspec

from hpcjobs.model.failure import FailureClass, Finding, LogTail
from hpcjobs.recovery import collectives
from hpcjobs.recovery.exceptions import FirstFailure, exceptions, first_failure
from hpcjobs.recovery.lines import MOST_SHOWN, Line, lines_of
from hpcjobs.recovery.pattern import Pattern, knowledge

MOST_HITS: Final = 200
"""As many lines of one log are taken for one pattern, the first ones."""


class Read(msgspec.Struct, frozen=True):
    """What was found in the logs of a job.

    Attributes:
        found: By log, in the order of its lines, with the pattern that knows the line.
        first: The rank that failed first, as torchrun says; None: it says nothing.
    """

    found: tuple[tuple[tuple[Pattern, Finding], ...], ...]
    first: FirstFailure | None


def read(logs: Sequence[LogTail], now: float | None) -> Read:
    """Look for every pattern in every log.

    Args:
        logs: Ends of logs.
        now: Unix seconds; None: not known.
    """
    found: list[tuple[tuple[Pattern, Finding], ...]] = []
    firsts: list[FirstFailure] = []
    tails = list(lines_of(logs, now))
    late = collectives.stragglers(tails)
    for place, (log, lines) in enumerate(tails):
        hits = [*_hits(log, lines), *(_of_straggler(one, log, lines) for one in late if one.log == place)]
        if first := first_failure(lines):
            firsts.append(first)
            hits.append(_of_first(first, log, lines))
        rated: dict[int, int] = {}
        for pattern, finding in hits:
            rated[finding.line] = max(rated.get(finding.line, 0), _says(pattern))
        kept = [hit for hit in hits if _says(hit[0]) == rated[hit[1].line]]
        found.append(tuple(sorted(kept, key=lambda hit: hit[1].line)))
    return Read(tuple(found), min(firsts, key=lambda one: (one.time, one.rank), default=None))


def _hits(log: LogTail, lines: Sequence[Line]) -> Iterator[tuple[Pattern, Finding]]:
    text = "\n".join(line.text for line in lines)
    starts = [0, *accumulate(len(line.text) + 1 for line in lines)]
    for pattern in knowledge().patterns:
        if pattern.name in _OF_SEVERAL_LINES:
            continue
        hits, place = 0, text.find(pattern.words)
        while place >= 0 and hits < MOST_HITS:
            line = lines[bisect_right(starts, place) - 1]
            if match := pattern.search.search(line.text):
                hits += 1
                yield pattern, _finding(pattern, log, line, match.groupdict())
            place = text.find(pattern.words, starts[line.number])
    general = _named(_EXCEPTION)
    for line in exceptions(lines):
        yield general, _finding(general, log, line, {})


_EXCEPTION: Final = "python-exception"
_FIRST: Final = "elastic-first"
_OF_SEVERAL_LINES: Final = frozenset({_EXCEPTION, _FIRST, collectives.PATTERN})


def _named(name: str) -> Pattern:
    return next(one for one in knowledge().patterns if one.name == name)


def _says(pattern: Pattern) -> int:
    """How much a pattern says of a line: that it is an exception is the least."""
    return 0 if pattern.name == _EXCEPTION else 1 if pattern.general else 2


def _finding(pattern: Pattern, log: LogTail, line: Line, groups: dict[str, str | None]) -> Finding:
    said = groups.get("rank")
    return Finding(
        failure=pattern.failure,
        pattern=pattern.name,
        source=log.source,
        line=line.number,
        text=line.text.strip()[:MOST_SHOWN],
        symptom=pattern.symptom,
        weak=pattern.weak or line.mild,
        time=line.time,
        rank=int(said) if said else line.rank,
        node=groups.get("node") or log.node,
        device=groups.get("device") or "",
    )


def _of_first(first: FirstFailure, log: LogTail, lines: Sequence[Line]) -> tuple[Pattern, Finding]:
    pattern = _named(_FIRST)
    signal = knowledge().signals.get(-first.exit_code)
    finding = _finding(pattern, log, lines[first.line - 1], {"node": first.host})
    text = f"rank {first.rank} on {first.host} failed first, with exit code {first.exit_code}"
    failure = signal.failure if signal else FailureClass.UNKNOWN
    return pattern, msgspec.structs.replace(finding, failure=failure, text=text, rank=first.rank, time=first.time)


def _of_straggler(late: collectives.Straggler, log: LogTail, lines: Sequence[Line]) -> tuple[Pattern, Finding]:
    pattern = _named(collectives.PATTERN)
    text = f"rank {late.rank} had begun {late.begun} collectives, the others {late.others}: they waited for it"
    finding = _finding(pattern, log, lines[late.line - 1], {})
    return pattern, msgspec.structs.replace(finding, text=text, rank=late.rank)

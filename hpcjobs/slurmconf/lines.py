"""Lines of Slurm's configuration files, as Slurm reads them: comments, continued lines, keys and values. Pure.

What is a line: ``_get_next_line`` of Slurm's parse_config.c; what is a key with a value: its ``keyvalue_pattern``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_COMMENT = re.compile(r"(?:[^\\#]|\\.|\\$)*")
_ESCAPE = re.compile(r"\\(.?)")
_PAIR = re.compile(r'\s*([A-Za-z0-9_.]+)\s*([-*+/]?)=\s*(?:"([^"]*)"|(\S+))(?=\s|$)')
_INCLUDE: Final = re.compile(r"include\s+(\S+)(.*)", re.IGNORECASE | re.DOTALL)


class Unreadable(ValueError):
    """A text of a cluster cannot be read, or not be changed by a program. Nothing that was known before is touched.

    Attributes:
        message: What is wrong, without where.
        source: Which file or command.
        line: Line of it, from 1; 0: none in particular.
    """

    def __init__(self, message: str, source: str = "", line: int = 0) -> None:
        """With what is wrong, a sentence; source and line go before it."""
        where = ":".join([source, str(line)] if line else [source]) if source else f"line {line}" if line else ""
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.source = source
        self.line = line


class Line(NamedTuple):
    """A line as Slurm sees it.

    Attributes:
        number: Of its first line in the file, from 1.
        text: Without comment and backslashes, continued lines put together.
        length: How many lines of the file it takes.
    """

    number: int
    text: str
    length: int


class Pair(NamedTuple):
    """A key with its value.

    Attributes:
        key: As it is written; Slurm takes small letters for large ones.
        value: Without quotes.
        start: Where in the line the key begins.
        end: Where the value ends.
    """

    key: str
    value: str
    start: int
    end: int


def lines_of(text: str) -> Iterator[Line]:
    """Every line that is not empty."""
    held, first = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        code = _without_comment(raw)
        stripped = code.rstrip()
        slashes = len(stripped) - len(stripped.rstrip("\\"))
        first = first or number
        if slashes % 2:
            held += stripped[:-1]
            continue
        whole = _ESCAPE.sub(r"\1", held + code)
        if whole.strip():
            yield Line(first, whole, number - first + 1)
        held, first = "", 0
    if held.strip():
        yield Line(first, _ESCAPE.sub(r"\1", held), len(text.split("\n")) - first + 1)


def _without_comment(raw: str) -> str:
    match = _COMMENT.match(raw)
    return match[0] if match else raw


def pairs_of(text: str) -> tuple[list[Pair], str]:
    """Keys with their values from the start of a line, and what is left that is none."""
    pairs: list[Pair] = []
    end = 0
    while match := _PAIR.match(text, end):
        end = match.end()
        pairs.append(Pair(match[1], match[4] if match[3] is None else match[3], match.start(1), end))
    return pairs, text[end:].strip()


def included(text: str) -> str:
    """The file that a line includes, or ``""``: it includes none."""
    match = _INCLUDE.match(text)
    return match[1] if match else ""

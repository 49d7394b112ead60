"""The languages in which squeue and sinfo are told what to print. Pure.

``-o "%.18i %t"`` and ``-O jobid:18,state`` become a list of columns, and a column writes a cell as Slurm's programs do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Column(NamedTuple):
    """One column.

    Attributes:
        width: Characters that it is padded to and cut at; 0: as it is.
        right: Whether it stands at the right.
        suffix: What follows each cell.
    """

    width: int = 0
    right: bool = False
    suffix: str = ""

    def cell(self, text: str) -> str:
        """A text as this column prints it."""
        if not self.width:
            return text + self.suffix
        cut = text[: self.width]
        return (cut.rjust(self.width) if self.right else cut.ljust(self.width)) + self.suffix


class Part(NamedTuple, Generic[T]):
    """One column, with the field that it prints; None: only what follows it."""

    column: Column
    field: T | None


class Layout(NamedTuple, Generic[T]):
    """What is printed on each line.

    Attributes:
        prefix: Before the first column.
        parts: The columns.
        unknown: Letters or names of which the program knows no field.
    """

    prefix: str
    parts: Sequence[Part[T]]
    unknown: Sequence[str] = ()


_LETTER: Final = re.compile(r"(\.?)([0-9]{0,9})(.?)(.*)", re.DOTALL)
_WIDTH: Final = re.compile(r"(\.?)(\s*[+-]?[0-9]{0,9})(.*)", re.DOTALL)

LONG_WIDTH: Final = 20
"""Characters of a column of -O that says no width."""


def read_letters(text: str, fields: Mapping[str, T], every: str) -> Layout[T]:
    """Read ``-o``: ``%[[.]width]letter`` with other text between.

    Args:
        text: The argument.
        fields: By letter; that of ``""`` is printed where no letter stands, as Slurm's programs do.
        every: What ``%all`` stands for.
    """
    prefix, *tokens = (every if text.lower() == "%all" else text).split("%")
    parts: list[Part[T]] = []
    unknown = []
    for token in filter(None, tokens):
        match = _LETTER.fullmatch(token)
        dot, width, letter, suffix = match.groups() if match else ("", "", "", token)
        if letter in fields:
            parts.append(Part(Column(int(width or 0), bool(dot), suffix), fields[letter]))
        else:
            unknown.append(letter)
            parts.append(Part(Column(suffix=f"%{token}"), None))
    return Layout(prefix, parts, unknown)


def read_names(text: str, fields: Mapping[str, T], every: Sequence[Part[T]] = ()) -> Layout[T]:
    """Read ``-O``: ``name[:[.][width][suffix]]``, comma-separated.

    Args:
        text: The argument.
        fields: By name, in small letters.
        every: What ``all`` stands for, beside being a name that there is not.
    """
    parts: list[Part[T]] = []
    unknown = []
    for token in filter(None, text.split(",")):
        name, colon, rest = token.partition(":")
        match = _WIDTH.fullmatch(rest) if colon else None
        dot, digits, suffix = match.groups() if match else ("", str(LONG_WIDTH), "")
        width = max(int(digits), 0) if digits.strip(" +-") else 0
        if name.lower() == "all":
            parts += every
        field = fields.get(name.lower())
        if field is None:
            unknown.append(name)
            width = 0
        parts.append(Part(Column(width, bool(dot), suffix), field))
    return Layout("", parts, unknown)

"""squeue's format options read, and its lines written. Pure; see columns for the languages."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm.columns import Column, Layout, read_letters, read_names
from hpcjobs.cli.slurm.job_columns import BY_LETTER, BY_NAME, FIELDS, NOT_KNOWN, Field, Look

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

NOTHING: Final = "(null)"
"""What C prints of a text that is not there."""

DEFAULT: Final = (
    "jobarrayid:.18 ,partition:.9 ,name:.8 ,username:.8 ,statecompact:.2 ,timeused:.10 ,numnodes:.6 ,reasonlist:0"
)
LONG: Final = (
    "jobarrayid:.18 ,partition:.9 ,name:.8 ,username:.8 ,state:.8 ,timeused:.10 ,timelimit:.9 ,numnodes:.6 ,"
    "reasonlist:0"
)
START: Final = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %20Y %R"
ONLY_STATE: Final = "%.18i %.2t"


Line = Layout[Field]

EVERY: Final = "|".join(f"%{letter}" for letter in string.ascii_letters if letter in BY_LETTER)
"""What ``%all`` stands for."""


def letters(text: str) -> Line:
    """Read ``-o``."""
    return read_letters(text, BY_LETTER, EVERY)


def names(text: str) -> Line:
    """Read ``-O``.

    Raises:
        ValueError: A field cannot be answered here.
    """
    layout = read_names(text, BY_NAME)
    refused = {name.lower(): name for name in NOT_KNOWN}
    for name in layout.unknown:
        if name.lower() in refused:
            known = refused[name.lower()]
            raise ValueError(f"{known} is not known to the service: {NOT_KNOWN[known]}")
    return layout


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _cell(column: Column, text: str | None, cut: bool) -> bytes:
    """A text in its column; widths count bytes, as in C."""
    width = column.width
    if text is None:
        text = NOTHING if column.right or not 0 < width < len(NOTHING) else ""
    data = _encoded(text)
    if width:
        data = data.rjust(width) if column.right else data[:width].ljust(width)
        data = data[:width] if cut else data
    return data + _encoded(column.suffix)


def _line(layout: Line, cell: Callable[[Column, Field], bytes]) -> bytes:
    cells = (_encoded(column.suffix) if field is None else cell(column, field) for column, field in layout.parts)
    return _encoded(layout.prefix) + b"".join(cells) + b"\n"


def header(layout: Line) -> bytes:
    """The line above the others."""
    return _line(layout, lambda column, field: _cell(column, field.header, field.cut in ("always", "header")))


def line(layout: Line, job: Job, look: Look) -> bytes:
    """The line of a job."""

    def cell(column: Column, field: Field) -> bytes:
        text = field.cell(job, look)
        cut = field.cut == "always" or (field.cut == "reason" and (text or "").startswith("("))
        return _cell(column, text, cut)

    return _line(layout, cell)


def _grid(words: Sequence[str], across: int, width: int) -> str:
    rows = [words[at : at + across] for at in range(0, len(words), across)]
    return "".join("".join(word.ljust(width) for word in row) + "\n" for row in rows)


def letters_help() -> str:
    """``--helpformat``."""
    return _grid([f"%{field.letter}" for field in FIELDS if field.letter and not field.hidden], 8, 6)


def names_help() -> str:
    """``--helpFormat``; what is refused is left out."""
    return _grid([field.name for field in FIELDS if not field.hidden], 4, 20)

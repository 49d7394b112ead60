"""How the commands speak: for eyes on a terminal, in plain columns in a pipe, of errors on stderr in a sentence."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.slurmconf.saying import clean, columns, folded, on_terminal, styled, tell

if TYPE_CHECKING:
    from hpcjobs_plugins.topology.fabric import Notice
    from hpcjobs_plugins.topology.shown import Table

COLOURS: Final[Mapping[str, str]] = {
    "error": "red", "warning": "yellow", "note": "cyan",
    "dies": "red", "warns": "yellow", "silent": "yellow",
    "came": "green", "plugged": "green", "gone": "red", "unplugged": "red",
}  # fmt: skip
"""Of words; of ``cable-gone`` that of its last part."""

LEAST: Final = 40
"""Letters that a sentence needs beside other columns; else it stands below them."""

_STROKES: Final = re.compile(r"(?:[│|├└`][─\- ]? |   )*")
_ONWARD: Final = str.maketrans({"├": "│", "└": " ", "`": " ", "─": " ", "-": " "})


def draws(letters: str) -> bool:
    """Whether the output can hold these."""
    try:
        letters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return os.environ.get("TERM") != "dumb" or not on_terminal()


def _coloured(cell: str, word: str) -> str:
    return styled(cell, COLOURS.get(word) or COLOURS.get(word.rpartition("-")[2]))


def tell_notices(notices: Iterable[Notice]) -> None:
    """Notices on stderr, one a line."""
    for notice in notices:
        tell(f"line {notice.line}: {notice.text}" if notice.line else notice.text, "note")


def tree_lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a tree, cut where the terminal ends, so that the strokes go on."""
    width = columns() if on_terminal() else 0
    for line in map(clean, lines):
        if not width or len(line) <= width:
            yield line
            continue
        match = _STROKES.match(line)
        strokes = match[0] if match else ""
        first, *others = folded(line[len(strokes) :], max(width - len(strokes) - 2, LEAST // 2))
        yield strokes + first
        for other in others:
            yield f"{strokes.translate(_ONWARD)}  {other}"


def _tabbed(table: Table) -> None:
    for row in (table.head, *table.rows):
        click.echo("\t".join(map(clean, row)))


def grid(table: Table, right: Sequence[str] = (), *, key: int = 0) -> None:
    """A table, a line a row: aligned on a terminal, with tabs in a pipe.

    Args:
        table: Its last column is cut where the terminal ends.
        right: Heads of columns of numbers.
        key: Which column has the colour.
    """
    if not on_terminal():
        _tabbed(table)
        return
    rows = [tuple(map(clean, row)) for row in (table.head, *table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.head))]
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(row, widths, table.head, strict=True)
        ]
        *most, last = cells
        left = columns() - sum(len(cell) + 2 for cell in most)
        last = last.rstrip() if len(last.rstrip()) <= left else f"{last[: max(left - 1, 0)]}…"
        if number:
            most = [_coloured(cell, row[index]) if index == key else cell for index, cell in enumerate(most)]
            click.echo("  ".join([*most, last]).rstrip())
        else:
            click.echo(styled("  ".join([*most, last]).rstrip(), bold=True))


def sentences(table: Table, shown: Sequence[str]) -> None:
    """A table whose last column is sentences: all of it with tabs in a pipe; on a terminal sentences go on below.

    Args:
        table: All columns.
        shown: Heads of those that a terminal shows before the sentence.
    """
    if not on_terminal():
        _tabbed(table)
        return
    at = [table.head.index(head) for head in shown]
    rows = [([clean(row[index]) for index in at], clean(row[-1])) for row in table.rows]
    widths = [max((len(cells[index]) for cells, _ in rows), default=0) for index in range(len(at))]
    indent = sum(widths) + 2 * len(widths)
    beside = columns() - indent >= LEAST
    for cells, text in rows:
        start = "  ".join(_coloured(cell.ljust(width), cell) for cell, width in zip(cells, widths, strict=True))
        first, *others = folded(text, columns() - (indent if beside else 4))
        if beside:
            click.echo(f"{start}  {first}")
        else:
            click.echo(start.rstrip())
            others = [first, *others]
        for line in others:
            click.echo(" " * (indent if beside else 4) + line)


def counted(count: int, what: str, many: str = "") -> str:
    """``one cable``, ``2 cables``, ``no cable``."""
    number = {0: "no", 1: "1"}.get(count, f"{count:,}")
    return f"{number} {what if count < 2 else many or f'{what}s'}"

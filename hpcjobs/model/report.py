"""What a report answers, a table whose columns say what they are, and what can be asked.

Every format is made of this one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

MOST_ROWS: Final = 100_000
"""Of a report."""
MOST_COLUMNS: Final = 50
MOST_CELLS: Final = 1_000_000
MOST_LETTERS: Final = 1_000
"""Of a word in a cell."""
MOST_DIGITS: Final = 9
LARGEST: Final = 1e18
"""Of a number in a cell, above and below zero."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

Cell = str | int | float | None
"""None: there is nothing to say, as for the wait of jobs none of which started."""


def several(words: Iterable[str]) -> tuple[str, ...]:
    """Words that were given one by one, with commas, or both."""
    return tuple(word for text in words for word in text.split(",") if word)


class ReportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question.

    Attributes:
        period: ``2026-10``, ``last-month``, ``30d``, ``2026-01-01..2026-02-15``; the last date is not in it.
        timezone: IANA name of the time zone whose calendar counts; ``""``: the service's.
        by: What rows are told apart by, the first the most: ``project``, ``gpu``, ``user``, ``month``; none: one row.
        measures: Which; none: some usual ones.
        where: Only runs with one of these words, by ``user``, ``project``, ``partition``, ``gpu``, ``state`` and so on.
        order: The measure by which rows are ordered, the largest first, with ``-`` before it the smallest; ``""``: the
            first measure; where rows are told apart by time, time.
        limit: At most so many rows; 0: MOST_ROWS.
    """

    period: str = "this-month"
    timezone: str = ""
    by: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = {}
    order: str = ""
    limit: int = 0


class Column(msgspec.Struct, frozen=True):
    """One column.

    Attributes:
        name: As it is asked for: ``gpu_hours``.
        title: As people read it: ``GPU-hours``.
        unit: ``h``, ``s``, ``kWh``, ``share`` (0 to 1), ``""`` for counts and words.
        definition: What it is, in a sentence or two.
        text: Whether its cells are words.
        digits: So many behind the point people are shown of an amount.
    """

    name: str
    title: str
    unit: str = ""
    definition: str = ""
    text: bool = False
    digits: int = 2


class Table(msgspec.Struct, frozen=True):
    """A report.

    Attributes:
        title: What it is about.
        period: The period in words: ``2026-10 (Europe/Berlin)``.
        since: Unix seconds at which the period begins.
        until: Unix seconds before which it ends.
        columns: First what the rows are told apart by, then the measures.
        rows: One cell a column each.
        total: The same over everything that the caller may see in the period, also what a limit leaves out; its words
            are ``""``. None: it has none.
        more: How many rows a limit left out.
        as_of: Unix seconds: accounting had been read until then, of the cluster that is furthest behind. None: never.
        notes: What else one should know.
        picture: Whether pages and paper have a picture of it.
    """

    title: str
    period: str
    since: int
    until: int
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    more: int = 0
    as_of: int | None = None
    notes: tuple[str, ...] = ()
    picture: bool = True

    @property
    def words(self) -> int:
        """How many of the first columns tell rows apart."""
        return sum(column.text for column in self.columns)


def misshapen(table: Table) -> str:
    """Why not every format can be made of a table, as ``has two columns of one name``; ``""``: it can."""
    columns, names = table.columns, [column.name for column in table.columns]
    lines = [*table.rows, *([table.total] if table.total is not None else [])]
    if not 1 <= len(names) <= MOST_COLUMNS:
        return f"has {len(names)} columns; there can be 1 to {MOST_COLUMNS}"
    if odd := [name for name in names if not _NAME.fullmatch(name)]:
        return f"has a column {odd[0]!r:.80}: names are small letters, digits and _"
    if len(set(names)) != len(names):
        return "has two columns of one name"
    if any(column.text for column in columns[table.words :]):
        return "has a column of words behind one of numbers"
    if any(not 0 <= column.digits <= MOST_DIGITS for column in columns):
        return f"has a column with less than 0 or more than {MOST_DIGITS} digits"
    if len(table.rows) > MOST_ROWS or len(table.rows) * len(columns) > MOST_CELLS:
        return f"has {len(table.rows)} rows; there can be {MOST_ROWS}, and {MOST_CELLS} cells"
    if len(table.rows) > 1 and not table.words:
        return "has several rows and nothing that tells them apart"
    if any(len(line) != len(columns) for line in lines):
        return f"has a row that has not {len(columns)} cells, as there are columns"
    faults = (_cell_fault(column, cell) for line in lines for column, cell in zip(columns, line, strict=True))
    return next(filter(None, faults), "")


def _cell_fault(column: Column, cell: Cell) -> str:
    if column.text:
        if isinstance(cell, str) and len(cell) <= MOST_LETTERS:
            return ""
        return f"has {cell!r:.80} in {column.name}, whose cells are words of at most {MOST_LETTERS} letters"
    if cell is None or (not isinstance(cell, str) and abs(cell) <= LARGEST):
        return ""
    return f"has {cell!r:.80} in {column.name}, whose cells are numbers up to {LARGEST:g}, or None"


class Ready(msgspec.Struct, frozen=True):
    """A report that has a name: a question that is asked often, or what a plugin makes its own report of.

    Attributes:
        name: As it is asked for; that of a plugin's own has the plugin's before it: ``gpu_accounting.families``.
        title: What its table is called.
        text: What it tells, in a sentence.
        by: What its rows are told apart by, unless another is said.
        measures: Its measures, unless others are said.
        order: How it is ordered.
    """

    name: str
    title: str
    text: str
    by: tuple[str, ...]
    measures: tuple[str, ...]
    order: str = ""


class Explained(msgspec.Struct, frozen=True):
    """A word of reports.

    Attributes:
        name: The word.
        title: As people read it.
        unit: See the columns of a report.
        definition: What it is.
    """

    name: str
    title: str
    unit: str = ""
    definition: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """What can be asked.

    Attributes:
        reports: Those that have a name.
        by: What rows can be told apart by; lengths of time among them.
        measures: What can be measured.
        formats: What forms there are.
    """

    reports: tuple[Ready, ...]
    by: tuple[Explained, ...]
    measures: tuple[Explained, ...]
    formats: tuple[str, ...]

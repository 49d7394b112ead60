"""Tables with a header line, as CSV files and ``sacct -P`` print them. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hpcjobs.sim.traces.lines import Tally, refused

Row = Mapping[str, str]
"""Cells of a line by the names of their columns, in lower case."""


def first(row: Row, *columns: str) -> str:
    """The first of these columns that is there and says something; ``""``: none does."""
    return next((found for column in columns if (found := row.get(column.lower(), ""))), "")


def rows(
    lines: Iterable[str], origin: str, needed: Sequence[tuple[str, ...]], dropped: Tally, separator: str = ","
) -> Iterator[tuple[int, Row]]:
    """The lines below the header, with their numbers.

    Empty lines are passed over, and so is a header that comes again, as in joined files.

    Args:
        lines: Of the file; each is a row of its own.
        origin: What it is called.
        needed: Columns that there must be, each with others that would do in its place.
        dropped: Where lines of more or fewer cells than the header are counted.
        separator: What stands between cells.

    Raises:
        Refused: There is no header, it lacks a column, or names one twice.
    """
    header: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = _cells(line, separator)
        if header is None:
            header = _checked([cell.lower() for cell in cells], origin, number, needed)
        elif len(cells) != len(header):
            dropped.add(f"broken line: not {len(header)} cells, as the header", number)
        elif cells[0].lower() != header[0] or [cell.lower() for cell in cells] != header:
            yield number, dict(zip(header, cells, strict=True))
    if header is None:
        raise refused(origin, 0, "it is empty")


def _checked(header: list[str], origin: str, line: int, needed: Sequence[tuple[str, ...]]) -> list[str]:
    missing = [" or ".join(names) for names in needed if not any(name.lower() in header for name in names)]
    if missing:
        raise refused(origin, line, f"its header has no column {', no '.join(missing)}")
    if twice := next((name for name in header if name and header.count(name) > 1), ""):
        raise refused(origin, line, f"its header has the column {twice[:80]!r} twice")
    return header


def _cells(line: str, separator: str) -> list[str]:
    """Cells of a line; CSV may have them in quotation marks, which sacct never does."""
    if separator == "," and '"' in line:
        try:
            return [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error:
            return []
    return [cell.strip() for cell in line.split(separator)]

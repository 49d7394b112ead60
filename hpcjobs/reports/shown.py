"""Cells as people read them, for pages, papers and terminals alike. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hpcjobs.model.report import Cell, Column, Table

NOTHING: Final = "-"
UNNAMED: Final = "(none)"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def lasting(seconds: float) -> str:
    """A time: ``45 s``, ``12 min``, ``3.5 h``, ``2.1 d``."""
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h" if seconds < DAY_S else f"{seconds / DAY_S:.1f} d"


def shown(column: Column, cell: Cell) -> str:
    """A cell in words."""
    if column.text:
        return str(cell) or UNNAMED
    if cell is None:
        return NOTHING
    number = float(cell)
    if column.unit == "share":
        return share(number)
    if column.unit == "s":
        return lasting(number)
    if column.unit == "" and number == int(number):
        return f"{number:,.0f}"
    return f"{number:,.{column.digits}f}"


def share(part: float) -> str:
    """A share of a whole: ``12.5 %``."""
    return f"{100 * part:.1f} %"


def rows_of(table: Table) -> list[tuple[str, ...]]:
    """The rows in words."""
    return [tuple(shown(column, cell) for column, cell in zip(table.columns, row, strict=True)) for row in table.rows]


def total_of(table: Table) -> tuple[str, ...] | None:
    """The total in words; None: the table has none."""
    if table.total is None:
        return None
    cells = zip(table.columns, table.total, strict=True)
    first, *others = ["" if column.text else shown(column, cell) for column, cell in cells]
    return ("total" if table.columns[0].text else first, *others)


def read_until(table: Table) -> str:
    """Until when accounting had been read."""
    return "never" if table.as_of is None else f"{datetime.fromtimestamp(table.as_of, UTC):%Y-%m-%d %H:%M:%S} UTC"


def heading(column: Column) -> str:
    """The head of a column; shares and times bring their unit with each cell."""
    return f"{column.title} [{column.unit}]" if column.unit not in ("", "share", "s", "h") else column.title

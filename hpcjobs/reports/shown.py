"""Cells as people read them, for pages, papers and terminals alike. Pure."""

from __future__ import annotations

from typing import Final

from hpcjobs.reports.table import Cell, Column

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
        return f"{100 * number:.1f} %"
    if column.unit == "s":
        return lasting(number)
    if column.unit == "" and number == int(number):
        return f"{number:,.0f}"
    return f"{number:,.2f}"


def heading(column: Column) -> str:
    """The head of a column; shares and times bring their unit with each cell."""
    return f"{column.title} [{column.unit}]" if column.unit not in ("", "share", "s", "h") else column.title

"""A workbook: one sheet with the rows and the total, one that says what the columns are."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any, Final

import xlsxwriter

from hpcjobs.model.report import Cell, Column, Table

PATTERNS: Final = {"share": "0.0%", "s": "#,##0", "": "General"}
"""How numbers of a unit are shown; what is not here: with the digits of its column."""
WIDE: Final = 40


def _write(sheet: Any, row: int, place: int, column: Column, cell: Cell, shown: Any) -> None:  # noqa: ANN401  untyped
    if cell is None:
        sheet.write_blank(row, place, None, shown)
    elif column.text:
        sheet.write_string(row, place, str(cell), shown)  # never a formula, a link or a number
    else:
        sheet.write_number(row, place, float(cell), shown)


def render(table: Table) -> bytes:
    """As Excel and others read it (Office Open XML)."""
    written = io.BytesIO()
    with xlsxwriter.Workbook(written, {"in_memory": True}) as book:
        heading = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        sheet = book.add_worksheet("Report")
        bold = {"bold": True, "top": 1}
        for place, column in enumerate(table.columns):
            pattern = {"num_format": PATTERNS.get(column.unit, f"#,##0.{'0' * column.digits}")}
            shown, summed = book.add_format(pattern), book.add_format(pattern | bold)
            sheet.write_string(0, place, f"{column.title} [{column.unit}]" if column.unit else column.title, heading)
            for number, row in enumerate(table.rows, start=1):
                _write(sheet, number, place, column, row[place], shown)
            if table.total is not None:
                total = "total" if place == 0 and column.text else table.total[place]
                _write(sheet, len(table.rows) + 1, place, column, total, summed)
            longest = max((len(str(row[place])) for row in table.rows), default=0) if column.text else 12
            sheet.set_column(place, place, min(WIDE, max(10, longest + 2)))
        sheet.freeze_panes(1, table.words)
        if table.rows:
            sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
        _about(book, table, heading)
    return written.getvalue()


def _about(book: Any, table: Table, heading: Any) -> None:  # noqa: ANN401  untyped
    sheet = book.add_worksheet("About")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 8)
    sheet.set_column(2, 2, 100)
    as_of = "never" if table.as_of is None else datetime.fromtimestamp(table.as_of, UTC).isoformat()
    told = [("report", table.title), ("period", table.period), ("accounting read", as_of)]
    told += [("rows left out", str(table.more))] if table.more else []
    for row, (name, text) in enumerate(told):
        sheet.write_string(row, 0, name)
        sheet.write_string(row, 2, text)
    for place, name in enumerate(("column", "unit", "definition")):
        sheet.write_string(4, place, name, heading)
    for row, column in enumerate(table.columns, start=5):
        for place, text in enumerate((column.name, column.unit, column.definition)):
            sheet.write_string(row, place, text)
    for row, note in enumerate(table.notes, start=6 + len(table.columns)):
        sheet.write_string(row, 2, note)

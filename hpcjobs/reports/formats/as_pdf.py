"""Paper: A4 across, picture, table, what the columns are; the head of the table again on each page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import matplotlib as mpl
from fpdf import FPDF
from fpdf.fonts import FontFace

from hpcjobs.model.report import Table
from hpcjobs.reports.plots import drawable, png
from hpcjobs.reports.shown import heading, read_until, rows_of, total_of

FONTS: Final = Path(mpl.get_data_path()) / "fonts" / "ttf"
"""matplotlib brings DejaVu, which has the letters of most names."""
MARGIN_MM: Final = 12
PAGE_MM: Final = 297
MOST_ROWS: Final = 2_000
"""What is more stands in the other formats."""


class _Paper(FPDF):
    def footer(self) -> None:
        """The number of each page."""
        self.set_y(-10)
        self.set_font("text", size=7)
        self.set_text_color(110)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")


def render(table: Table) -> bytes:
    """PDF; at most MOST_ROWS rows, and it says so."""
    paper = _Paper(orientation="landscape", format="A4")
    paper.add_font("text", fname=FONTS / "DejaVuSans.ttf")
    paper.add_font("text", style="B", fname=FONTS / "DejaVuSans-Bold.ttf")
    paper.set_margin(MARGIN_MM)
    paper.set_auto_page_break(auto=True, margin=MARGIN_MM)
    paper.set_title(f"{table.title}, {table.period}")
    paper.add_page()
    paper.set_font("text", "B", 15)
    paper.cell(0, 8, table.title, new_x="LMARGIN", new_y="NEXT")
    _line(paper, f"{table.period} · accounting read until {read_until(table)}")
    if drawable(table):
        paper.image(io.BytesIO(png(table)), w=min(220, PAGE_MM - 2 * MARGIN_MM))
        paper.ln(2)
    _table(paper, table)
    left = table.more + max(0, len(table.rows) - MOST_ROWS)
    for note in (*([f"{left} more rows are left out; the total has them."] if left else []), *table.notes):
        _line(paper, note)
    paper.ln(3)
    for column in table.columns:
        paper.set_font("text", "B", 8)
        paper.write(4, f"{heading(column)}  ")
        paper.set_font("text", size=8)
        paper.write(4, f"{column.definition}\n")
    return bytes(paper.output())


def _line(paper: FPDF, text: str) -> None:
    paper.set_font("text", size=8)
    paper.set_text_color(110)
    paper.multi_cell(0, 5, text, new_x="LMARGIN", new_y="NEXT")
    paper.set_text_color(0)


def _table(paper: FPDF, table: Table) -> None:
    paper.set_font("text", size=8)
    aligned = tuple("LEFT" if column.text else "RIGHT" for column in table.columns)
    head = FontFace(emphasis="BOLD", fill_color=(229, 231, 235))
    with paper.table(
        headings_style=head, text_align=aligned, line_height=4.6, borders_layout="HORIZONTAL_LINES", padding=0.6
    ) as drawn:
        drawn.row([heading(column) for column in table.columns])
        for row in rows_of(table)[:MOST_ROWS]:
            drawn.row(row)
        if total := total_of(table):
            drawn.row(total, style=FontFace(emphasis="BOLD"))

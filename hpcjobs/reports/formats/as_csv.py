"""CSV (RFC 4180): names of columns, then rows; no total, which a sum over the column would count twice.

A word that a spreadsheet would take for a formula is quoted by an apostrophe before it, as OWASP advises ("CSV
Injection"): it begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from hpcjobs.model.report import Cell, Table

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: Cell) -> Cell:
    """A cell that no spreadsheet computes."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def render(table: Table) -> bytes:
    """UTF-8; numbers in full, with a point; nothing where there is nothing to say."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow([column.name for column in table.columns])
    writer.writerows([harmless(cell) for cell in row] for row in table.rows)
    return written.getvalue().encode()

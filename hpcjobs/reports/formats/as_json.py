"""JSON: the table as it is."""

from __future__ import annotations

import msgspec

from hpcjobs.model.report import Table


def render(table: Table) -> bytes:
    """One document (the fields of Table)."""
    return msgspec.json.encode(table)

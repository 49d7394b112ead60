"""Parquet, by DuckDB: words as text, measures as 64-bit floating point."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from hpcjobs.model.report import Table


def render(table: Table) -> bytes:
    """Rows without the total."""
    kinds = ", ".join(f'"{column.name}" {"VARCHAR" if column.text else "DOUBLE"}' for column in table.columns)
    lists = [list(column) for column in zip(*table.rows, strict=True)] or [[] for _ in table.columns]
    told = ", ".join(
        f"unnest(${index}::{'VARCHAR' if column.text else 'DOUBLE'}[])"
        for index, column in enumerate(table.columns, start=1)
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "report.parquet"
        connection.execute(f"CREATE TABLE report ({kinds})")
        connection.execute(f"INSERT INTO report SELECT {told}", lists)
        connection.execute(f"COPY report TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()

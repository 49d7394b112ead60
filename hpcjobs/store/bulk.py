"""One statement for many rows, compiled once and handed to the driver as it is.

SQLAlchemy's own execute() compiles once too, but works out the parameters of each row anew, which costs more than
writing the row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Update
from sqlalchemy.sql.compiler import SQLCompiler

Row = Mapping[str, Any]


def execute_many(connection: Connection, statement: Insert | Update, rows: Sequence[Row]) -> int:
    """Execute a statement for each of many rows.

    Args:
        connection: The database.
        statement: A constant of its module.
        rows: Values by parameter or column, the same names in each; at least one row.

    Returns:
        How many rows of the table it wrote.
    """
    sql, parameters_of = _compiled(statement, connection.dialect, tuple(rows[0]))
    return connection.exec_driver_sql(sql, [parameters_of(row) for row in rows]).rowcount


@functools.lru_cache(maxsize=256)
def _compiled(
    statement: Insert | Update, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, Callable[[Row], Row | tuple[object, ...]]]:
    """The statement in the driver's words, and what makes the driver's parameters of a row.

    Raises:
        TypeError: A column has a default that SQLAlchemy would have to work out: the row must have it.
    """
    compiled = statement.compile(dialect=dialect, column_keys=list(names), for_executemany=True)
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{statement} is no statement of SQL")
    if missing := [column.name for column in (*compiled.insert_prefetch, *compiled.update_prefetch)]:
        raise TypeError(f"rows of {names} lack {missing}")
    fixed = {name: value for name, value in compiled.params.items() if name not in names}
    order = compiled.positiontup
    if order is None:
        return compiled.string, lambda row: {**fixed, **row}
    if not fixed:
        return compiled.string, lambda row: tuple([row[name] for name in order])
    return compiled.string, lambda row: tuple([fixed[name] if name in fixed else row[name] for name in order])

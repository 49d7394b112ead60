"""A report's question answered: asked of usage, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.measures import MEASURES, Of
from hpcjobs.reports.query import FROM_RUNS, Sql, may_see, seen, sql_of
from hpcjobs.reports.table import Cell, Column, Table
from hpcjobs.sbatch.hostlists import expand_hostlist

NOT_SAMPLED = "Nothing was sampled of GPUs in this period: how busy they were is not known."


def answer(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility, title: str = "Usage") -> Table:
    """Answer.

    Args:
        connection: To usage.
        asked: The question.
        visible: What whoever asks may see.
        title: What the table is to be called.
    """
    rows_of, total_of = sql_of(asked, visible), sql_of(asked, visible, total=True)
    if rows_of.nodes:
        _share_among_nodes(connection, asked, visible)
    found, there = _rows(connection, rows_of)
    total = found[0] if not asked.by else _rows(connection, total_of)[0][0]
    rows = [_labelled(asked, row) for row in found]
    if asked.step and len(asked.by) == 1 and len(rows) < asked.limit:
        rows = _without_gaps(asked, rows)
    as_of = connection.execute("SELECT min(read_until) FROM clusters").fetchone()
    sampled = any(MEASURES[name].of is Of.SAMPLES for name in asked.measures)
    unsampled = sampled and all(
        cell is None for name, cell in zip(asked.measures, total[-len(asked.measures) :], strict=True)
        if MEASURES[name].of is Of.SAMPLES
    )  # fmt: skip
    return Table(
        title=title,
        period=asked.period_text,
        since=asked.period.since,
        until=asked.period.until,
        columns=columns_of(asked),
        rows=tuple(rows),
        total=(*("" for _ in asked.by), *total) if asked.by else None,
        more=there - len(found),
        as_of=as_of[0] if as_of else None,
        notes=(NOT_SAMPLED,) if unsampled else (),
    )


def columns_of(asked: Asked) -> tuple[Column, ...]:
    """What the table's columns are."""
    told = []
    for name in asked.by:
        if name == asked.step:
            told.append(Column(name, name, "", f"A {name} of {asked.zone.key}; the first and last may be cut.", True))
        else:
            dimension = DIMENSIONS[name]
            told.append(Column(name, dimension.title, "", dimension.definition, True))
    measured = [MEASURES[name] for name in asked.measures]
    return (
        *told,
        *(Column(n, m.title, m.unit, m.definition) for n, m in zip(asked.measures, measured, strict=True)),
    )


def _rows(connection: duckdb.DuckDBPyConnection, sql: Sql) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of a statement, and how many there are without its limit."""
    found = connection.execute(sql.text, sql.parameters).fetchall()
    return [row[:-1] for row in found], found[0][-1] if found else 0


def _labelled(asked: Asked, row: Sequence[Any]) -> tuple[Cell, ...]:
    """A row whose piece of time has its name."""
    if not asked.step:
        return tuple(row)
    place = asked.by.index(asked.step)
    return (*row[:place], asked.pieces[int(row[place])].label, *row[place + 1 :])


def _without_gaps(asked: Asked, rows: list[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    """The same with a row for each piece of time in which nothing was."""
    there = {row[0] for row in rows}
    nothing = tuple(MEASURES[name].absent for name in asked.measures)
    lacking: list[tuple[Cell, ...]] = [(piece.label, *nothing) for piece in asked.pieces if piece.label not in there]
    if asked.order != asked.step:
        return rows + lacking
    order = {piece.label: place for place, piece in enumerate(asked.pieces)}
    return sorted(rows + lacking, key=lambda row: order[str(row[0])], reverse=asked.falling)


def _share_among_nodes(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> None:
    """Make ``node_shares``: the nodes of each list that the question meets, and the share of each in it."""
    condition, parameters = may_see(visible)
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    lists = connection.execute(
        f"SELECT DISTINCT r.node_list {FROM_RUNS} WHERE {seen()} AND {condition}", parameters
    ).fetchall()
    told: list[tuple[str, str, float]] = []
    for (node_list,) in lists:
        nodes = expand_hostlist(node_list) if node_list else [""]
        told += [(node_list, node, 1 / len(nodes)) for node in nodes]
    connection.execute("CREATE OR REPLACE TEMP TABLE node_shares (node_list VARCHAR, node VARCHAR, share DOUBLE)")
    columns = list(zip(*told, strict=True)) or [(), (), ()]
    connection.execute(
        "INSERT INTO node_shares"
        " SELECT unnest($lists::VARCHAR[]), unnest($nodes::VARCHAR[]), unnest($shares::DOUBLE[])",
        {"lists": list(columns[0]), "nodes": list(columns[1]), "shares": list(columns[2])},
    )

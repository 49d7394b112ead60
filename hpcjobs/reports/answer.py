"""A report's question answered: asked of usage, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import fsum
from typing import Any

import duckdb

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.report import MOST_ROWS, Cell, Column, Table
from hpcjobs.reports import costs
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.dimensions import DIMENSIONS
from hpcjobs.reports.made import MADE
from hpcjobs.reports.measures import CURRENCY, MEASURES, Of
from hpcjobs.reports.query import Sql, sql_of
from hpcjobs.usage import charges

SUMMED = frozenset(name for name, one in MEASURES.items() if one.adds_up and one.of is Of.GPUS and one.absent == 0)
"""Measures whose total is the sum of all rows."""
NO_FACTOR = "The settings say of no day of this period what a kWh emits: CO2 is not known."
NOT_SAMPLED = "Nothing was sampled of GPUs in this period: how busy they were is not known."


def answer(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility, title: str = "Usage") -> Table:
    """Answer.

    Args:
        connection: To usage.
        asked: The question.
        visible: What whoever asks may see.
        title: What the table is to be called.
    """
    over_time = bool(asked.step) and len(asked.by) == 1  # with rows for times in which nothing was: all, and then cut
    rows_of = sql_of(asked._replace(limit=MOST_ROWS) if over_time else asked, visible)
    total_of = sql_of(asked, visible, total=True)
    for make in rows_of.made:
        MADE[make](connection, asked, visible)
    found, there = _rows(connection, rows_of)
    if not asked.by:
        total = found[0]
    elif found and there == len(found) and SUMMED.issuperset(asked.measures):
        columns = list(zip(*found, strict=True))[len(asked.by) :]
        total = tuple(fsum(column) for column in columns)  # another question would go through all runs once more
    else:
        total = _rows(connection, total_of)[0][0]
    rows = [_labelled(asked, row) for row in found]
    if over_time:
        every = _without_gaps(asked, rows)
        rows, there = every[: asked.limit], len(every)
    as_of = _read_until(connection, asked)
    sampled = any(MEASURES[name].of is Of.SAMPLES for name in asked.measures)
    unsampled = sampled and all(
        cell is None for name, cell in zip(asked.measures, total[-len(asked.measures) :], strict=True)
        if MEASURES[name].of is Of.SAMPLES
    )  # fmt: skip
    known = [NOT_SAMPLED] if unsampled else []
    if "co2_kg" in asked.measures:
        known += _carbon(asked)
    if charges.TARIFF in rows_of.made:
        known += costs.notes(connection, asked, visible)
    return Table(
        title=title,
        period=asked.period_text,
        since=asked.period.since,
        until=asked.period.until,
        columns=columns_of(asked),
        rows=tuple(rows),
        total=(*("" for _ in asked.by), *total) if asked.by else None,
        more=there - len(rows),
        as_of=as_of,
        notes=tuple(known),
    )


def _read_until(connection: duckdb.DuckDBPyConnection, asked: Asked) -> int | None:
    """Until when accounting was read, of those clusters that are asked for which is furthest behind; None: of none."""
    every = connection.execute("SELECT cluster, read_until FROM clusters").fetchall()
    return min((at for cluster, at in every if cluster in asked.where.get("cluster", (cluster,))), default=None)


def _carbon(asked: Asked) -> list[str]:
    """By what CO2 is counted."""
    held = [one for one in asked.carbon if one.since < asked.period.until and one.until > asked.period.since]
    told = (
        f"{one.g_per_kwh:g} g/kWh from {datetime.fromtimestamp(one.since, asked.zone):%Y-%m-%d} ({one.source})"
        for one in held
    )
    return ["CO2: " + ", ".join(told) + "."] if held else [NO_FACTOR]


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
        *(
            Column(name, m.title, asked.prices.currency if m.unit == CURRENCY else m.unit, m.definition)
            for name, m in zip(asked.measures, measured, strict=True)
        ),
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
    order = {piece.label: place for place, piece in enumerate(asked.pieces)}
    every = sorted(rows + lacking, key=lambda row: order[str(row[0])])
    if asked.order == asked.step:
        return every[::-1] if asked.falling else every
    place = 1 + asked.measures.index(asked.order)
    known = [row for row in every if row[place] is not None]
    known.sort(key=lambda row: float(row[place] or 0), reverse=asked.falling)
    return known + [row for row in every if row[place] is None]

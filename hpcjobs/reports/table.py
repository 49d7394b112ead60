"""What a report answers: a table whose columns say what they are. Every format is made of this one."""

from __future__ import annotations

import msgspec

Cell = str | int | float | None
"""None: there is nothing to say, as for the wait of jobs none of which started."""


class Column(msgspec.Struct, frozen=True):
    """One column.

    Attributes:
        name: As it is asked for: ``gpu_hours``.
        title: As people read it: ``GPU-hours``.
        unit: ``h``, ``s``, ``kWh``, ``share`` (0 to 1), ``""`` for counts and words.
        definition: What it is, in a sentence or two.
        text: Whether its cells are words.
    """

    name: str
    title: str
    unit: str = ""
    definition: str = ""
    text: bool = False


class Table(msgspec.Struct, frozen=True):
    """A report.

    Attributes:
        title: What it is about.
        period: The period in words: ``2026-10 (Europe/Berlin)``.
        since: Unix seconds at which the period begins.
        until: Unix seconds before which it ends.
        columns: First what the rows are told apart by, then the measures.
        rows: One cell a column each.
        total: The same over everything that the caller may see in the period, also what a limit leaves out; its words
            are ``""``. None: it has none.
        more: How many rows a limit left out.
        as_of: Unix seconds: accounting had been read until then, of the cluster that is furthest behind. None: never.
        notes: What else one should know.
    """

    title: str
    period: str
    since: int
    until: int
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    more: int = 0
    as_of: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        """How many of the first columns tell rows apart."""
        return sum(column.text for column in self.columns)

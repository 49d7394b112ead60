"""A report as a message: table as text and page, and the file that was asked for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec

from hpcjobs.identity.policy import Identity
from hpcjobs.model.letter import Letter, Subscription
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.model.schedule import ReportScheduleRequest
from hpcjobs.reporting import Reporting
from hpcjobs.reports.formats import FORMATS, file_name, render
from hpcjobs.reports.shown import heading, read_until, rows_of, total_of
from hpcjobs.sending.message import File, Message

ROWS_IN_MAIL: Final = 200
"""Rows that stand in the mail itself; the file has all."""


def question(asked: ReportScheduleRequest) -> ReportQuery:
    """What of its report a schedule wants otherwise, by its own calendar."""
    return msgspec.structs.replace(asked.query, timezone=asked.query.timezone or asked.timezone)


class ReportMaker:
    """Makes the message of a schedule's letter.

    Args:
        reporting: Makes the report.
    """

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    async def __call__(self, of: Subscription, letter: Letter, who: Identity) -> Message:
        """Ask the report of what its owner may see now, for the moment that it was due.

        Raises:
            HpcjobsError: It cannot be answered.
        """
        asked = msgspec.json.decode(of.document, type=ReportScheduleRequest)
        table, label = await self._reporting.report(who, asked.report, question(asked), letter.due_at)
        notes = [*table.notes, f"Of what {of.user} may see.", *([letter.said] if letter.said else [])]
        return await asyncio.to_thread(_message, of, asked, label, msgspec.structs.replace(table, notes=tuple(notes)))


def _message(of: Subscription, asked: ReportScheduleRequest, label: str, table: Table) -> Message:
    cut = table.rows[ROWS_IN_MAIL:]
    short = msgspec.structs.replace(table, rows=table.rows[:ROWS_IN_MAIL], more=table.more + len(cut))
    name = f"{file_name(asked.report, label)}.{asked.format}"
    form = FORMATS[asked.format]
    file = File(name, form.media_type, render(table, asked.format))
    why = f"hpcjobs sends this for {of.user}; `hpcjobs report schedule remove {of.name}` ends it."
    text = f"{text_of(short)}\n\n-- \n{why}\n"
    return Message(f"{of.name}: {table.title}, {table.period}", text, render(short, "html").decode(), file)


def text_of(table: Table) -> str:
    """A table as lines of text."""
    heads = tuple(heading(column) for column in table.columns)
    rows, total = rows_of(table), total_of(table)
    lines = [heads, *rows, *([total] if total is not None and rows else [])]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    aligned = [
        "  ".join(
            cell.ljust(width) if column.text else cell.rjust(width)
            for column, cell, width in zip(table.columns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    told = [f"{table.title}, {table.period}; accounting read until {read_until(table)}.", "", *aligned, ""]
    if table.more:
        told.append(f"{table.more} more rows; the total has them.")
    return "\n".join([*told, *table.notes])


def late_note(first: int, last: int) -> str:
    """What is said of moments that passed while the service was away.

    Args:
        first: Unix seconds of the first of these.
        last: Unix seconds of the one that is sent now.
    """
    if first == last:
        return f"This was due at {_moment(last)}; the service was away."
    return f"This was due at {_moment(last)}; those that were due since {_moment(first)} were missed and are not sent."


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"

"""The picture of a report: its first measure over time, or the largest rows. By matplotlib, without a display."""

from __future__ import annotations

import io
import math
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpcjobs.model.report import Column, Table
from hpcjobs.reports.asked import BUCKETS
from hpcjobs.reports.shown import UNNAMED

MOST_BARS: Final = 15
MOST_SERIES: Final = 7
INK: Final = "#6b7280"
"""Readable on a light and on a dark page."""
COLOURS: Final = ("#2563eb", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#06b6d4", "#d946ef", "#9ca3af")


def drawable(table: Table) -> bool:
    """Whether there is something to see."""
    measured = table.words
    if not table.picture or not measured or measured == len(table.columns):
        return False
    return len(table.rows) > 1 and any(row[measured] for row in table.rows)


def _figure(table: Table) -> Figure:
    measured = table.columns[table.words]
    step = next((place for place, column in enumerate(table.columns) if column.text and column.name in BUCKETS), None)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.add_subplot()
    if step is None:
        rows = table.rows[:MOST_BARS][::-1]
        names = [" / ".join(str(cell) or UNNAMED for cell in row[: table.words])[:48] for row in rows]
        axes.barh(range(len(rows)), [float(row[table.words] or 0) for row in rows], color=COLOURS[0])
        axes.set_yticks(range(len(rows)), names)
    else:
        _over_time(axes, table, step)
    axes.set_title(f"{measured.title}{_unit(measured)}", loc="left", color=INK, fontsize=10)
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(axis="x" if step is None else "y", color=INK, alpha=0.2)
    axes.set_axisbelow(True)
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    return figure


def _unit(column: Column) -> str:
    return f" [{column.unit}]" if column.unit else ""


def _over_time(axes: Axes, table: Table, step: int) -> None:
    """Stacked bars, one a piece of time; the largest series by name, the rest as one."""
    # Of the hour that clocks have twice the first is that of the later zone: not the order of letters.
    times = sorted({str(row[step]) for row in table.rows}, key=_moment if table.columns[step].name == "hour" else None)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in table.rows:
        name = " / ".join(str(cell) or UNNAMED for place, cell in enumerate(row[: table.words]) if place != step)
        sums[name][str(row[step])] += float(row[table.words] or 0)
    names = sorted(filter(lambda name: any(sums[name].values()), sums), key=lambda name: -sum(sums[name].values()))
    series = [(name, [sums[name][time] for time in times]) for name in names[:MOST_SERIES]]
    if rest := names[MOST_SERIES:]:
        series.append((f"{len(rest)} others", [sum(sums[name][time] for name in rest) for time in times]))
    below = [0.0] * len(times)
    for (name, heights), colour in zip(series, COLOURS, strict=False):
        axes.bar(range(len(times)), heights, 0.85, below, color=colour, label=name or None)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    every = -(-len(times) // 12)
    places = range(0, len(times), every)
    axes.set_xticks(places, [times[place] for place in places])
    if len(names) > 1 or names[0]:
        axes.legend(fontsize=8, frameon=False, labelcolor=INK, ncols=2)


def _moment(hour: str) -> tuple[float, str]:
    try:
        return datetime.fromisoformat(hour).timestamp(), hour
    except ValueError:  # a plugin's report may call anything so
        return math.inf, hour


@contextmanager
def _drawing() -> Iterator[None]:
    """Texts stay texts, also with $; ids are the same each time; a letter that the font lacks is a box, no warning."""
    with (
        mpl.rc_context({"svg.hashsalt": "hpcjobs", "svg.fonttype": "none", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def svg(table: Table) -> str:
    """The picture as an SVG element, without an XML head."""
    written = io.StringIO()
    with _drawing():
        _figure(table).savefig(written, format="svg", metadata={"Date": None})
    _, begins, rest = written.getvalue().partition("<svg")
    return begins + rest


def png(table: Table) -> bytes:
    """The picture in pixels."""
    written = io.BytesIO()
    with _drawing():
        _figure(table).savefig(written, format="png")
    return written.getvalue()

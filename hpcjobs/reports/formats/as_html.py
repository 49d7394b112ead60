"""One page that needs nothing else: table, picture, what the columns are. Light or dark, as the reader's system is."""

from __future__ import annotations

from typing import Final

import jinja2
from markupsafe import Markup

from hpcjobs.model.report import Table
from hpcjobs.reports.plots import drawable, svg
from hpcjobs.reports.shown import heading, read_until, rows_of, total_of

PAGE: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("hpcjobs.reports.formats", "."), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
).get_template("page.html")  # fmt: skip


def render(table: Table) -> bytes:
    """HTML."""
    return PAGE.render(
        table=table,
        read_until=read_until(table),
        picture=Markup(svg(table)) if drawable(table) else "",  # noqa: S704  matplotlib escapes texts
        heading=heading,
        rows=rows_of(table),
        total=total_of(table),
    ).encode()

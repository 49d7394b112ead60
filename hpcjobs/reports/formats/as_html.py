"""One page that needs nothing else: table, picture, what the columns are. Light or dark, as the reader's system is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import jinja2
from markupsafe import Markup

from hpcjobs.reports.plots import drawable, svg
from hpcjobs.reports.shown import heading, shown
from hpcjobs.reports.table import Table

PAGE: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("hpcjobs.reports.formats", "."), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
).get_template("page.html")  # fmt: skip


def render(table: Table) -> bytes:
    """HTML."""
    return PAGE.render(
        table=table,
        as_of=None if table.as_of is None else f"{datetime.fromtimestamp(table.as_of, UTC):%Y-%m-%d %H:%M:%S} UTC",
        picture=Markup(svg(table)) if drawable(table) else "",  # noqa: S704  matplotlib escapes texts
        heading=heading,
        shown=shown,
    ).encode()

"""One table in every form that is asked for: one module a form, each a function of the table alone."""

from __future__ import annotations

import importlib
from typing import Final, NamedTuple

from hpcjobs.model.report import Table


class Format(NamedTuple):
    """One form.

    Attributes:
        media_type: What it is called in HTTP.
        module: Where ``render(table) -> bytes`` is; loaded when it is asked for.
    """

    media_type: str
    module: str


FORMATS: Final[dict[str, Format]] = {
    "json": Format("application/json", "as_json"),
    "csv": Format("text/csv", "as_csv"),
    "parquet": Format("application/vnd.apache.parquet", "as_parquet"),
    "xlsx": Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "as_xlsx"),
    "html": Format("text/html", "as_html"),
    "pdf": Format("application/pdf", "as_pdf"),
}
"""By name, which is the end of a file's name, too."""


def render(table: Table, form: str) -> bytes:
    """A table in one of FORMATS."""
    module = importlib.import_module(f"{__name__}.{FORMATS[form].module}")
    done: bytes = module.render(table)
    return done


def file_name(report: str, period: str) -> str:
    """What a report's file is called, without the end that its form is.

    Args:
        report: Its name.
        period: The label of its period.
    """
    plain = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in period)
    return f"{report}-{plain}"

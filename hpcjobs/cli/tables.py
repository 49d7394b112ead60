"""Tables of reports and invoices: on the terminal, or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from hpcjobs.model.report import Table

FORMS: Final = ("csv", "json", "parquet", "xlsx", "html", "pdf")

out_option = click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write FILE.csv, .xlsx, .parquet, .html, .pdf or .json.",
)


def form_of(out: Path | None) -> str:
    """The form that a file's name ends with; ``""`` without a file.

    Raises:
        BadParameter: There is no such form.
    """
    form = out.suffix.removeprefix(".") if out else ""
    if out and form not in FORMS:
        raise click.BadParameter(f"{out} does not end with .{', .'.join(FORMS)}", param_hint="--out")
    return form


def write_file(out: Path, done: bytes) -> None:
    """Write it, and say so.

    Raises:
        ValueError: It cannot be written.
    """
    try:
        out.write_bytes(done)
    except OSError as error:
        raise ValueError(f"{out}: {error.strerror}") from error
    click.echo(f"{out}: {len(done)} bytes", err=True)


def show_table(found: Table) -> None:
    """Rows and total on stdout, what else is to be known on stderr."""
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    from hpcjobs.cli.show import clean, moment, table
    from hpcjobs.reports.shown import heading, rows_of, total_of

    rows, total = rows_of(found), total_of(found)
    if total is not None and rows:
        rows.append(total)
    console = Console()
    if console.is_terminal:
        drawn = Drawn(box=None, pad_edge=False, header_style="bold", show_footer=False)
        for column in found.columns:
            drawn.add_column(heading(column), justify="left" if column.text else "right", overflow="fold")
        for place, row in enumerate(rows):
            last = total is not None and place == len(rows) - 1
            drawn.add_row(*(Text(clean(cell)) for cell in row), style="bold" if last else None)
        console.print(drawn)
    else:
        table([column.name for column in found.columns], rows, None)
    as_of = moment(found.as_of) if found.as_of else "never"
    click.echo(f"{found.title}, {found.period}; accounting read until {as_of}.", err=True)
    if found.more:
        click.echo(f"{found.more} more rows; the total has them.", err=True)
    for note in found.notes:
        click.echo(note, err=True)

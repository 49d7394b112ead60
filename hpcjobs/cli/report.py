"""``hpcjobs report``: what was used, by whom, of what, when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import given, json_option, print_json, service

if TYPE_CHECKING:
    from hpcjobs.reports.ready import Catalogue
    from hpcjobs.reports.table import Table

FORMS: Final = ("csv", "json", "parquet", "xlsx", "html", "pdf")
LIST: Final = "list"
WHERE: Final = ("user", "project", "partition", "qos", "cluster", "gpu", "node", "state")
"""Options that keep to some jobs; each may be given several times, or with commas."""


def _where(command: click.Command) -> click.Command:
    for name in reversed(WHERE):
        only = click.option(f"--{name}", name, multiple=True, metavar="WORD", help=f"Only of this {name}; or several.")
        command = only(command)
    return command


@_where
@click.command()
@click.argument("name", default="usage")
@click.option("--period", "-p", help="2026-10, 2026-Q4, last-month, 30d, FROM..TO.  [default: this-month]")
@click.option("--by", "-b", multiple=True, help="What rows are told apart by: project,gpu or user,month and so on.")
@click.option("--measures", "-m", multiple=True, help="Which: gpu_hours,wait_p50_s and so on.")
@click.option("--timezone", "-z", help="Whose calendar: Europe/Berlin.  [default: the service's]")
@click.option("--order", help="The column by which rows are ordered; -COLUMN: the smallest first.")
@click.option("--limit", type=int, help="At most so many rows.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write FILE.csv, .xlsx, .parquet, .html, .pdf or .json.",
)
@json_option
def report(
    name: str,
    period: str | None,
    by: tuple[str, ...],
    measures: tuple[str, ...],
    timezone: str | None,
    order: str | None,
    limit: int | None,
    out: Path | None,
    as_json: bool,
    **where: tuple[str, ...],
) -> None:
    """Report what was used: NAME is usage, gpus, waits, failures, idle, efficiency, months or nodes.

    "hpcjobs report list" explains these, all columns and all measures. Users see their own jobs, managers those of
    their projects, operators all.
    """
    from hpcjobs.reports.asked import several

    filters: dict[str, Any] = given(
        period=period, by=several(by), measures=several(measures), timezone=timezone, order=order, limit=limit,
        **{field: several(words) for field, words in where.items()},
    )  # fmt: skip
    form = out.suffix.removeprefix(".") if out else ""
    if out and form not in FORMS:
        raise click.BadParameter(f"{out} does not end with .{', .'.join(FORMS)}", param_hint="--out")
    with service() as client:
        if name == LIST:
            found = client.reports()
            print_json(found) if as_json else _explain(found)
        elif out:
            done = client.report_file(form, name, **filters)
            try:
                out.write_bytes(done)
            except OSError as error:
                raise ValueError(f"{out}: {error.strerror}") from error
            click.echo(f"{out}: {len(done)} bytes", err=True)
        else:
            table = client.report(name, **filters)
            print_json(table) if as_json else _show(table)


def _show(found: Table) -> None:
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


def _explain(found: Catalogue) -> None:
    from hpcjobs.cli.show import table

    table(("REPORT", "WHAT", "BY"), [(one.name, one.text, ",".join(one.by)) for one in found.reports], 3)
    click.echo()
    table(("BY", "WHAT"), [(one.name, one.definition) for one in found.by], 2)
    click.echo()
    table(("MEASURE", "UNIT", "WHAT"), [(one.name, one.unit or "-", one.definition) for one in found.measures], 3)

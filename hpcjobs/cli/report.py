"""``hpcjobs report``: what was used, by whom, of what, when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import json_option, print_json, service
from hpcjobs.cli.question import asked, question, where
from hpcjobs.cli.schedule import schedule
from hpcjobs.cli.tables import form_of, out_option, show_table, write_file

if TYPE_CHECKING:
    from hpcjobs.model.report import Catalogue

LIST: Final = "list"
SHOW: Final = "show"
"""What the name of a report is short for."""


class Reports(click.Group):
    """A group whose first word is a command of its own, or the name of a report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else [SHOW, *args])


@click.group(cls=Reports)
def report() -> None:
    """Report what was used, and have reports sent by the clock."""


@report.command(name=SHOW)
@click.argument("name", default="usage")
@question
@out_option
@json_option
def show(name: str, out: Path | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401  of question
    """Report what was used.

    NAME is usage, gpus, waits, failures, lost, ettr, idle, efficiency, months, nodes, costs, pool.
    Plugins have more, as gpu_accounting.families. "hpcjobs report list" explains these, all columns and all measures.
    Users see their own jobs, managers those of their projects, operators all. "hpcjobs report schedule" has reports
    sent by the clock.
    """
    filters = asked(options) | where(options)
    form = form_of(out)
    with service() as client:
        if name == LIST:
            found = client.reports()
            print_json(found) if as_json else _explain(found)
        elif out:
            write_file(out, client.report_file(form, name, **filters))
        else:
            table = client.report(name, **filters)
            print_json(table) if as_json else show_table(table)


report.add_command(schedule)


def _explain(found: Catalogue) -> None:
    from hpcjobs.cli.show import table

    table(("REPORT", "WHAT", "BY"), [(one.name, one.text, ",".join(one.by)) for one in found.reports], 3)
    click.echo()
    table(("BY", "WHAT"), [(one.name, one.definition) for one in found.by], 2)
    click.echo()
    table(("MEASURE", "UNIT", "WHAT"), [(one.name, one.unit or "-", one.definition) for one in found.measures], 3)

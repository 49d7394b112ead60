"""``hpcjobs invoice``: what projects are charged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.cli.common import cluster_option, json_option, print_json, service
from hpcjobs.cli.tables import form_of, out_option, show_table, write_file

if TYPE_CHECKING:
    from hpcjobs.model.invoice import Invoice

HEADS: Final = ("INVOICE", "WHAT", "PROJECT", "CLUSTER", "PERIOD", "TOTAL", "ISSUED", "OF")


@click.group()
def invoice() -> None:
    """Show what projects are charged; admins issue invoices and put them right."""


@invoice.command(name="list")
@click.option("--project", help="Only of this project.")
@cluster_option
@json_option
def list_(project: str | None, cluster: str | None, as_json: bool) -> None:
    """Show the invoices of the projects that you manage; for operators all."""
    with service() as client:
        found = client.invoices(cluster=cluster, project=project)
        print_json(found) if as_json else _list(found)


@invoice.command()
@click.argument("number")
@out_option
@json_option
def show(number: str, out: Path | None, as_json: bool) -> None:
    """Show one invoice, or write it as a file."""
    form = form_of(out)
    with service() as client:
        if out:
            write_file(out, client.invoice_file(form, number))
            return
        found = client.invoice(number)
        print_json(found) if as_json else _show(found)


@invoice.command()
@click.argument("project")
@click.argument("period")
@cluster_option
@json_option
def draft(project: str, period: str, cluster: str | None, as_json: bool) -> None:
    """Show what an invoice comes to now: PERIOD is 2026-10, this-month and so on. Nothing is kept."""
    with service() as client:
        made = client.draft_invoice(project, period, cluster=cluster)
        print_json(made) if as_json else _show(made)


@invoice.command()
@click.argument("project")
@click.argument("period")
@cluster_option
@json_option
def issue(project: str, period: str, cluster: str | None, as_json: bool) -> None:
    """Issue an invoice, which never changes: PERIOD is 2026-10, last-month and so on. For admins."""
    with service() as client:
        made = client.issue_invoice(project, period, cluster=cluster)
        print_json(made) if as_json else _show(made)


@invoice.command()
@click.argument("number")
@json_option
def correct(number: str, as_json: bool) -> None:
    """Put an invoice right by what accounting and the prices say today: issue the differences. For admins."""
    with service() as client:
        made = client.correct_invoice(number)
        print_json(made) if as_json else _show(made)


def row(one: Invoice) -> tuple[str, ...]:
    """An invoice's line in the list."""
    from hpcjobs.cli.show import moment

    total = f"{one.total} {one.currency}"
    what = one.kind.value.replace("_", " ")
    issued, of = moment(one.issued_at or 0), one.corrects or "-"
    return one.number, what, one.project, one.cluster, one.period, total, issued, of


def _list(found: Sequence[Invoice]) -> None:
    from hpcjobs.cli.show import table

    table(HEADS, [row(one) for one in found], None)


def _show(found: Invoice) -> None:
    from hpcjobs.billing.shown import table_of

    show_table(table_of(found))

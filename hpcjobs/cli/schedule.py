"""``hpcjobs report schedule``: reports by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from hpcjobs.cli.common import json_option, print_json, service
from hpcjobs.cli.question import asked, question, where
from hpcjobs.cli.sendings import show_letters, tell_secret, tell_troubles, to_whom, whose

if TYPE_CHECKING:
    from hpcjobs.model.schedule import ReportSchedule, ReportScheduleShown

HEADS: Final = ("NAME", "USER", "REPORT", "WHEN", "TO", "NEXT", "SENT", "STATE")


@click.group()
def schedule() -> None:
    """Have reports sent by the clock, by mail or to a URL."""


@schedule.command()
@click.argument("name")
@click.argument("cron")
@to_whom
@click.option("--report", "-r", default="usage", show_default=True, help='Which; "hpcjobs report list" has them.')
@question
@click.option("--format", "-f", "form", default="pdf", show_default=True, help="csv, json, parquet, xlsx, html or pdf.")
@json_option
def add(
    name: str,
    cron: str,
    to: tuple[str, ...],
    report: str,
    form: str,
    as_json: bool,
    **options: Any,  # noqa: ANN401  of question
) -> None:
    """Send a report when CRON says: minute, hour, day, month, weekday, by the clock of --timezone.

    As "hpcjobs report schedule add monthly '0 7 1 * *' -p last-month -t head@example.org".
    """
    from hpcjobs.model.report import ReportQuery
    from hpcjobs.model.schedule import ReportScheduleRequest

    words = asked(options)
    timezone = words.pop("timezone", "")
    query = ReportQuery(**words, where=where(options))
    with service() as client:
        made = client.make_report_schedule(ReportScheduleRequest(name, cron, to, report, query, form, timezone))
        if as_json:
            print_json(made)
            return
        _show([made.schedule])
        tell_secret(to, made.secret)


@schedule.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List them; for operators everybody's."""
    with service() as client:
        found = client.report_schedules()
        print_json(found) if as_json else _show(found)


@schedule.command()
@click.argument("name")
@whose
@json_option
def show(name: str, user: str | None, as_json: bool) -> None:
    """Show one, and what came of its last sendings."""
    with service() as client:
        found = client.report_schedule(name, user=user)
        print_json(found) if as_json else _show_one(found)


@schedule.command()
@click.argument("name")
@whose
def remove(name: str, user: str | None) -> None:
    """Send it no more."""
    with service() as client:
        client.remove_report_schedule(name, user=user)


@schedule.command()
@click.argument("name")
@whose
@json_option
def run(name: str, user: str | None, as_json: bool) -> None:
    """Send it now, too."""
    with service() as client:
        found = client.run_report_schedule(name, user=user)
        print_json(found) if as_json else _show_one(found)


def _show(found: list[ReportSchedule]) -> None:
    from hpcjobs.cli.show import moment, table

    rows = [
        (one.asked.name, one.user, one.asked.report, one.asked.cron, ",".join(one.asked.to),
         moment(one.next_at or 0), moment(one.sent_at or 0), one.state.value)
        for one in found
    ]  # fmt: skip
    table(HEADS, rows, None)
    tell_troubles(found)


def _show_one(found: ReportScheduleShown) -> None:
    _show([found.schedule])
    click.echo()
    show_letters(found.letters)

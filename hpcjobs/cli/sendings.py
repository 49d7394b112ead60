"""What the commands for scheduled reports and for alerts have in common: to whom, whose, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from hpcjobs.model.alert import AlertRequest
    from hpcjobs.model.letter import Letter
    from hpcjobs.model.schedule import ReportScheduleRequest

whose = click.option("--user", "-u", help="Whose, for operators.  [default: your own]")
to_whom = click.option(
    "--to", "-t", multiple=True, required=True, metavar="WHO", help="A mail address or a URL; or several."
)


class Sent(Protocol):
    """Something that is sent, as it is shown."""

    @property
    def asked(self) -> AlertRequest | ReportScheduleRequest:
        """What was asked for."""

    @property
    def detail(self) -> str:
        """Why it stopped."""

    @property
    def last_error(self) -> str:
        """Why the last sending failed."""


def tell_secret(to: Sequence[str], secret: str) -> None:
    """Say by what POSTs are signed, where there are such."""
    if any("://" in one for one in to):
        click.echo(f"hpcjobs: POSTs are signed with {secret}, which is not shown again", err=True)


def tell_troubles(found: Sequence[Sent]) -> None:
    """Say what is wrong with each."""
    for one in found:
        for why in filter(None, (one.detail, one.last_error)):
            click.echo(f"hpcjobs: {one.asked.name}: {why}", err=True)


def show_letters(letters: Sequence[Letter]) -> None:
    """What came of sendings, a line each."""
    from hpcjobs.cli.show import moment, table

    rows = [
        (moment(one.due_at), one.recipient, one.state.value, str(one.attempts), one.detail or "-") for one in letters
    ]
    table(("DUE", "TO", "STATE", "TRIES", "WHY"), rows, None)

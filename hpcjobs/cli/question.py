"""What is asked of a report, as options: of reports that are shown, and of those that are sent by the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from hpcjobs.cli.common import given

WHERE: Final = (
    "user",
    "project",
    "partition",
    "qos",
    "cluster",
    "gpu",
    "node",
    "state",
    "size",
    "nodes",
    "reservation",
    "wckey",
    "cause",
)
"""Options that keep to some jobs; each may be given several times, or with commas."""
ASKED: Final = (
    click.option("--period", "-p", help="2026-10, 2026-Q4, last-month, 30d, FROM..TO.  [default: this-month]"),
    click.option("--by", "-b", multiple=True, help="What rows are told apart by: project,gpu or user,month and so on."),
    click.option("--measures", "-m", multiple=True, help="Which: gpu_hours,wait_p50_s and so on."),
    click.option("--timezone", "-z", help="Whose calendar: Europe/Berlin.  [default: the service's]"),
    click.option("--order", help="The column by which rows are ordered; -COLUMN: the smallest first."),
    click.option("--limit", type=int, help="At most so many rows."),
    *(
        click.option(f"--{name}", name, multiple=True, metavar="WORD", help=f"Only of this {name}; or several.")
        for name in WHERE
    ),
)


def question(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a question; they come as keyword arguments, for asked() or where()."""
    for option in reversed(ASKED):
        command = option(command)
    return command


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of a question but for its conditions, by field."""
    from hpcjobs.model.report import several

    listed = {name: several(options[name]) for name in ("by", "measures")}
    return given(**{name: options[name] for name in ("period", "timezone", "order", "limit")}, **listed)


def where(options: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Its conditions."""
    from hpcjobs.model.report import several

    return given(**{name: several(options[name]) for name in WHERE})

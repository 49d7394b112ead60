"""A report that is sent by the clock, as people ask for it and see it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from hpcjobs.model.letter import Letter, Subscription, SubscriptionState
from hpcjobs.model.report import ReportQuery

NAME: Final = "^[a-z0-9][a-z0-9_.-]{0,62}$"
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
"""Of a schedule or an alert: unique among its owner's."""


class ReportScheduleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A report to be sent by the clock.

    Attributes:
        name: What it is called.
        cron: When: minute, hour, day of the month, month, day of the week, as in crontab(5); ``0 7 * * mon``.
        to: Mail addresses, and URLs that the file is POSTed to, signed as webhooks are.
        report: Which; ``GET /v1/reports`` tells which there are.
        query: What of the report should be otherwise; its period is of the moment that it is due.
        format: The form of the file.
        timezone: Whose clock and calendar; ``""``: the service's.
    """

    name: Name
    cron: Annotated[str, msgspec.Meta(max_length=200)]
    to: tuple[str, ...]
    report: str = "usage"
    query: ReportQuery = msgspec.field(default_factory=ReportQuery)
    format: str = "pdf"
    timezone: str = ""


class ReportSchedule(msgspec.Struct, frozen=True):
    """A report that is sent by the clock.

    Attributes:
        user: Whose: it tells what they may see when it is sent.
        asked: As it was asked for.
        state: Whether it goes on.
        created_at: Unix seconds.
        next_at: Unix seconds at which it is due next; None: never again.
        sent_at: Unix seconds at which one went out last; None: none has.
        last_error: Why the last sending failed; ``""``: it did not.
        detail: Why it has stopped, or ``""``.
    """

    user: str
    asked: ReportScheduleRequest
    state: SubscriptionState
    created_at: float
    next_at: int | None
    sent_at: float | None
    last_error: str
    detail: str


class ReportScheduleMade(msgspec.Struct, frozen=True):
    """A schedule that was made.

    Attributes:
        schedule: As it is.
        secret: What its POSTs are signed with; it is not shown again.
    """

    schedule: ReportSchedule
    secret: str


class ReportScheduleShown(msgspec.Struct, frozen=True):
    """A schedule and what came of it lately.

    Attributes:
        schedule: As it is.
        letters: The last sendings, one a recipient, the newest first.
    """

    schedule: ReportSchedule
    letters: list[Letter]


def shown(kept: Subscription) -> ReportSchedule:
    """A kept schedule as people see it."""
    return ReportSchedule(
        user=kept.user,
        asked=msgspec.json.decode(kept.document, type=ReportScheduleRequest),
        state=kept.state,
        created_at=kept.created_at,
        next_at=kept.next_at if kept.state is SubscriptionState.ACTIVE else None,
        sent_at=kept.sent_at,
        last_error=kept.last_error,
        detail=kept.detail,
    )

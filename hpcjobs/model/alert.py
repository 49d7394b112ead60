"""What is told when it becomes true, and when it is over: idle GPUs, used-up budgets, budgets that will not last."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from hpcjobs.model.letter import Letter, SubscriptionState
from hpcjobs.model.schedule import Name


class AlertKind(StrEnum):
    """What is watched."""

    IDLE = "idle"  # a running job whose GPUs are less busy than the threshold
    QUOTA = "quota"  # a budget, or a quota of bytes, of which more is used than the threshold
    FORECAST = "forecast"  # a budget that will be used up before its period is over, a quota of bytes within a month


class AlertScope(StrEnum):
    """Of what; always within what the owner may see."""

    OWN = "own"  # one's own jobs; the projects that one belongs to
    PROJECT = "project"
    ALL = "all"


class AlertRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An alert to be made.

    Attributes:
        name: What it is called.
        kind: What is watched.
        to: Mail addresses, and URLs that the news are POSTed to, signed as webhooks are.
        threshold: For ``idle`` the share of time that GPUs are busy, below which they are idle (0.05 where left out);
            for ``quota`` the share of a budget that is used (0.9); for ``forecast`` how many days ahead it counts
            (left out: to the end of the period, for bytes 30).
        for_s: How long it must be so, in seconds; left out: an hour for ``idle``, 0 for the others.
        scope: Of what.
        project: For scope ``project``: which.
        cluster: Only there; ``""``: everywhere.
        min_gpus: For ``idle``: only jobs with so many GPUs.
        coverage: For ``idle``: how much of the time must have been sampled, of all GPUs of a job.
    """

    name: Name
    kind: AlertKind
    to: tuple[str, ...]
    threshold: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    for_s: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)] | None = None
    scope: AlertScope = AlertScope.OWN
    project: Annotated[str, msgspec.Meta(max_length=64)] = ""
    cluster: Annotated[str, msgspec.Meta(max_length=64)] = ""
    min_gpus: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 1
    coverage: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5


class Fact(msgspec.Struct, frozen=True):
    """One thing that is so, or is over.

    Attributes:
        about: What it is about; the same word as long as it lasts.
        text: In a sentence.
        cluster: Where.
        project: Of which project, or which account the job is charged to.
        user: Whose job it is; ``""``: it is no job.
        since: Unix seconds since when it is so.
        numbers: What it was measured by: ``gpus``, ``busy``, ``lasting_s``, ``coverage``, ``slurm_job_id`` of a job;
            ``used_h``, ``of_h``, ``share``, ``exhausted_at`` of a budget.
    """

    about: str
    text: str
    cluster: str
    project: str
    user: str
    since: int
    numbers: dict[str, float | int]


class News(msgspec.Struct, frozen=True):
    """What a mail or a POST of an alert says.

    Attributes:
        alert: Its name.
        kind: What it watches.
        at: Unix seconds at which it was found.
        begun: What has become true.
        over: What is over, as it was.
    """

    alert: str
    kind: AlertKind
    at: int
    begun: tuple[Fact, ...]
    over: tuple[Fact, ...]


class Alert(msgspec.Struct, frozen=True):
    """An alert.

    Attributes:
        user: Whose: it tells of what they may see.
        asked: As it was asked for.
        state: Whether it goes on.
        created_at: Unix seconds.
        sent_at: Unix seconds at which something was sent last; None: nothing was.
        last_error: Why the last sending failed; ``""``: it did not.
        detail: Why it has stopped, or ``""``.
    """

    user: str
    asked: AlertRequest
    state: SubscriptionState
    created_at: float
    sent_at: float | None
    last_error: str
    detail: str


class AlertMade(msgspec.Struct, frozen=True):
    """An alert that was made.

    Attributes:
        alert: As it is.
        secret: What its POSTs are signed with; it is not shown again.
    """

    alert: Alert
    secret: str


class AlertShown(msgspec.Struct, frozen=True):
    """An alert, what is so now, and what was sent.

    Attributes:
        alert: As it is.
        told: What is so and has been told, as it was then.
        letters: The last sendings, one a recipient, the newest first.
    """

    alert: Alert
    told: list[Fact]
    letters: list[Letter]

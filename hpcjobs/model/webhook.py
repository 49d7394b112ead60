"""An address that is told of events, and what came of telling it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Fate, State


class WebhookState(StrEnum):
    """Whether events are delivered."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"  # by its owner, or after a day without a delivery; what happens meanwhile waits


class WebhookFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which events: every field that is given must hold. The same as the filters of ``/v1/events``.

    Attributes:
        kinds: Of one of these kinds; empty: of any.
        cluster: Of this cluster.
        job_id: Of this job; of an array, its tasks' too.
        user: Of jobs of this user.
        account: Of jobs of this account.
        states: Of jobs that came into one of these states; empty: into any.
        fates: Of jobs that ended in one of these ways; empty: in any.
    """

    kinds: tuple[EventKind, ...] = ()
    cluster: str | None = None
    job_id: str | None = None
    user: str | None = None
    account: str | None = None
    states: tuple[State, ...] = ()
    fates: tuple[Fate, ...] = ()


class Webhook(msgspec.Struct, frozen=True):
    """An address that is told of events.

    Attributes:
        id: 32 hexadecimal digits.
        user: Whose; it is told of what they may see.
        url: Where each event is POSTed to.
        filters: Which events.
        state: See WebhookState.
        cursor: Every event up to this ``seq`` has been delivered, or is not wanted.
        created_at: Unix seconds.
        changed_at: Unix seconds of the last change of state.
        detail: Why it is paused, why the last delivery failed, or ``""``.
        attempts: How often delivering the next event has failed.
        failing_since: Unix seconds of the first of these.
        next_at: Unix seconds of the next.
    """

    id: str
    user: str
    url: str
    filters: WebhookFilter
    state: WebhookState
    cursor: int
    created_at: float
    changed_at: float
    detail: str = ""
    attempts: int = 0
    failing_since: float | None = None
    next_at: float | None = None


class Delivery(msgspec.Struct, frozen=True):
    """One try to deliver one event.

    Attributes:
        message_id: The header ``webhook-id``: the same for every try of the same event.
        seq: Of the event; 0 for a test.
        at: Unix seconds.
        attempt: 1 for the first try.
        delivered: Whether the receiver took it (2xx).
        status: HTTP status; None: no answer.
        detail: Why it was not delivered, or ``""``.
        took_s: Seconds until the answer.
    """

    message_id: str
    seq: int
    at: float
    attempt: int
    delivered: bool
    status: int | None
    detail: str
    took_s: float


class WebhookRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook to make.

    Attributes:
        url: Where each event is POSTed to; https, unless the settings allow the host http.
        filters: Which events; all that one sees where it is left out.
    """

    url: str
    filters: WebhookFilter = WebhookFilter()


class WebhookMade(msgspec.Struct, frozen=True):
    """A webhook that was made.

    Attributes:
        webhook: As it is.
        secret: What its requests are signed with. It is not shown again.
    """

    webhook: Webhook
    secret: str


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change of a webhook.

    Attributes:
        state: PAUSED: it is told nothing until it is ACTIVE again.
    """

    state: WebhookState


class WebhookPage(msgspec.Struct, frozen=True):
    """Webhooks, oldest first.

    Attributes:
        items: The webhooks.
        next_cursor: Ask for the next page with it; None: this was the last.
    """

    items: list[Webhook]
    next_cursor: str | None

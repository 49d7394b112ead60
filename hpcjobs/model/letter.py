"""What goes out by mail or to a URL by itself: who wants what (subscriptions), and each sending of it (letters)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class SubscriptionKind(StrEnum):
    """What is wanted."""

    REPORT = "report"
    ALERT = "alert"


class SubscriptionState(StrEnum):
    """Whether it goes on."""

    ACTIVE = "ACTIVE"
    STOPPED = "STOPPED"  # its owner is gone; ``detail`` says so


class Subscription(msgspec.Struct, frozen=True):
    """A report that is sent by the clock, or an alert.

    Attributes:
        id: 32 hexadecimal digits.
        kind: See SubscriptionKind.
        user: Whose; it holds what they may see at the moment of sending.
        name: Unique among those of the user and kind.
        document: What was asked for, as JSON.
        secret: What POSTs are signed with, sealed with the service's key.
        state: See SubscriptionState.
        created_at: Unix seconds.
        detail: Why it stopped, or ``""``.
        next_at: Of a report: Unix seconds at which it is due next; None: never again.
        sent_at: Unix seconds at which something of it was sent last.
        last_error: Why the last sending failed, or ``""``.
    """

    id: str
    kind: SubscriptionKind
    user: str
    name: str
    document: str
    secret: str
    state: SubscriptionState
    created_at: float
    detail: str = ""
    next_at: int | None = None
    sent_at: float | None = None
    last_error: str = ""


class LetterState(StrEnum):
    """What became of a letter."""

    WAITING = "WAITING"
    SENT = "SENT"
    GIVEN_UP = "GIVEN_UP"


class Letter(msgspec.Struct, frozen=True):
    """One sending to one recipient. There is never a second of the same subscription, moment, matter and recipient.

    Attributes:
        id: 32 hexadecimal digits; the mail's Message-ID and the POST's webhook-id are made of it.
        subscription: Id of its subscription.
        due_at: The moment that it is of, Unix seconds.
        about: What it is about, where there may be several at a moment; ``""`` for what the clock says.
        recipient: A mail address or a URL.
        said: What it has to say: of a report a sentence or ``""``, of an alert its news as JSON.
        state: See LetterState.
        attempts: How often it was tried; counted before each try.
        next_at: Unix seconds before which it is not tried (again).
        failing_since: Unix seconds of the first failure.
        detail: Why the last try failed, or ``""``.
    """

    id: str
    subscription: str
    due_at: int
    about: str
    recipient: str
    said: str = ""
    state: LetterState = LetterState.WAITING
    attempts: int = 0
    next_at: float = 0.0
    failing_since: float | None = None
    detail: str = ""

"""Subscriptions and letters: who wants what sent, what is due, what came of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Row,
    String,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from hpcjobs.errors import Conflict
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.letter import Letter, LetterState, Subscription, SubscriptionKind, SubscriptionState
from hpcjobs.store import events

AT_ONCE: Final = 64
"""Letters that are looked at together."""


class SubscriptionRow(SQLModel, table=True):
    """One subscription; see Subscription."""

    __tablename__ = "subscriptions"
    __table_args__ = (UniqueConstraint("kind", "user", "name", name="subscriptions_name"),)

    id: str = Field(primary_key=True, max_length=32)
    kind: str = Field(max_length=16)
    user: str = Field(max_length=64)
    name: str = Field(max_length=64)
    document: str = Field(sa_type=Text)
    secret: str = Field(sa_type=Text)
    state: str = Field(max_length=16)
    created_at: float
    detail: str = Field(sa_type=Text)
    next_at: int | None = Field(default=None, sa_type=BigInteger)
    sent_at: float | None = None
    last_error: str = Field(sa_type=Text)


class LetterRow(SQLModel, table=True):
    """One letter; see Letter."""

    __tablename__ = "letters"
    __table_args__ = (
        UniqueConstraint("subscription", "due_at", "about", "recipient", name="letters_once"),
        Index("letters_waiting", "state", "next_at"),
    )

    id: str = Field(primary_key=True, max_length=32)
    subscription: str = Field(
        sa_column=Column(
            String(32), ForeignKey("subscriptions.id", name="letters_subscription_fkey", ondelete="CASCADE"),
            nullable=False,
        )
    )  # fmt: skip
    due_at: int = Field(sa_type=BigInteger)
    about: str = Field(max_length=200)
    recipient: str = Field(sa_type=Text)
    said: str = Field(sa_type=Text)
    state: str = Field(max_length=16)
    attempts: int
    next_at: float
    failing_since: float | None = None
    detail: str = Field(sa_type=Text)


SUBSCRIPTIONS: Final = SQLModel.metadata.tables["subscriptions"]
LETTERS: Final = SQLModel.metadata.tables["letters"]
STATES: Final = {SubscriptionKind.REPORT: EventKind.REPORT_STATE, SubscriptionKind.ALERT: EventKind.ALERT_STATE}


def _subscription(row: Row[Any]) -> Subscription:
    return msgspec.convert({name: getattr(row, name) for name in Subscription.__struct_fields__}, Subscription)


def _letter(row: Row[Any]) -> Letter:
    return msgspec.convert({name: getattr(row, name) for name in Letter.__struct_fields__}, Letter)


def tell(connection: Connection, of: Subscription, now: float, **data: str | int) -> None:
    """An event about a subscription, for its owner."""
    told: dict[str, str | int | float | bool | None] = {of.kind.value: of.name, **data}
    events.write(connection, [Event(0, now, STATES[of.kind], "", user=of.user, data=told)])


def add(connection: Connection, wanted: Subscription, most: int) -> None:
    """Begin a subscription.

    Args:
        connection: The database.
        wanted: It.
        most: How many of its kind its user may have.

    Raises:
        Conflict: There is one of this name, or there are so many.
    """
    here = (SUBSCRIPTIONS.c.kind == wanted.kind.value) & (SUBSCRIPTIONS.c.user == wanted.user)
    names = [row.name for row in connection.execute(select(SUBSCRIPTIONS.c.name).where(here))]
    if wanted.name in names:
        raise Conflict(f"{wanted.user} has a {wanted.kind.value} {wanted.name!r} already; remove it first.")
    if len(names) >= most:
        raise Conflict(f"{wanted.user} has {most} already; remove one.")
    connection.execute(insert(SUBSCRIPTIONS), [msgspec.to_builtins(wanted)])


def every(connection: Connection, kind: SubscriptionKind, user: str | None) -> list[Subscription]:
    """Subscriptions of a kind by user and name; None: everybody's."""
    where = [SUBSCRIPTIONS.c.kind == kind.value] + ([] if user is None else [SUBSCRIPTIONS.c.user == user])
    order = (SUBSCRIPTIONS.c.user, SUBSCRIPTIONS.c.name)
    return [_subscription(row) for row in connection.execute(select(SUBSCRIPTIONS).where(*where).order_by(*order))]


def find(connection: Connection, kind: SubscriptionKind, user: str, name: str) -> Subscription | None:
    """One of them, or None."""
    here = (SUBSCRIPTIONS.c.kind == kind.value, SUBSCRIPTIONS.c.user == user, SUBSCRIPTIONS.c.name == name)
    row = connection.execute(select(SUBSCRIPTIONS).where(*here)).first()
    return None if row is None else _subscription(row)


def remove(connection: Connection, subscription: str) -> None:
    """Forget a subscription with all that hangs on it: letters, sent or not, and what an alert watches."""
    connection.execute(delete(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == subscription))


def active(connection: Connection, kind: SubscriptionKind) -> list[Subscription]:
    """Those that go on."""
    here = (SUBSCRIPTIONS.c.kind == kind.value, SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value)
    return [_subscription(row) for row in connection.execute(select(SUBSCRIPTIONS).where(*here))]


def due(connection: Connection, now: float) -> list[Subscription]:
    """Reports whose moment has come."""
    here = (SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value, SUBSCRIPTIONS.c.next_at <= now)
    return [_subscription(row) for row in connection.execute(select(SUBSCRIPTIONS).where(*here))]


def put(connection: Connection, letters: Collection[Letter]) -> None:
    """Keep letters that are to be sent; those that are there already stay as they are."""
    for letter in letters:
        same = (LETTERS.c.subscription == letter.subscription, LETTERS.c.due_at == letter.due_at,
                LETTERS.c.about == letter.about, LETTERS.c.recipient == letter.recipient)  # fmt: skip
        if connection.execute(select(LETTERS.c.id).where(*same)).first() is None:
            connection.execute(insert(LETTERS), [msgspec.to_builtins(letter)])


def advance(connection: Connection, of: Subscription, next_at: int | None, letters: Collection[Letter]) -> bool:
    """A report's moment has come: its letters are kept and it waits for its next moment, both or neither.

    Returns:
        False: Somebody else has done it, or it goes on no longer; nothing was changed.
    """
    here = (SUBSCRIPTIONS.c.id == of.id, SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value,
            SUBSCRIPTIONS.c.next_at == of.next_at)  # fmt: skip
    if not connection.execute(update(SUBSCRIPTIONS).where(*here).values(next_at=next_at)).rowcount:
        return False
    put(connection, letters)
    return True


def stop(connection: Connection, of: Subscription, why: str, now: float) -> None:
    """A subscription goes on no longer, nor do its letters; its owner is told."""
    here = (SUBSCRIPTIONS.c.id == of.id, SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value)
    stopped = {"state": SubscriptionState.STOPPED.value, "detail": why}
    if connection.execute(update(SUBSCRIPTIONS).where(*here).values(**stopped)).rowcount:
        waiting = (LETTERS.c.subscription == of.id, LETTERS.c.state == LetterState.WAITING.value)
        connection.execute(update(LETTERS).where(*waiting).values(state=LetterState.GIVEN_UP.value, detail=why))
        tell(connection, of, now, state=SubscriptionState.STOPPED.value, detail=why)


def waiting(connection: Connection, now: float) -> list[tuple[Letter, Subscription]]:
    """Letters that may be tried, those first that have waited the longest, and whose they are; AT_ONCE at most."""
    here = (LETTERS.c.state == LetterState.WAITING.value, LETTERS.c.next_at <= now)
    found = [_letter(row) for row in connection.execute(
        select(LETTERS).where(*here).order_by(LETTERS.c.next_at, LETTERS.c.id).limit(AT_ONCE)
    )]  # fmt: skip
    of = {letter.subscription for letter in found}
    rows = connection.execute(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id.in_(of)))
    known = {row.id: _subscription(row) for row in rows}
    return [(letter, known[letter.subscription]) for letter in found if letter.subscription in known]


def claim(connection: Connection, letter: Letter, next_at: float) -> bool:
    """Count a try before it is made: who dies in it leaves a letter that is tried again.

    Args:
        connection: The database.
        letter: As it was read.
        next_at: Unix seconds before which nobody else tries it.

    Returns:
        False: Somebody else has it, or it is gone.
    """
    here = (LETTERS.c.id == letter.id, LETTERS.c.attempts == letter.attempts,
            LETTERS.c.state == LetterState.WAITING.value)  # fmt: skip
    values = {"attempts": letter.attempts + 1, "next_at": next_at}
    return bool(connection.execute(update(LETTERS).where(*here).values(**values)).rowcount)


def sent(connection: Connection, letter: Letter, now: float) -> None:
    """It went out; the subscription's last error is over unless another recipient's letter still has one."""
    done = {"state": LetterState.SENT.value, "detail": ""}
    connection.execute(update(LETTERS).where(LETTERS.c.id == letter.id).values(**done))
    wrong = (LETTERS.c.subscription == letter.subscription, LETTERS.c.detail != "", LETTERS.c.due_at >= letter.due_at)
    values: dict[str, object] = {"sent_at": now}
    if connection.execute(select(LETTERS.c.id).where(*wrong).limit(1)).first() is None:
        values["last_error"] = ""
    connection.execute(update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == letter.subscription).values(**values))


def failed(
    connection: Connection, letter: Letter, of: Subscription, why: str, next_at: float | None, now: float
) -> None:
    """It did not go out.

    Args:
        connection: The database.
        letter: As it was read before the try.
        of: Whose it is.
        why: For its owner.
        next_at: Unix seconds of the next try; None: it is given up, and its owner told.
        now: Unix seconds.
    """
    here = (LETTERS.c.id == letter.id, LETTERS.c.state == LetterState.WAITING.value)
    state = LetterState.WAITING if next_at is not None else LetterState.GIVEN_UP
    since = now if letter.failing_since is None else letter.failing_since
    values = {"state": state.value, "detail": why, "failing_since": since, "next_at": next_at or letter.next_at}
    if connection.execute(update(LETTERS).where(*here).values(**values)).rowcount:
        error = f"{letter.recipient}: {why}"
        connection.execute(update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == of.id).values(last_error=error))
        if next_at is None:
            tell(connection, of, now, state=state.value, due_at=letter.due_at, recipient=letter.recipient, detail=why)


def letters(connection: Connection, subscription: str, limit: int) -> list[Letter]:
    """The last letters of a subscription, the newest first."""
    here = select(LETTERS).where(LETTERS.c.subscription == subscription)
    return [_letter(row) for row in connection.execute(here.order_by(LETTERS.c.id.desc()).limit(limit))]


def count_waiting(connection: Connection) -> int:
    """How many letters are to be sent."""
    here = LETTERS.c.state == LetterState.WAITING.value
    return connection.execute(select(func.count()).select_from(LETTERS).where(here)).scalar() or 0


def forget(connection: Connection, before: float) -> None:
    """Forget letters that nothing more comes of and whose moment was before."""
    done = (LETTERS.c.state != LetterState.WAITING.value, LETTERS.c.due_at < before)
    connection.execute(delete(LETTERS).where(*done))

"""Webhooks and their deliveries: what is told to whom, how far it has come, what came of the last tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.webhook import Delivery, Webhook, WebhookFilter, WebhookState
from hpcjobs.store import events

KEEP: Final = 100
"""Deliveries of each webhook that are kept."""


class WebhookRow(SQLModel, table=True):
    """One webhook; see Webhook. ``secret`` is sealed with the service's key."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("webhooks_user", "user", "id"),)

    id: str = Field(primary_key=True, max_length=32)
    user: str = Field(max_length=64)
    url: str = Field(sa_type=Text)
    secret: str = Field(sa_type=Text)
    filters: str = Field(sa_type=Text)
    state: str = Field(max_length=16)
    cursor: int = Field(sa_type=BigInteger)
    created_at: float
    changed_at: float
    detail: str = Field(sa_type=Text)
    attempts: int
    failing_since: float | None = None
    next_at: float | None = None


class DeliveryRow(SQLModel, table=True):
    """One try; see Delivery."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_webhook", "webhook_id", "id"),)

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    webhook_id: str = Field(
        sa_column=Column(
            String(32), ForeignKey("webhooks.id", name="deliveries_webhook_fkey", ondelete="CASCADE"), nullable=False
        )
    )
    message_id: str = Field(max_length=128)
    seq: int = Field(sa_type=BigInteger)
    at: float
    attempt: int
    delivered: bool
    status: int | None = None
    detail: str = Field(sa_type=Text)
    took_s: float


WEBHOOKS: Final = SQLModel.metadata.tables["webhooks"]
DELIVERIES: Final = SQLModel.metadata.tables["deliveries"]
SHOWN: Final = [WEBHOOKS.c[name] for name in Webhook.__struct_fields__]
TRIED: Final = [DELIVERIES.c[name] for name in Delivery.__struct_fields__]


class Kept(msgspec.Struct, frozen=True):
    """A webhook and its sealed secret."""

    webhook: Webhook
    secret: str


def _webhook(row: Row[Any]) -> Webhook:
    told = {name: getattr(row, name) for name in Webhook.__struct_fields__}
    filters = msgspec.json.decode(row.filters, type=WebhookFilter)
    return Webhook(**told | {"filters": filters, "state": WebhookState(row.state)})


def add(connection: Connection, webhook: Webhook, secret: str, most: int) -> Webhook | None:
    """Begin to tell an address of what happens from now on.

    Args:
        connection: The database.
        webhook: Its cursor is set here.
        secret: Sealed.
        most: How many webhooks its user may have.

    Returns:
        None: The user has as many already.
    """
    owned = select(func.count()).select_from(WEBHOOKS).where(WEBHOOKS.c.user == webhook.user)
    if (connection.execute(owned).scalar() or 0) >= most:
        return None
    made = msgspec.structs.replace(webhook, cursor=events.last_seq(connection))
    filters = msgspec.json.encode(made.filters).decode()
    columns = {name: getattr(made, name) for name in Webhook.__struct_fields__}
    connection.execute(insert(WEBHOOKS), columns | {"filters": filters, "state": made.state.value, "secret": secret})
    return made


def page(connection: Connection, user: str | None, after: str | None, limit: int) -> list[Webhook]:
    """Webhooks, oldest first.

    Args:
        connection: The database.
        user: Whose; None: everybody's.
        after: Only those younger than the one with this id.
        limit: Most webhooks.
    """
    clauses = ([] if user is None else [WEBHOOKS.c.user == user]) + ([] if after is None else [WEBHOOKS.c.id > after])
    return [
        _webhook(row) for row in connection.execute(select(*SHOWN).where(*clauses).order_by(WEBHOOKS.c.id).limit(limit))
    ]


def by_id(connection: Connection, webhook_id: str) -> Kept | None:
    """One webhook."""
    row = connection.execute(select(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id)).first()
    return Kept(_webhook(row), row.secret) if row else None


def active(connection: Connection) -> list[Kept]:
    """Every webhook that is to be told."""
    rows = connection.execute(select(WEBHOOKS).where(WEBHOOKS.c.state == WebhookState.ACTIVE.value))
    return [Kept(_webhook(row), row.secret) for row in rows]


def tell(connection: Connection, webhook: Webhook, now: float, **data: str | int) -> None:
    """An event about a webhook, for its owner."""
    event = Event(0, now, EventKind.WEBHOOK_STATE, "", user=webhook.user, data={"webhook": webhook.id, **data})
    events.write(connection, [event])


def set_state(connection: Connection, webhook_id: str, state: WebhookState, detail: str, now: float) -> Webhook | None:
    """Pause or resume; a failure that went on is forgotten. None: there is no such webhook."""
    values = {
        "state": state.value,
        "detail": detail,
        "changed_at": now,
        "attempts": 0,
        "failing_since": None,
        "next_at": None,
    }
    if not connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id).values(values)).rowcount:
        return None
    row = connection.execute(select(*SHOWN).where(WEBHOOKS.c.id == webhook_id)).one()
    webhook = _webhook(row)
    tell(connection, webhook, now, webhook_state=state.value, detail=detail)
    return webhook


def remove(connection: Connection, webhook_id: str, detail: str, now: float) -> bool:
    """Forget a webhook and its deliveries.

    Returns:
        Whether there was one.
    """
    row = connection.execute(select(*SHOWN).where(WEBHOOKS.c.id == webhook_id)).first()
    if row is None:
        return False
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.webhook_id == webhook_id))
    connection.execute(delete(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id))
    tell(connection, _webhook(row), now, webhook_state="DELETED", detail=detail)
    return True


def note(
    connection: Connection, webhook_id: str, delivery: Delivery, since: float | None, next_at: float | None
) -> bool:
    """Write down a try: the cursor moves on where it was delivered.

    Args:
        connection: The database.
        webhook_id: Whose.
        delivery: What came of it.
        since: Unix seconds of the first failure in a row; None after a success.
        next_at: Unix seconds of the next try; None after a success.

    Returns:
        Whether the webhook is still there.
    """
    values: dict[str, Any] = {"failing_since": since, "next_at": next_at, "detail": delivery.detail}
    values["attempts"] = 0 if delivery.delivered else delivery.attempt
    if delivery.delivered:
        values["cursor"] = delivery.seq
    if not connection.execute(update(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id).values(values)).rowcount:
        return False
    connection.execute(insert(DELIVERIES), {"webhook_id": webhook_id, **msgspec.structs.asdict(delivery)})
    mine = select(DELIVERIES.c.id).where(DELIVERIES.c.webhook_id == webhook_id).order_by(DELIVERIES.c.id.desc())
    last = connection.execute(mine.offset(KEEP).limit(1)).scalar()
    if last is not None:
        connection.execute(delete(DELIVERIES).where(DELIVERIES.c.webhook_id == webhook_id, DELIVERIES.c.id <= last))
    return True


def deliveries(connection: Connection, webhook_id: str) -> list[Delivery]:
    """The last tries, newest first."""
    rows = connection.execute(
        select(*TRIED).where(DELIVERIES.c.webhook_id == webhook_id).order_by(DELIVERIES.c.id.desc()).limit(KEEP)
    )
    return [Delivery(**row._mapping) for row in rows]  # noqa: SLF001  SQLAlchemy's public name for it


def advance(connection: Connection, places: Mapping[str, int]) -> None:
    """Move cursors over what is not wanted; none moves back."""
    for webhook_id, seq in places.items():
        mine = (WEBHOOKS.c.id == webhook_id) & (WEBHOOKS.c.cursor < seq)
        connection.execute(update(WEBHOOKS).where(mine).values(cursor=seq))


def slowest(connection: Connection) -> int | None:
    """The cursor that is furthest back; None: there is no webhook."""
    found = connection.execute(select(func.min(WEBHOOKS.c.cursor))).scalar()
    return None if found is None else int(found)

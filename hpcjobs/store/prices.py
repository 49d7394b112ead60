"""Prices: entered and ended, and nothing of them is ever changed (the database refuses it: migration 0010)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Connection, Index, Table, Text, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel

from hpcjobs.errors import Conflict, NotFound, Refusal, Refused
from hpcjobs.model.price import Price, overlapping


class PriceRow(SQLModel, table=True):
    """One price as it was entered; see Price."""

    __tablename__ = "prices"

    # Given by us, one after the other: of two processes that enter at once, one loses.
    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    resource: str = Field(max_length=72)
    amount: str = Field(max_length=16)
    currency: str = Field(max_length=3)
    since: int = Field(sa_type=BigInteger)
    until: int | None = Field(default=None, sa_type=BigInteger)
    cluster: str = Field(max_length=64)
    project: str = Field(max_length=64)
    partition: str = Field(max_length=64)
    qos: str = Field(max_length=64)
    entered_by: str = Field(sa_type=Text)
    entered_at: float


class PriceEndRow(SQLModel, table=True):
    """One time that a price was ended; of several the last counts, which is the earliest end."""

    __tablename__ = "price_ends"
    __table_args__ = (Index("price_ends_price", "price"),)

    id: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    price: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    ended_by: str = Field(sa_type=Text)
    ended_at: float


PRICES: Final = SQLModel.metadata.tables["prices"]
ENDS: Final = SQLModel.metadata.tables["price_ends"]
OVERTAKEN: Final = "Somebody else entered a price at the same moment; look, and try again."


def prices(connection: Connection) -> tuple[Price, ...]:
    """All prices, by resource, the oldest first."""
    rows = connection.execute(select(PRICES).order_by(PRICES.c.resource, PRICES.c.since, PRICES.c.id)).mappings()
    ends = {row["price"]: dict(row) for row in connection.execute(select(ENDS).order_by(ENDS.c.id)).mappings()}
    found = (Price(**row) for row in rows)
    return tuple(_ended(price, ends[price.id]) if price.id in ends else price for price in found)


def _ended(price: Price, end: Mapping[str, Any]) -> Price:
    told = {name: end[name] for name in ("until", "ended_by", "ended_at")}
    return msgspec.structs.replace(price, **told)


def _next(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()) + 1


def add(connection: Connection, price: Price) -> Price:
    """Enter a price.

    Args:
        connection: The database, in a transaction.
        price: Of any number.

    Returns:
        The price with its number.

    Raises:
        Refused: There is one of the same for a part of that time.
        Conflict: Another process entered one at the same moment.
    """
    if (other := overlapping(price, prices(connection))) is not None:
        text = f"Price {other.id} ({other.amount} {other.currency}) holds at a time of this one; end it before."
        raise Refused([Refusal("since", text, "price-overlap")])
    entered = msgspec.structs.replace(price, id=_next(connection, PRICES))
    row = {column.name: getattr(entered, column.name) for column in PRICES.columns}
    try:
        connection.execute(insert(PRICES), [row])
    except IntegrityError as error:
        raise Conflict(OVERTAKEN) from error
    return entered


def end(connection: Connection, number: int, until: int, by: str, at: float) -> Price:
    """End a price.

    Args:
        connection: The database, in a transaction.
        number: Which.
        until: Unix seconds before which it still holds.
        by: Who ends it.
        at: Unix seconds of now.

    Returns:
        The price as it is then; where it ends then already, as it is.

    Raises:
        NotFound: There is none of this number.
        Refused: It begins later, or ends before.
        Conflict: Another process ended one at the same moment.
    """
    price = next((one for one in prices(connection) if one.id == number), None)
    if price is None:
        raise NotFound(f"There is no price {number}.")
    if price.until == until:
        return price
    if until < price.since:
        raise Refused([Refusal("until", "A price does not end before it begins.", "price-end")])
    if price.until is not None and until > price.until:
        raise Refused([Refusal("until", "It ends sooner already; enter another from there on.", "price-end")])
    row = {"id": _next(connection, ENDS), "price": number, "until": until, "ended_by": by, "ended_at": at}
    try:
        connection.execute(insert(ENDS), [row])
    except IntegrityError as error:
        raise Conflict(OVERTAKEN) from error
    return _ended(price, row)

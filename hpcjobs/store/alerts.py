"""What alerts watch: what is so, and whether it has been told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    String,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlmodel import Field, SQLModel

from hpcjobs.model.alert import AlertRequest, Fact, News
from hpcjobs.model.letter import Letter, Subscription
from hpcjobs.store import letters
from hpcjobs.store.store import new_id


class WatchedRow(SQLModel, table=True):
    """One thing that is so; ``fact`` is its Fact as JSON."""

    __tablename__ = "watched"

    subscription: str = Field(
        sa_column=Column(
            String(32),
            ForeignKey("subscriptions.id", name="watched_subscription_fkey", ondelete="CASCADE"),
            primary_key=True,
        )
    )
    about: str = Field(primary_key=True, max_length=200)
    told: bool
    fact: str = Field(sa_type=Text)


WATCHED: Final = SQLModel.metadata.tables["watched"]


def watched(connection: Connection, subscription: str) -> list[tuple[Fact, bool]]:
    """What an alert knows to be so, and whether that has been told."""
    rows = connection.execute(
        select(WATCHED.c.fact, WATCHED.c.told).where(WATCHED.c.subscription == subscription).order_by(WATCHED.c.about)
    )
    return [(msgspec.json.decode(row.fact, type=Fact), row.told) for row in rows]


def turned(
    connection: Connection,
    of: Subscription,
    new: Collection[Fact],
    begun: Sequence[Fact],
    over: Sequence[Fact],
    forgotten: Collection[str],
    now: float,
) -> None:
    """Keep what has changed, with the letters and events of what is told: all or nothing.

    What somebody else has told meanwhile is not told again.

    Args:
        connection: The database.
        of: The alert.
        new: What is so and is not told yet.
        begun: What is told to be so.
        over: What is told to be over.
        forgotten: What was so and was never told.
        now: Unix seconds.
    """
    for about in forgotten:
        connection.execute(delete(WATCHED).where(_here(of, about), WATCHED.c.told.is_(False)))
    for fact in new:
        _begin(connection, of, fact, told=False)
    told = [fact for fact in begun if _begin(connection, of, fact, told=True)]
    ended = [fact for fact in over if _end(connection, of, fact.about)]
    for fact, state in [*((fact, "begun") for fact in told), *((fact, "over") for fact in ended)]:
        letters.tell(connection, of, now, state=state, about=fact.about, text=fact.text)
    if told or ended:
        asked = msgspec.json.decode(of.document, type=AlertRequest)
        news = News(of.name, asked.kind, int(now), tuple(told), tuple(ended))
        said = msgspec.json.encode(news).decode()
        letters.put(connection, [Letter(new_id(), of.id, int(now), _matter(news), to, said) for to in asked.to])


def _here(of: Subscription, about: str) -> ColumnElement[bool]:
    return and_(WATCHED.c.subscription == of.id, WATCHED.c.about == about)


def _begin(connection: Connection, of: Subscription, fact: Fact, *, told: bool) -> bool:
    """Keep something that is so.

    Returns:
        False: It was kept already, and told if it is to be.
    """
    kept = connection.execute(select(WATCHED.c.told).where(_here(of, fact.about))).first()
    values = {"told": told, "fact": msgspec.json.encode(fact).decode()}
    if kept is None:
        connection.execute(insert(WATCHED), [{"subscription": of.id, "about": fact.about, **values}])
        return True
    untold = update(WATCHED).where(_here(of, fact.about), WATCHED.c.told.is_(False))
    return told and bool(connection.execute(untold.values(**values)).rowcount)


def _end(connection: Connection, of: Subscription, about: str) -> bool:
    """Forget something that was told. False: somebody else has."""
    return bool(connection.execute(delete(WATCHED).where(_here(of, about), WATCHED.c.told.is_(True))).rowcount)


def _matter(news: News) -> str:
    """What a letter is about: nothing else of the same moment begins or ends with it."""
    first = (*news.begun, *news.over)[0]
    return f"{'begun' if news.begun else 'over'} {first.about}"[:200]

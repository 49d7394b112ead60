"""What policies have changed in Slurm: written before it is sent, so that it can be taken back whatever is killed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Text, delete, insert, select
from sqlmodel import Field, SQLModel

from hpcjobs.model.event import Event
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.store import events


class SteeredRow(SQLModel, table=True):
    """One value; see Steered. ``base``, ``value`` and ``was``, a list, are JSON."""

    __tablename__ = "steered"

    cluster: str = Field(primary_key=True, max_length=64)
    kind: str = Field(primary_key=True, max_length=16)
    subject: str = Field(primary_key=True, max_length=255)
    field: str = Field(primary_key=True, max_length=32)
    base: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)
    was: str = Field(sa_type=Text)
    at: float


STEERED: Final = SQLModel.metadata.tables["steered"]


def rows(connection: Connection, cluster: str) -> dict[Key, Steered]:
    """Everything that is changed on a cluster."""
    found: dict[Key, Steered] = {}
    for row in connection.execute(select(STEERED).where(STEERED.c.cluster == cluster)):
        key = Key(row.kind, row.subject, row.field)
        found[key] = Steered(key, _value(row.base), _value(row.value), _values(row.was), row.at)
    return found


def _value(text: str) -> Value:
    value: Value = msgspec.json.decode(text, type=Value)
    return value


def _values(text: str) -> tuple[Value, ...]:
    values: tuple[Value, ...] = msgspec.json.decode(text, type=tuple[Value, ...])
    return values


def write(
    connection: Connection, cluster: str, written: Sequence[Steered], dropped: Sequence[Key], told: Sequence[Event] = ()
) -> None:
    """Write values, forget others, and tell of it, together.

    Args:
        connection: The database.
        cluster: Which.
        written: In place of those with their keys.
        dropped: Forgotten.
        told: Events.
    """
    for kind, subject, field in [*(row.key for row in written), *dropped]:
        connection.execute(
            delete(STEERED).where(
                STEERED.c.cluster == cluster,
                STEERED.c.kind == kind,
                STEERED.c.subject == subject,
                STEERED.c.field == field,
            )
        )
    if written:
        connection.execute(
            insert(STEERED),
            [
                {
                    "cluster": cluster,
                    **row.key._asdict(),
                    **{name: msgspec.json.encode(getattr(row, name)).decode() for name in ("base", "value", "was")},
                    "at": row.at,
                }
                for row in written
            ],
        )
    if told:
        events.write(connection, told)

"""Users' credentials for registries: whose, what for, and their secrets, sealed."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Text, and_, delete, func, insert, select, update
from sqlmodel import Field, SQLModel

from hpcjobs.errors import Conflict
from hpcjobs.model.credential import RegistryCredential


class CredentialRow(SQLModel, table=True):
    """One credential; see RegistryCredential. ``user`` is its owner here, ``login`` its user at ``host``."""

    __tablename__ = "credentials"

    user: str = Field(primary_key=True, max_length=64)
    name: str = Field(primary_key=True, max_length=64)
    host: str = Field(max_length=255)
    login: str = Field(max_length=255)
    sealed: str = Field(sa_type=Text)
    created_at: float
    used_at: float | None = None


CREDENTIALS: Final = SQLModel.metadata.tables["credentials"]
SHOWN: Final = [CREDENTIALS.c[name] for name in ("name", "host", "login", "created_at", "used_at")]
"""As a RegistryCredential has them."""


class Kept(msgspec.Struct, frozen=True):
    """A credential and its sealed secret."""

    credential: RegistryCredential
    sealed: str


def _here(user: str, name: str) -> ColumnElement[bool]:
    return and_(CREDENTIALS.c.user == user, CREDENTIALS.c.name == name)


def put(connection: Connection, user: str, kept: Kept, most: int) -> None:
    """Keep a credential, in the place of the one that had its name.

    Args:
        connection: The database.
        user: Whose.
        kept: It.
        most: How many a user may have.

    Raises:
        Conflict: The user has as many others already.
    """
    told = kept.credential
    values = {
        "host": told.registry,
        "login": told.user,
        "sealed": kept.sealed,
        "created_at": told.created_at,
        "used_at": told.used_at,
    }
    if connection.execute(update(CREDENTIALS).where(_here(user, told.name)).values(values)).rowcount:
        return
    owned = select(func.count()).select_from(CREDENTIALS).where(CREDENTIALS.c.user == user)
    if (connection.execute(owned).scalar() or 0) >= most:
        raise Conflict(f"{user} has {most} credentials already; remove one.")
    connection.execute(insert(CREDENTIALS), [{"user": user, "name": told.name, **values}])


def every(connection: Connection, user: str) -> list[RegistryCredential]:
    """A user's credentials, by name."""
    rows = connection.execute(select(*SHOWN).where(CREDENTIALS.c.user == user).order_by(CREDENTIALS.c.name))
    return [RegistryCredential(*row) for row in rows]


def find(connection: Connection, user: str, name: str) -> Kept | None:
    """One by its name; None: the user has none of it."""
    row = connection.execute(select(CREDENTIALS.c.sealed, *SHOWN).where(_here(user, name))).first()
    return None if row is None else Kept(RegistryCredential(*row[1:]), row.sealed)


def used(connection: Connection, user: str, name: str, now: float) -> None:
    """Write down that a job asked for it.

    Args:
        connection: The database.
        user: Whose.
        name: Which.
        now: Unix seconds.
    """
    connection.execute(update(CREDENTIALS).where(_here(user, name)).values(used_at=now))


def remove(connection: Connection, user: str, name: str) -> bool:
    """Forget one.

    Returns:
        Whether there was one.
    """
    return bool(connection.execute(delete(CREDENTIALS).where(_here(user, name))).rowcount)

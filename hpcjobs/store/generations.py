"""Which plugins have been in use, and what their discoveries keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Column, Connection, LargeBinary, Row, Text, delete, func, insert, select
from sqlmodel import Field, SQLModel

from hpcjobs.model.event import Event
from hpcjobs.settings import PluginSettings
from hpcjobs.store import events


class GenerationRow(SQLModel, table=True):
    """One set of plugins; never changed after it is written.

    Attributes:
        number: Grows by one with each.
        since: Unix seconds.
        by: Who changed it; ``""``: the settings file, or new code that was there when the service started.
        baseline: What the settings file said at the time: a change of it counts again.
        plugins: PluginSettings as JSON, in order.
        code: Version and digest by name, as JSON.
    """

    __tablename__ = "generations"

    number: int = Field(primary_key=True)
    since: float
    by: str = Field(max_length=64)
    baseline: str = Field(sa_type=Text)
    plugins: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)


class PluginStateRow(SQLModel, table=True):
    """What the discovery of a plugin keeps of a cluster."""

    __tablename__ = "plugin_states"

    plugin: str = Field(primary_key=True, max_length=64)
    cluster: str = Field(primary_key=True, max_length=64)
    at: float
    state: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


GENERATIONS: Final = SQLModel.metadata.tables["generations"]
STATES: Final = SQLModel.metadata.tables["plugin_states"]


class Kept(msgspec.Struct, frozen=True):
    """A generation as it is kept; see GenerationRow."""

    number: int
    since: float
    by: str
    baseline: tuple[PluginSettings, ...]
    plugins: tuple[PluginSettings, ...]
    code: dict[str, tuple[str, str]]


def _kept(row: Row[tuple[object, ...]]) -> Kept:
    kind = tuple[PluginSettings, ...]
    baseline, plugins = (msgspec.json.decode(text, type=kind) for text in (row.baseline, row.plugins))
    code = msgspec.json.decode(row.code, type=dict[str, tuple[str, str]])
    return Kept(row.number, row.since, row.by, baseline, plugins, code)


def newest(connection: Connection) -> Kept | None:
    """The last generation, if there has been one."""
    row = connection.execute(select(GENERATIONS).order_by(GENERATIONS.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _kept(row)


def numbered(connection: Connection, number: int) -> Kept | None:
    """A generation, if there has been one of this number."""
    row = connection.execute(select(GENERATIONS).where(GENERATIONS.c.number == number)).one_or_none()
    return None if row is None else _kept(row)


def add(
    connection: Connection,
    now: float,
    by: str,
    baseline: tuple[PluginSettings, ...],
    plugins: tuple[PluginSettings, ...],
    code: dict[str, tuple[str, str]],
) -> Kept:
    """Write the next generation.

    Args:
        connection: The database.
        now: Unix seconds.
        by: Who changed it; ``""``: the settings file, or new code that was there when the service started.
        baseline: What the settings file says.
        plugins: What is in use from now on.
        code: Version and digest by name.
    """
    number = (connection.execute(select(func.max(GENERATIONS.c.number))).scalar() or 0) + 1
    row = {
        "number": number, "since": now, "by": by, "baseline": msgspec.json.encode(baseline).decode(),
        "plugins": msgspec.json.encode(plugins).decode(), "code": msgspec.json.encode(code).decode(),
    }  # fmt: skip
    connection.execute(insert(GENERATIONS), row)
    return Kept(number, now, by, baseline, plugins, code)


def states(connection: Connection, plugin: str) -> dict[str, tuple[float, bytes]]:
    """What a plugin's discoveries keep: when it was found, in Unix seconds, and the state, by cluster."""
    rows = connection.execute(select(STATES).where(STATES.c.plugin == plugin))
    return {row.cluster: (row.at, row.state) for row in rows}


def keep_found(
    connection: Connection, plugin: str, cluster: str, at: float, state: bytes, told: Sequence[Event]
) -> None:
    """Keep what a discovery found, in place of what the one before did, and tell what is new: both, or nothing.

    Args:
        connection: The database.
        plugin: Whose discovery.
        cluster: Of what.
        at: When it was found, in Unix seconds.
        state: All that it must know the next time.
        told: What is new since the last time.
    """
    connection.execute(delete(STATES).where(STATES.c.plugin == plugin, STATES.c.cluster == cluster))
    connection.execute(insert(STATES), {"plugin": plugin, "cluster": cluster, "at": at, "state": state})
    events.write(connection, told)

"""What files of projects used, each time that it was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger, Connection, Text, delete, func, insert, select
from sqlmodel import Field, SQLModel

from hpcjobs.model.storage import Measured

KEPT_S: Final = 14 * 86_400.0
"""So long before the last one a measurement is kept, in seconds: what is older says nothing of the rate of late."""


class StorageRow(SQLModel, table=True):
    """One measurement; see Measured."""

    __tablename__ = "storage_measured"

    cluster: str = Field(primary_key=True, max_length=64)
    project: str = Field(primary_key=True, max_length=64)
    at: float = Field(primary_key=True)
    used_bytes: int | None = Field(default=None, sa_type=BigInteger)
    why: str = Field(sa_type=Text)


MEASURED: Final = SQLModel.metadata.tables["storage_measured"]


def keep(connection: Connection, cluster: str, measured: Mapping[str, Measured]) -> None:
    """Write down what was measured of projects, and forget what is old."""
    for project, one in measured.items():
        old = (MEASURED.c.cluster == cluster) & (MEASURED.c.project == project) & (MEASURED.c.at < one.at - KEPT_S)
        connection.execute(delete(MEASURED).where(old))
    rows = [
        {"cluster": cluster, "project": project, "at": one.at, "used_bytes": one.used_bytes, "why": one.why}
        for project, one in measured.items()
    ]
    if rows:
        connection.execute(insert(MEASURED), rows)


def tried(connection: Connection, cluster: str) -> dict[str, float]:
    """Of each project when it was last tried to measure, in Unix seconds."""
    last = select(MEASURED.c.project, func.max(MEASURED.c.at).label("last")).where(MEASURED.c.cluster == cluster)
    return {row.project: row.last for row in connection.execute(last.group_by(MEASURED.c.project))}


def measured(connection: Connection, cluster: str) -> dict[str, list[Measured]]:
    """What was measured of each project first and last, and the last failure: all that says how it stands.

    Returns:
        By project, the oldest first.
    """
    failed = MEASURED.c.used_bytes.is_(None)
    places = [
        func.row_number().over(partition_by=(MEASURED.c.project, failed), order_by=order)
        for order in (MEASURED.c.at, MEASURED.c.at.desc())
    ]
    ranked = select(MEASURED, failed.label("failed"), places[0].label("first"), places[1].label("last"))
    here = ranked.where(MEASURED.c.cluster == cluster).subquery()
    telling = (here.c.last == 1) | ((here.c.first == 1) & ~here.c.failed)
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    for row in connection.execute(select(here).where(telling).order_by(here.c.at)):
        found[row.project].append(Measured(row.at, row.used_bytes, row.why))
    return found

"""Tenants as declared, what of Slurm's accounting is ours, and requests for more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, Index, Text, delete, insert, select, update
from sqlmodel import Field, SQLModel

from hpcjobs.errors import Conflict, NotFound
from hpcjobs.model.event import Event
from hpcjobs.model.tenant import Made, QuotaRequest, RequestState, Setting, Tenant, changed
from hpcjobs.store import events


class TenantRow(SQLModel, table=True):
    """One project: ``document`` is its Tenant, ``levels`` what was told of its budgets last, both JSON."""

    __tablename__ = "tenants"

    cluster: str = Field(primary_key=True, max_length=64)
    project: str = Field(primary_key=True, max_length=64)
    document: str = Field(sa_type=Text)
    levels: str = Field(sa_type=Text)
    changed_at: float
    changed_by: str = Field(max_length=64)


class MadeRow(SQLModel, table=True):
    """One value of Slurm's accounting that hpcjobs made; see Made."""

    __tablename__ = "ledger_made"

    cluster: str = Field(primary_key=True, max_length=64)
    project: str = Field(primary_key=True, max_length=64)
    field: str = Field(primary_key=True, max_length=32)
    of: str = Field(primary_key=True, max_length=128)
    was: str = Field(sa_type=Text)
    value: str = Field(sa_type=Text)
    at: float
    over: str | None = Field(default=None, sa_type=Text)


class RequestRow(SQLModel, table=True):
    """One request: ``document`` is its QuotaRequest as JSON."""

    __tablename__ = "quota_requests"
    __table_args__ = (Index("quota_requests_project", "cluster", "project", "id"),)

    id: str = Field(primary_key=True, max_length=32)
    cluster: str = Field(max_length=64)
    project: str = Field(max_length=64)
    state: str = Field(max_length=16)
    document: str = Field(sa_type=Text)


TENANTS: Final = SQLModel.metadata.tables["tenants"]
MADE: Final = SQLModel.metadata.tables["ledger_made"]
REQUESTS: Final = SQLModel.metadata.tables["quota_requests"]


def declared(connection: Connection, cluster: str) -> dict[str, Tenant]:
    """The tenants of a cluster, by project."""
    rows = connection.execute(select(TENANTS).where(TENANTS.c.cluster == cluster).order_by(TENANTS.c.project))
    return {row.project: msgspec.json.decode(row.document, type=Tenant) for row in rows}


def declare(connection: Connection, cluster: str, project: str, tenant: Tenant, by: str, at: float) -> None:
    """Put a tenant in the place of what was declared of the project.

    Args:
        connection: The database.
        cluster: Where.
        project: Which.
        tenant: As it shall be.
        by: Who says so.
        at: Unix seconds.
    """
    here = (TENANTS.c.cluster == cluster) & (TENANTS.c.project == project)
    told = {"document": msgspec.json.encode(tenant).decode(), "changed_at": at, "changed_by": by}
    if not connection.execute(update(TENANTS).where(here).values(told)).rowcount:
        connection.execute(insert(TENANTS), [{"cluster": cluster, "project": project, "levels": "{}", **told}])


def withdraw(connection: Connection, cluster: str, project: str) -> bool:
    """Declare nothing of a project any more.

    Returns:
        Whether there was something.
    """
    here = (TENANTS.c.cluster == cluster) & (TENANTS.c.project == project)
    return bool(connection.execute(delete(TENANTS).where(here)).rowcount)


def levels(connection: Connection, cluster: str) -> dict[str, dict[str, str]]:
    """What was told last of each project's budgets, by kind and period."""
    rows = connection.execute(select(TENANTS.c.project, TENANTS.c.levels).where(TENANTS.c.cluster == cluster))
    return {row.project: msgspec.json.decode(row.levels, type=dict[str, str]) for row in rows}


def tell(connection: Connection, cluster: str, project: str, now: Mapping[str, str], told: Collection[Event]) -> None:
    """Write how a project's budgets stand, and the events of what changed, together."""
    here = (TENANTS.c.cluster == cluster) & (TENANTS.c.project == project)
    if connection.execute(update(TENANTS).where(here).values(levels=msgspec.json.encode(now).decode())).rowcount:
        events.write(connection, list(told))


def made(connection: Connection, cluster: str) -> dict[Setting, Made]:
    """What of a cluster's accounting is ours."""
    rows = connection.execute(select(MADE).where(MADE.c.cluster == cluster))
    found = (Made(Setting(row.project, row.field, row.of), row.was, row.value, row.at, row.over) for row in rows)
    return {row.setting: row for row in found}


def keep(connection: Connection, cluster: str, row: Made) -> None:
    """Write down what will be made, in the place of what was made of the same setting."""
    forget(connection, cluster, row.setting)
    told = {"project": row.setting.project, "field": row.setting.field, "of": row.setting.of}
    values = {"cluster": cluster, **told, "was": row.was, "value": row.value, "at": row.at, "over": row.over}
    connection.execute(insert(MADE), [values])


def forget(connection: Connection, cluster: str, setting: Setting) -> None:
    """A setting is not ours any more."""
    connection.execute(
        delete(MADE).where(
            MADE.c.cluster == cluster,
            MADE.c.project == setting.project,
            MADE.c.field == setting.field,
            MADE.c.of == setting.of,
        )
    )


def add_request(connection: Connection, request: QuotaRequest, told: Event) -> None:
    """Keep a request, and tell of it."""
    connection.execute(insert(REQUESTS), [_row(request)])
    events.write(connection, [told])


def _row(request: QuotaRequest) -> dict[str, str]:
    document = msgspec.json.encode(request).decode()
    told = {"cluster": request.cluster, "project": request.project, "state": request.state.value}
    return {"id": request.id, **told, "document": document}


def requests(connection: Connection, cluster: str, project: str) -> list[QuotaRequest]:
    """A project's requests, the newest first."""
    here = (REQUESTS.c.cluster == cluster) & (REQUESTS.c.project == project)
    rows = connection.execute(select(REQUESTS.c.document).where(here).order_by(REQUESTS.c.id.desc()).limit(1000))
    return [msgspec.json.decode(row.document, type=QuotaRequest) for row in rows]


def decide(connection: Connection, cluster: str, project: str, decided: QuotaRequest, told: Event) -> None:
    """Write a decision; what is granted is the quota in the same transaction.

    Args:
        connection: The database.
        cluster: Where.
        project: Whose request.
        decided: The request with what was decided.
        told: Tells of it.

    Raises:
        NotFound: The project has no such request.
        Conflict: Somebody has decided it before.
    """
    here = (REQUESTS.c.id == decided.id) & (REQUESTS.c.cluster == cluster) & (REQUESTS.c.project == project)
    still = here & (REQUESTS.c.state == RequestState.OPEN.value)
    if not connection.execute(update(REQUESTS).where(still).values(_row(decided))).rowcount:
        if connection.execute(select(REQUESTS.c.id).where(here)).first() is None:
            raise NotFound(f"Project {project!r} has no request {decided.id!r}.")
        raise Conflict("The request is decided already.")
    if decided.state is RequestState.APPROVED:
        before = declared(connection, cluster).get(project, Tenant())
        tenant = msgspec.structs.replace(before, quota=changed(before.quota, decided.asked.quota))
        declare(connection, cluster, project, tenant, decided.decided_by, decided.decided_at or 0.0)
    events.write(connection, [told])

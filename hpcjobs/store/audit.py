"""The audit log's table: entries are appended and read. The database itself refuses anything else (migration 0002)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Index, Row, Text, insert, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel

from hpcjobs.model.audit import GENESIS, AuditEntry, AuditEvent, chained, first_fault
from hpcjobs.store.bulk import execute_many

VERIFY_CHUNK = 1000


class AuditRow(SQLModel, table=True):
    """One entry; see AuditEntry."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_user", "user", "seq"), Index("audit_at", "at"))

    # Given by us, one after the other: of two processes that append at once, one loses and tries again.
    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    at: float
    user: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    token: str = Field(sa_type=Text)
    issuer: str = Field(sa_type=Text)
    client: str = Field(sa_type=Text)
    request_id: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    target: str = Field(sa_type=Text)
    status: int
    code: str = Field(sa_type=Text)
    count: int
    hash: str = Field(max_length=64)


AUDIT: Final = SQLModel.metadata.tables["audit"]
_INSERT: Final = insert(AUDIT)
_LAST: Final = select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)


class Overtaken(Exception):
    """Another process appended meanwhile; nothing was written, and the same again will be."""


class AuditFilter(msgspec.Struct, frozen=True):
    """Which entries: every field that is given must hold.

    Attributes:
        user: Who asked.
        action: Method and route.
        status: HTTP status.
        request_id: Of the answer.
        since: Unix seconds; at or after it.
        until: Unix seconds; before it.
    """

    user: str | None = None
    action: str | None = None
    status: int | None = None
    request_id: str | None = None
    since: float | None = None
    until: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What came of checking the chain.

    Attributes:
        entries: How many hold.
        head: Hash of the last of them; write it down elsewhere, and a log cut short or made anew is found out too.
        fault: What is wrong with the one after, or ``""``.
    """

    entries: int
    head: str
    fault: str


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name for it


def append(connection: Connection, events: Sequence[AuditEvent]) -> list[AuditEntry]:
    """Append events, in order.

    Args:
        connection: The database.
        events: What to append.

    Returns:
        The entries they became.

    Raises:
        Overtaken: Another process appended meanwhile; nothing was written.
    """
    last = connection.execute(_LAST).first()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    entries = []
    for event in events:
        entries.append(chained(previous, seq + 1, event))
        seq, previous = entries[-1].seq, entries[-1].hash
    try:
        execute_many(connection, _INSERT, [msgspec.structs.asdict(entry) for entry in entries])
    except IntegrityError as error:
        raise Overtaken from error
    return entries


def page(connection: Connection, wanted: AuditFilter, before: int | None, limit: int) -> list[AuditEntry]:
    """Entries, newest first.

    Args:
        connection: The database.
        wanted: Which.
        before: Only entries with a lower number; None for the first page.
        limit: Most entries.
    """
    clauses: list[ColumnElement[bool]] = [
        AUDIT.c[name] == getattr(wanted, name)
        for name in ("user", "action", "status", "request_id")
        if getattr(wanted, name) is not None
    ]
    if wanted.since is not None:
        clauses.append(AUDIT.c.at >= wanted.since)
    if wanted.until is not None:
        clauses.append(AUDIT.c.at < wanted.until)
    if before is not None:
        clauses.append(AUDIT.c.seq < before)
    return [
        _entry(row)
        for row in connection.execute(select(AUDIT).where(*clauses).order_by(AUDIT.c.seq.desc()).limit(limit))
    ]


def verify(connection: Connection) -> Verdict:
    """Check every entry against its place in the chain."""
    seq, head = 0, GENESIS
    while True:
        rows = connection.execute(select(AUDIT).where(AUDIT.c.seq > seq).order_by(AUDIT.c.seq).limit(VERIFY_CHUNK))
        entries = [_entry(row) for row in rows]
        if not entries:
            return Verdict(seq, head, "")
        for entry in entries:
            if fault := first_fault(head, seq, [entry]):
                return Verdict(seq, head, fault)
            seq, head = entry.seq, entry.hash


def hash_of(connection: Connection, seq: int) -> str | None:
    """The hash of one entry; None where there is no such entry."""
    return connection.execute(select(AUDIT.c.hash).where(AUDIT.c.seq == seq)).scalar()

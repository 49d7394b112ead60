"""The audit log's table: entries are appended and read. The database itself refuses anything else (migration 0002)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Index, Text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, col, select

from hpcjobs.model.audit import GENESIS, AuditEntry, AuditEvent, chained, first_fault

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


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in AuditEntry.__struct_fields__})


def _last(session: Session) -> AuditRow | None:
    return session.exec(select(AuditRow).order_by(col(AuditRow.seq).desc()).limit(1)).first()


def append(session: Session, events: Sequence[AuditEvent]) -> int:
    """Append events, in order.

    Returns:
        The number of the last.

    Raises:
        Overtaken: Another process appended meanwhile; nothing was written.
    """
    last = _last(session)
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    for event in events:
        entry = chained(previous, seq + 1, event)
        seq, previous = entry.seq, entry.hash
        session.add(AuditRow(**msgspec.structs.asdict(entry)))
    try:
        session.flush()
    except IntegrityError as error:
        raise Overtaken from error
    return seq


def page(session: Session, wanted: AuditFilter, before: int | None, limit: int) -> list[AuditEntry]:
    """Entries, newest first.

    Args:
        session: The database.
        wanted: Which.
        before: Only entries with a lower number; None for the first page.
        limit: Most entries.
    """
    clauses: list[ColumnElement[bool]] = [
        col(getattr(AuditRow, name)) == getattr(wanted, name)
        for name in ("user", "action", "status", "request_id")
        if getattr(wanted, name) is not None
    ]
    if wanted.since is not None:
        clauses.append(col(AuditRow.at) >= wanted.since)
    if wanted.until is not None:
        clauses.append(col(AuditRow.at) < wanted.until)
    if before is not None:
        clauses.append(col(AuditRow.seq) < before)
    rows = session.exec(select(AuditRow).where(*clauses).order_by(col(AuditRow.seq).desc()).limit(limit))
    return [_entry(row) for row in rows]


def verify(session: Session) -> Verdict:
    """Check every entry against its place in the chain."""
    seq, head = 0, GENESIS
    while True:
        rows = session.exec(
            select(AuditRow).where(col(AuditRow.seq) > seq).order_by(col(AuditRow.seq)).limit(VERIFY_CHUNK)
        )
        entries = [_entry(row) for row in rows]
        session.expunge_all()
        if not entries:
            return Verdict(seq, head, "")
        for entry in entries:
            if fault := first_fault(head, seq, [entry]):
                return Verdict(seq, head, fault)
            seq, head = entry.seq, entry.hash


def hash_of(session: Session, seq: int) -> str | None:
    """The hash of one entry; None where there is no such entry."""
    row = session.get(AuditRow, seq)
    return row.hash if row else None

"""Invoices: issued and put right; the database refuses to change one (migration 0010)."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import BigInteger, Connection, Text, UniqueConstraint, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel

from hpcjobs.errors import Conflict, InvoiceUnknown
from hpcjobs.model.invoice import Invoice, correction


class InvoiceRow(SQLModel, table=True):
    """One document: ``document`` is its Invoice as JSON; ``correction`` counts those of one project and period."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("year", "place", name="invoices_place"),
        UniqueConstraint("cluster", "project", "since", "until", "correction", name="invoices_correction"),
    )

    number: str = Field(primary_key=True, max_length=16)
    year: int
    place: int
    cluster: str = Field(max_length=64)
    project: str = Field(max_length=64)
    since: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)
    correction: int
    document: str = Field(sa_type=Text)


INVOICES: Final = SQLModel.metadata.tables["invoices"]
MOST: Final = 1000
"""Of one list."""


def _read(document: str) -> Invoice:
    return msgspec.json.decode(document, type=Invoice)


def one(connection: Connection, number: str) -> Invoice:
    """A document by its number.

    Raises:
        InvoiceUnknown: None has it.
    """
    document = connection.execute(select(INVOICES.c.document).where(INVOICES.c.number == number)).scalar()
    if document is None:
        raise InvoiceUnknown(f"There is no invoice {number}.")
    return _read(document)


def every(
    connection: Connection, cluster: str | None, project: str | None, among: frozenset[tuple[str, str]] | None
) -> list[Invoice]:
    """Documents, the newest first, at most MOST.

    Args:
        connection: The database.
        cluster: Only of this one.
        project: Only of this one.
        among: Only of these pairs of cluster and project; None: of all.
    """
    wanted = select(INVOICES.c.document)
    for column, word in ((INVOICES.c.cluster, cluster), (INVOICES.c.project, project)):
        wanted = wanted if word is None else wanted.where(column == word)
    if among is not None:
        wanted = wanted.where(tuple_(INVOICES.c.cluster, INVOICES.c.project).in_(sorted(among)))
    newest = wanted.order_by(INVOICES.c.year.desc(), INVOICES.c.place.desc()).limit(MOST)
    return [_read(row.document) for row in connection.execute(newest)]


def family(connection: Connection, cluster: str, project: str, since: int, until: int) -> list[Invoice]:
    """The invoice of a project and period and what was put right of it, in order; none: there is none.

    Args:
        connection: The database.
        cluster: Where.
        project: Who is charged.
        since: Unix seconds at which the period begins.
        until: Unix seconds before which it ends.
    """
    rows = connection.execute(
        select(INVOICES.c.document)
        .where(INVOICES.c.cluster == cluster, INVOICES.c.project == project)
        .where(INVOICES.c.since == since, INVOICES.c.until == until)
        .order_by(INVOICES.c.correction)
    )
    return [_read(row.document) for row in rows]


def _keep(connection: Connection, invoice: Invoice, year: int, number: int) -> Invoice:
    """Give it the next number of the year, and write it as the document of this number of its project and period."""
    last = connection.execute(select(func.max(INVOICES.c.place)).where(INVOICES.c.year == year)).scalar()
    place = (last or 0) + 1
    numbered = msgspec.structs.replace(invoice, number=f"{year}-{place:04d}")
    row = {
        "number": numbered.number, "year": year, "place": place, "cluster": invoice.cluster,
        "project": invoice.project, "since": invoice.since, "until": invoice.until, "correction": number,
        "document": msgspec.json.encode(numbered).decode(),
    }  # fmt: skip
    try:
        connection.execute(insert(INVOICES), [row])
    except IntegrityError as error:
        raise Conflict("Another process issued an invoice at the same moment; try again.") from error
    return numbered


def issue(connection: Connection, draft: Invoice, year: int) -> Invoice:
    """Issue an invoice; where the project has one for the period, it is the answer, and nothing is written.

    Args:
        connection: The database, in a transaction.
        draft: All of it but its number.
        year: Of its number.

    Raises:
        Conflict: Another invoice of the project charges a part of the period, or another process was faster.
    """
    if there := family(connection, draft.cluster, draft.project, draft.since, draft.until):
        return there[0]
    other = connection.execute(
        select(INVOICES.c.number)
        .where(INVOICES.c.cluster == draft.cluster, INVOICES.c.project == draft.project)
        .where(INVOICES.c.since < draft.until, INVOICES.c.until > draft.since)
    ).scalar()
    if other is not None:
        raise Conflict(f"Invoice {other} of {draft.project} charges a part of {draft.period} already.")
    return _keep(connection, draft, year, 0)


def correct(connection: Connection, today: Invoice, year: int) -> Invoice:
    """Put an invoice right: issue the differences between what it comes to today and what was charged.

    Args:
        connection: The database, in a transaction.
        today: The invoice drafted anew.
        year: Of the number.

    Returns:
        The new document; where nothing differs, the last one there is.

    Raises:
        Conflict: Another process was faster.
    """
    there = family(connection, today.cluster, today.project, today.since, today.until)
    wanted = correction(there, today)
    return there[-1] if wanted is None else _keep(connection, wanted, year, len(there))

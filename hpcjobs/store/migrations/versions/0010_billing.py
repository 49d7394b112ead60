"""Prices and invoices: rows are added, and the database refuses anything else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEYS = {"prices": "id", "price_ends": "id", "invoices": "number"}
KEPT = "prices and invoices are never changed"


def _sqlite(table: str, key: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{KEPT}'); END"
    again = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608  names of ours
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {again} {refuse}",
    ]


def _postgresql(table: str) -> list[str]:
    refuse = "EXECUTE FUNCTION billing_refuse()"
    return [
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
    ]


def upgrade() -> None:
    op.create_table(
        "prices",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("resource", sa.String(72), nullable=False),
        sa.Column("amount", sa.String(16), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("cluster", "project", "partition", "qos")),
        sa.Column("entered_by", sa.Text, nullable=False),
        sa.Column("entered_at", sa.Float, nullable=False),
    )
    op.create_table(
        "price_ends",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("ended_by", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Float, nullable=False),
    )
    op.create_index("price_ends_price", "price_ends", ["price"])
    op.create_table(
        "invoices",
        sa.Column("number", sa.String(16), primary_key=True),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("correction", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("year", "place", name="invoices_place"),
        sa.UniqueConstraint("cluster", "project", "since", "until", "correction", name="invoices_correction"),
    )
    if op.get_bind().dialect.name == "sqlite":
        statements = [statement for table, key in KEYS.items() for statement in _sqlite(table, key)]
    else:
        raised = f"BEGIN RAISE EXCEPTION '{KEPT}' USING ERRCODE = 'restrict_violation'; END"
        statements = [f"CREATE FUNCTION billing_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {raised} $$"]
        statements += [statement for table in KEYS for statement in _postgresql(table)]
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    for table in reversed(KEYS):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION billing_refuse()")

"""Reports that are sent by the clock, alerts, and each sending of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=True),
        sa.Column("sent_at", sa.Float, nullable=True),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.UniqueConstraint("kind", "user", "name", name="subscriptions_name"),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "subscription",
            sa.String(32),
            sa.ForeignKey("subscriptions.id", name="letters_subscription_fkey", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("about", sa.String(200), nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
        sa.Column("failing_since", sa.Float, nullable=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.UniqueConstraint("subscription", "due_at", "about", "recipient", name="letters_once"),
    )
    op.create_index("letters_waiting", "letters", ["state", "next_at"])


def downgrade() -> None:
    op.drop_table("letters")
    op.drop_table("subscriptions")

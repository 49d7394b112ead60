"""What alerts know to be so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watched",
        sa.Column(
            "subscription",
            sa.String(32),
            sa.ForeignKey("subscriptions.id", name="watched_subscription_fkey", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("about", sa.String(200), primary_key=True),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("fact", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("watched")

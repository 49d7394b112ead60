"""The value of ours that one in Slurm's accounting is in place of, where its order may never have been sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger_made", sa.Column("over", sa.Text, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("ledger_made") as table:
        table.drop_column("over")

"""How far runs of jobs have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("job_id", sa.String(32), primary_key=True),
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("began", sa.Float, nullable=False),
        sa.Column("alive", sa.Float, nullable=False),
        sa.Column("heartbeat", sa.Float, nullable=True),
        sa.Column("step", sa.BigInteger, nullable=True),
        sa.Column("step_at", sa.Float, nullable=True),
        sa.Column("checkpoint", sa.Text, nullable=False),
        sa.Column("checkpoint_step", sa.BigInteger, nullable=True),
        sa.Column("checkpoint_at", sa.Float, nullable=True),
        sa.Column("save_s", sa.Float, nullable=True),
        sa.Column("resumed", sa.Text, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_index("ix_progress_cluster", "progress", ["cluster"])


def downgrade() -> None:
    op.drop_table("progress")

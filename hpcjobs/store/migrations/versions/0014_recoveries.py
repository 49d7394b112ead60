"""What was decided of runs that ended badly."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("slurm_job_id", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("progress", sa.Integer, nullable=True),
        sa.Column("diagnosis", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("plugin", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.Float, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.UniqueConstraint("job_id", "run", name="recoveries_once"),
    )
    op.create_index("ix_recoveries_cluster", "recoveries", ["cluster"])


def downgrade() -> None:
    op.drop_table("recoveries")

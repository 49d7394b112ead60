"""Jobs and the attempts to bring them into Slurm."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("slurm_job_id", sa.BigInteger, nullable=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("partition", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("fate", sa.String(16), nullable=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("observed_at", sa.Float, nullable=True),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=True),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("request_digest", sa.String(64), nullable=True),
        sa.UniqueConstraint("user", "idempotency_key", name="jobs_user_key"),
    )
    op.create_index("jobs_slurm", "jobs", ["cluster", "slurm_job_id"])
    op.create_index("jobs_user", "jobs", ["user", "id"])
    op.create_index("jobs_state", "jobs", ["state", "id"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
        sa.Column("refusals", sa.Text, nullable=False),
        sa.UniqueConstraint("job_id", "number", name="attempts_number"),
    )
    op.create_index("attempts_state", "attempts", ["state", "changed_at"])


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("jobs")

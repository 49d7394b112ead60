"""A job is one document; tasks and components have rows of their own; specs stand apart; events.

What was known of jobs and their attempts is kept.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_jobs = sa.table(
    "jobs",
    *(sa.column(name) for name in ("id", "cluster", "slurm_job_id", "state", "fate", "detail", "created_at")),
    *(sa.column(name) for name in ("observed_at", "facts", "spec", "document")),
)
_specs = sa.table("specs", sa.column("job_id"), sa.column("spec"))


def upgrade() -> None:
    op.create_table(
        "specs",
        sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("spec", sa.Text, nullable=False),
    )
    op.create_table(
        "clusters",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("listed_at", sa.Float, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("cluster", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(32), nullable=True),
        sa.Column("user", sa.String(64), nullable=False),
        sa.Column("account", sa.String(255), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_job", "events", ["job_id", "seq"])
    op.create_index("events_user", "events", ["user", "seq"])
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("parent", sa.String(32), nullable=True))
        jobs.add_column(sa.Column("task", sa.BigInteger, nullable=True))
        jobs.add_column(sa.Column("document", sa.Text, nullable=False, server_default="{}"))
        jobs.create_foreign_key("jobs_parent_fkey", "jobs", ["parent"], ["id"])
    _fill()
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("document", server_default=None)
        for name in ("detail", "observed_at", "facts", "spec"):
            jobs.drop_column(name)
    op.create_index("jobs_parent", "jobs", ["parent", "task"])
    op.create_index("jobs_user_state", "jobs", ["user", "state", "id"])
    op.create_index("jobs_account", "jobs", ["account", "id"])
    with op.batch_alter_table("attempts") as attempts:
        attempts.add_column(sa.Column("detail", sa.Text, nullable=False, server_default=""))
    with op.batch_alter_table("attempts") as attempts:
        attempts.alter_column("detail", server_default=None)
    op.drop_index("attempts_state", "attempts")
    op.create_index("attempts_state", "attempts", ["state", "job_id"])


def _fill() -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(_jobs)).all():
        # A job that was given up is over as cancelled: the fate "not sent" is no more.
        fate = "CANCELLED" if row.fate == "NOT_SENT" else row.fate
        document = json.loads(row.facts or "{}") | {
            "id": row.id,
            "cluster": row.cluster,
            "slurm_job_id": row.slurm_job_id,
            "state": row.state,
            "fate": fate,
            "detail": row.detail,
            "created_at": row.created_at,
            "changed_at": row.observed_at or row.created_at,
        }
        values = {"document": json.dumps(document), "fate": fate}
        connection.execute(sa.update(_jobs).where(_jobs.c.id == row.id).values(values))
        if row.spec is not None:
            connection.execute(sa.insert(_specs), {"job_id": row.id, "spec": row.spec})


def downgrade() -> None:
    raise NotImplementedError("documents are not taken apart again")

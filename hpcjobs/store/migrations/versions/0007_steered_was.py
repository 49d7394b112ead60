"""What a steered value may still be is several values."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE steered SET was = '[' || was || ']'")


def downgrade() -> None:
    op.execute("DELETE FROM steered")

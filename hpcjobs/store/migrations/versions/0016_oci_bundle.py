"""A job's OCI bundle has a name of its own: its container may be any image now."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SPECS = sa.table("specs", sa.column("job_id"), sa.column("spec"))


def upgrade() -> None:
    _rename("container", "oci_bundle")


def downgrade() -> None:
    _rename("oci_bundle", "container")


def _rename(was: str, becomes: str) -> None:
    connection = op.get_bind()
    chosen = sa.select(SPECS).where(SPECS.c.spec.contains(f'"{was}":', autoescape=True))
    for row in connection.execute(chosen).all():
        spec = json.loads(row.spec)
        bundle = spec.pop(was, None)
        if isinstance(bundle, str):
            text = json.dumps(spec | {becomes: bundle}, separators=(",", ":"), ensure_ascii=False)
            connection.execute(sa.update(SPECS).where(SPECS.c.job_id == row.job_id).values(spec=text))

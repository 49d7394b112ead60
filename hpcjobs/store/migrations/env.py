"""Alembic's entry: runs the migrations on the engine that the Store hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from hpcjobs.store import audit, generations, steered, tables, webhooks  # noqa: F401  they fill the metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()

"""Alembic's entry: runs the migrations on the engine that the Store hands over."""

from __future__ import annotations

import importlib
import pkgutil

from alembic import context
from sqlmodel import SQLModel

from hpcjobs import store

for module in pkgutil.iter_modules(store.__path__, "hpcjobs.store."):
    if not module.ispkg:
        importlib.import_module(module.name)  # its tables are part of the metadata then

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()

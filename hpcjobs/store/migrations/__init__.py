"""Alembic's folder: one file in versions/ a change of schema."""

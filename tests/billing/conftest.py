"""A bench of the whole service, as for the API, and databases of their own."""

from __future__ import annotations

import shutil

import pytest
from sqlalchemy import create_engine

from tests.api.conftest import bench, empty_database, folder, no_pause, place, pool, spawner

__all__ = ["bench", "empty_database", "folder", "no_pause", "place", "pool", "spawner"]


@pytest.fixture
def make_engine(empty_database, tmp_path):
    """Makes as many empty databases as are asked for."""
    engines = []

    def make():
        path = tmp_path / f"{len(engines)}.db"
        shutil.copy(empty_database, path)
        engines.append(create_engine(f"sqlite:///{path}"))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()

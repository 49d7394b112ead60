"""A bench with one cluster that is listed when a test says so."""

from __future__ import annotations

import shutil

import pytest

from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.unit.conftest import empty_database, folder, pool, spawner

__all__ = ["empty_database", "folder", "pool", "spawner"]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Look-ups of lost answers follow each other at once."""
    monkeypatch.setattr("hpcjobs.submission.LOOK_UP_PAUSE_S", 0.0)


@pytest.fixture
def place(empty_database, tmp_path):
    """A folder with an empty database."""
    shutil.copy(empty_database, tmp_path / "jobs.db")
    return tmp_path


@pytest.fixture
async def bench(place, monkeypatch):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench

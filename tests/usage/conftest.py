"""A file of usage for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcjobs.usage.store import UsageStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[UsageStore]:
    store = UsageStore(str(tmp_path / "usage.duckdb"))
    store.open()
    yield store
    store.close()

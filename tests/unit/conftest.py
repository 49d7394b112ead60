"""A fresh database and a spawner for whoever asks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcjobs.agents.pool import AgentPool
from hpcjobs.store.store import Store

from .builders import until


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "empty.db"
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    store.close()
    return path


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(empty_database, tmp_path / "jobs.db")
    store = Store(f"sqlite:///{tmp_path}/jobs.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="hpcjobs-unit-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def spawner(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    path = folder / "spawner.sock"
    command = [sys.executable, "-m", "hpcjobs.spawner", "--socket", str(path), "--owner", "root"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: path.exists() or process.poll() is not None)
            yield process
        finally:
            process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
async def pool(spawner, folder):
    pool = AgentPool(str(folder / "spawner.sock"))
    yield pool
    pool.close()
    assert spawner.poll() is None, "the spawner went down"

"""The house's one-way rule, checked on every import."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hpcjobs.cli.entry import OF_SLURM

ROOT = Path(__file__).parents[2]


def test_imports_run_one_way():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_stands_in_the_layers():
    """A new module that nobody put into the contract would be free to import anything."""
    contract = (ROOT / "pyproject.toml").read_text()
    modules = {path.stem if path.suffix == ".py" else path.name for path in (ROOT / "hpcjobs").iterdir()}
    for module in modules - {"__init__", "__pycache__", "py"}:
        assert f"hpcjobs.{module}" in contract.split("[tool.importlinter]")[1] or module == "py.typed", module


def test_only_the_agent_imports_pyslurm():
    users = [
        path
        for path in (ROOT / "hpcjobs").rglob("*.py")
        if re.search(r"^\s*import pyslurm\b(?!_)", path.read_text(), re.M)
    ]
    assert [path.name for path in users] == ["pyslurm_session.py"]


def test_only_the_store_speaks_sql():
    users = {
        path.relative_to(ROOT / "hpcjobs").parts[0]
        for path in (ROOT / "hpcjobs").rglob("*.py")
        if "sqlalchemy" in path.read_text() or "sqlmodel" in path.read_text()
    }
    assert users <= {"store", "submission.py"}  # submission names the error of a key that another process had first


@pytest.mark.parametrize("program", sorted(OF_SLURM.keys() - {"sbatch"}))  # whose options are the spec's fields
def test_what_a_stand_in_says_of_itself_loads_nothing_that_loads_slowly(program):
    """Each call of a command is a new process: msgspec, httpx and dataclasses are loaded where they are needed."""
    code = (
        f"import sys, {OF_SLURM[program]} as module\n"
        "code = module.call(['--help'], {'XDG_CONFIG_HOME': '/nowhere'})\n"
        "slow = ('msgspec', 'httpx', 'dataclasses', 'click', 'rich', 'hpcjobs.slurm')\n"
        "sys.exit(code or [name for name in sys.modules if name.startswith(slow)] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_policy_is_short():
    """Under 150 lines; board.py is what policies share, and no policy."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "plugins/policies").glob("*.py")}
    assert {name for name, lines in lengths.items() if lines >= 150} == {"board.py"}


def test_every_file_that_is_read_is_part_of_what_is_installed():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packaged = {
        file.resolve()
        for package, patterns in data.items()
        for pattern in patterns
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    there = {
        file.resolve()
        for folder in ("hpcjobs", "plugins")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc", ".so")
    }
    assert there <= packaged, f"not in package-data: {sorted(map(str, there - packaged))}"

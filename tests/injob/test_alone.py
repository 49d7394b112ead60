"""The folder that is mounted into jobs needs Python and nothing else."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "hpcjobs" / "injob"
MODULES = sorted(FOLDER.glob("*.py"))
NODECHECK = sorted(FOLDER.with_name("nodecheck").glob("*.py"))
OLDEST = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3"))[-1:]


@pytest.mark.parametrize("module", MODULES + NODECHECK, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_modules_import_the_standard_library_and_each_other(module):
    for node in ast.walk(ast.parse(module.read_text(), feature_version=(3, 9))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            assert not isinstance(node, ast.ImportFrom) or node.level == 1
            continue
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_all_of_it_is_imported_by_python_alone_from_wherever_it_lies(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "injob", ignore=shutil.ignore_patterns("__pycache__"))
    names = [f"injob.{path.stem}" for path in MODULES if path.stem != "__main__"]
    text = (
        f"import sys, importlib; sys.path.insert(0, {str(tmp_path)!r}); [importlib.import_module(n) for n in {names}]"
    )
    text += "; assert not [n for n in sys.modules if n.startswith('hpcjobs')]"
    save = "mkdir $HPCJOBS_CHECKPOINT_DIR/a; echo x >$HPCJOBS_CHECKPOINT_DIR/a/w; "
    save += f"$0 -I -S {tmp_path}/injob checkpoint publish $HPCJOBS_CHECKPOINT_DIR/a --step 1; exit 4"
    for python in (sys.executable, *OLDEST):
        agent = [python, "-I", "-S", "-W", "error", str(tmp_path / "injob")]
        ran = subprocess.run(
            [*agent, "run", "--checkpoints", str(tmp_path / "c"), "--", "sh", "-c", save, python],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (4, "")
        assert Path(ran.stdout.strip(), "w").read_text() == "x\n"
        done = subprocess.run(
            [python, "-I", "-S", "-W", "error", "-c", text], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

"""docs/SIMULATOR.md: what it shows is run here, in its order, and looks as it does there."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hpcjobs.cli.main import main
from hpcjobs.sim.cases import COUNTS, PLACEMENTS
from hpcjobs.sim.generate import Plan
from hpcjobs.sim.report.figures import UNITS
from hpcjobs.sim.schedulers import SCHEDULERS
from hpcjobs.sim.schedulers.priority import Weights
from hpcjobs.sim.schedulers.slurm import Parameters
from hpcjobs.sim.traces.formats import FORMATS
from tests.unit.topology_runs import ROOT, on_terminal

PAGE = (ROOT / "docs" / "SIMULATOR.md").read_text()
CONSOLE = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = dict(re.findall(r"^```text (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COLUMNS = 100


def calls(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it prints; a command goes on behind a backslash."""
    return re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


@pytest.fixture
def folder() -> Iterator[Path]:
    """With the files of the page, and an hpcjobs whose stderr is left out, as it is there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in FILES.items():
            (folder / file).write_text(text)
        run = "from hpcjobs.cli.main import main; main(prog_name='hpcjobs')"
        program = folder / "bin" / "hpcjobs"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "{run}" "$@" 2>>errors\n')
        program.chmod(0o755)
        yield folder


@pytest.mark.thorough
def test_what_the_page_shows_is_what_is_seen(folder):
    shown = [call for block in CONSOLE for call in calls(block)]
    assert len(shown) >= 5
    for command, told in shown:
        path = f"{folder / 'bin'}:/usr/bin:/bin"
        code, seen = on_terminal(COLUMNS, program=["bash", "-c", command], folder=folder, PATH=path, NO_COLOR="1",
            LANG="C.UTF-8")  # fmt: skip
        assert code == 0, (folder / "errors").read_text()
        assert trimmed(seen) == trimmed(told), command


def trimmed(text: str) -> str:
    """Without what makes it bold, and blanks at the ends of lines."""
    return "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in text.splitlines())


def test_the_page_names_every_option_and_no_other():
    (table,) = re.findall(r"^\| option \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    told = set(re.findall(r"`(--[a-z-]+)", table))
    there = {option.opts[0] for option in main.commands["simulate"].params if isinstance(option, click.Option)}
    assert told == there
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) <= there | {"--begin"}


@pytest.mark.parametrize("names", [SCHEDULERS, [*PLACEMENTS, COUNTS], [one.name for one in FORMATS], UNITS,
    Parameters.__struct_fields__, Weights.__struct_fields__, Plan.__struct_fields__])  # fmt: skip
def test_the_page_names_every_scheduler_placement_form_figure_and_setting(names):
    for name in names:
        assert re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`", PAGE), name


def test_the_page_says_what_is_taken_for_granted_of_a_real_cluster():
    for word in ("priorit", "reservations", "dependencies", "constraints", "limit"):
        assert word in PAGE[PAGE.index("## 5.") : PAGE.index("## 6.")], word

"""The examples of docs/CLI.md run as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from hpcjobs.cli.main import main
from tests.api.test_command_line import served, slurm  # noqa: F401
from tests.api.test_completion import there

__all__ = ["there"]

PAGE = (Path(__file__).parents[2] / "docs" / "CLI.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.thorough
def test_the_examples_run_one_after_the_other(there, tmp_path):
    (tmp_path / "token").write_text(there.pop("HPCJOBS_TOKEN"))
    (tmp_path / "token").chmod(0o600)
    url = there.pop("HPCJOBS_URL")
    code = "set -eu\n" + "\n".join(BLOCKS).replace("https://jobs.example.org", url)
    done = subprocess.run(
        ["bash", "-c", code], env={**there, "XDG_STATE_HOME": str(tmp_path / "state")}, cwd=tmp_path,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it waits: offline-" in done.stdout
    assert "nobody at " in done.stdout
    assert "sleep 60" in done.stdout
    assert "it has ended already" in done.stdout


def test_there_are_examples():
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("word", sorted(set(re.findall(r"hpcjobs (?:--profile \w+ )?([a-z]+)", PAGE))))
def test_the_page_names_no_command_that_is_none(word):
    assert word in main.commands or word == "has"  # "hpcjobs has two halves"


def test_the_page_names_no_option_of_jobs_and_retry_that_is_none():
    for command in ("jobs", "retry"):
        (row,) = re.findall(rf"^\| `{command}[^`]*` \| (.*) \|$", PAGE, re.M)
        there = {word for option in main.commands[command].params if isinstance(option, click.Option)
            for word in option.opts}  # fmt: skip
        assert set(re.findall(r"--[a-z-]+", row)) <= there

"""Commands that other distributions bring."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcjobs.cli import brought
from hpcjobs.cli.main import main

ROOT = Path(__file__).parents[2]
HELLO = "import click\n@click.command()\ndef command():\n    'Say hello.'\n    click.echo('hello')\n"


def bring(folder: Path, name: str, body: str, of: str = "") -> None:
    """A distribution with a command, as pip would install it."""
    of = of or f"cmd_{name}"
    (folder / f"{of}.py").write_text(body)
    info = folder / f"{of}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {of.replace('_', '-')}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hpcjobs.commands]\n{name} = {of}:command\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="hpcjobs")


def test_a_command_that_a_distribution_brings_is_one_of_ours(folder):
    bring(folder, "hello", HELLO)
    done = run("hello")
    assert (done.exit_code, done.stdout) == (0, "hello\n")
    listed = run("--help")
    assert listed.exit_code == 0
    assert re.search(r"^  hello +Say hello\.$", listed.stdout, re.MULTILINE)
    assert re.search(r"^  jobs +List the jobs", listed.stdout, re.MULTILINE)
    assert run("hello", "--help").stdout.startswith("Usage: hpcjobs hello [OPTIONS]")


BROKEN = [
    ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("raise SystemExit(7)\n", "SystemExit: 7"),
    ("x = 1\n", "AttributeError: "),
    ("command = print\n", "is a builtin_function_or_method, no click command"),
    ("def f(:\n", "SyntaxError: "),
]


@pytest.mark.parametrize(("body", "complaint"), BROKEN, ids=[why[:12] for _, why in BROKEN])
def test_one_that_is_broken_is_told_and_takes_nothing_with_it(folder, body, complaint):
    bring(folder, "hello", HELLO, "cmd_hello_good")
    bring(folder, "bad", body, f"cmd_{abs(hash(body))}")
    done = run("bad")
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("hpcjobs: error: the command bad ")
    assert complaint in line
    listed = run("--help")
    assert listed.exit_code == 0
    (warning,) = listed.stderr.splitlines()
    assert warning.startswith("hpcjobs: warning: the command bad ")
    assert "  hello " in listed.stdout
    assert "  bad " not in listed.stdout


def test_a_name_that_nobody_brings_is_no_command(folder):
    bring(folder, "hello", HELLO)
    done = run("hallo")
    assert done.exit_code == 2
    assert "No such command 'hallo'" in done.stderr


def test_our_own_commands_cannot_be_taken_and_two_of_one_name_are_refused(folder):
    bring(folder, "jobs", HELLO, "cmd_other_jobs")
    bring(folder, "twice", HELLO, "cmd_one")
    bring(folder, "twice", HELLO, "cmd_two")
    assert "Usage: hpcjobs jobs" in run("jobs", "--help").stdout
    assert "more than one distribution brings a command twice: cmd-one, cmd-two" in run("twice").stderr
    assert "a distribution brings a command jobs, which is ours: left out" in run("--help").stderr


def test_nobody_is_looked_for_where_a_command_is_ours(monkeypatch):
    def points(_name: str | None = None) -> list[object]:
        raise AssertionError("entry points were looked up")

    monkeypatch.setattr(brought, "_points", points)
    for words in (["--version"], ["jobs", "--help"], ["config", "--help"], ["plugins", "check", "--help"]):
        assert run(*words).exit_code == 0
    with pytest.raises(AssertionError, match="were looked up"):
        CliRunner().invoke(main, ["--help"], catch_exceptions=False)


def completed(folder: Path, *words: str) -> tuple[list[str], str]:
    variables = {
        **os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "_HPCJOBS_COMPLETE": "bash_complete",
        "COMP_WORDS": "\n".join(["hpcjobs", *words]), "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    program = [sys.executable, "-c", "from hpcjobs.cli.main import main; main(prog_name='hpcjobs')"]
    done = subprocess.run(program, env=variables, capture_output=True, text=True, check=False)
    return done.stdout.split(), done.stderr


def test_it_is_completed_and_a_broken_one_disturbs_no_completion(folder):
    bring(folder, "hello", HELLO)
    bring(folder, "helpless", "import nowhere_at_all\n")
    found, err = completed(folder, "hel")
    assert found == ["plain,hello"]
    assert err == ""

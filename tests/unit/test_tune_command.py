from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from hpcjobs.cli.main import main

CONF = "ClusterName=x\nSchedulerParameters=defer\nNodeName=c1\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "slurm.conf").write_text(CONF)

    def invoke(*words: str) -> Result:
        done = CliRunner().invoke(main, ["tune", "--conf-dir", str(tmp_path), *words])
        assert (tmp_path / "slurm.conf").read_text() == CONF
        return done

    return invoke


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--undo", "--recover", "--yes"], "say --undo or --recover"),
        (["--undo", "bf_window=1", "--yes"], "--undo sets nothing"),
        (["--recover", "--keep", "bf_window"], "--recover sets nothing"),
        (["bf_window=1"], "nobody can be asked here: say --yes, or --dry-run"),
        (["bf_window=1", "--yes", "--ssh", "a", "--runner", "b"], "say --ssh or --runner"),
        (["bf_window=1", "--yes", "--runner", "'"], '--runner "\'"'),
    ],
)
def test_what_does_not_go_together_is_said_and_nothing_is_changed(run, words, complaint):
    done = run(*words)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_a_parameter_that_would_write_another_line_into_slurm_conf_is_refused(run):
    done = run("bf_window=1\nProlog=/tmp/x", "--yes")
    assert done.exit_code == 2
    assert "'bf_window=1\\nProlog=/tmp/x' can be no parameter of SchedulerParameters; nothing" in done.stderr


def test_a_folder_without_slurm_conf_is_said(run, tmp_path):
    done = run("bf_window=1", "--yes", "--conf-dir", str(tmp_path / "nowhere"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path}/nowhere is not there" in done.stderr


def test_a_program_reads_what_became_of_it_as_json(run, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\necho 'SchedulerParameters     = defer'\n")
    scontrol.chmod(0o755)
    done = run("defer", "--keep", "x", "--dry-run", "--no-trial", "--json", "--scontrol", str(scontrol))
    assert json.loads(done.stdout)["end"] == "same"
    done = run("bf_window=60", "--dry-run", "--no-trial", "--json", "--scontrol", str(scontrol))
    told = json.loads(done.stdout)
    assert (done.exit_code, told["end"]) == (0, "dry")
    assert told["moves"] == [{"name": "bf_window", "old": "", "new": "bf_window=60"}]
    assert "+SchedulerParameters=defer,bf_window=60\n" in told["changes"][f"{tmp_path}/slurm.conf"]


def test_where_all_that_is_wanted_is_to_be_kept_there_is_nothing_to_do(run):
    done = run("defer=1", "--keep", "DEFER", "--yes")
    assert done.exit_code == 0
    assert done.stderr == "hpcjobs: nothing to do: all that is wanted is to be kept as it is\n"
    assert json.loads(run("defer=1", "--keep", "defer", "--yes", "--json").stdout)["end"] == "same"

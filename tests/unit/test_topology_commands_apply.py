from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcjobs.slurmconf.runner import local, locked
from hpcjobs.slurmconf.swap import JOURNAL

from .controllers import StandIn
from .topology_runs import fails, on_terminal, process, run, saved

pytestmark = pytest.mark.thorough

OLD = "SwitchName=old Nodes=n[0001-0016] # by hand\n"
NEW = """\
SwitchName=leaf01 Nodes=n[0001-0004]
SwitchName=leaf02 Nodes=n[0005-0008]
SwitchName=leaf03 Nodes=n[0009-0012]
SwitchName=leaf04 Nodes=n[0013-0016]
SwitchName=ib0 Switches=leaf[01-04]
"""


@pytest.fixture(autouse=True)
def a_dead_controller_is_soon_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcjobs.slurmconf.bring.DEAD_S", 0.5)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return saved(tmp_path)


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    found = StandIn(tmp_path.resolve(), "n[0001-0016]", OLD)
    monkeypatch.setenv("PATH", found.path)
    yield found
    assert JOURNAL not in found.files()


def apply(controller: StandIn, *words: str | Path):
    return run("apply", *words, "--conf-dir", controller.etc)


def test_a_dry_run_says_what_would_change_and_what_the_trial_made_of_it_and_writes_nothing(controller, site):
    before = controller.files()
    done = apply(controller, site, "--dry-run", "--form", "conf")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"--- {controller.etc}/topology.conf",
        f"+++ {controller.etc}/topology.conf",
    ]
    assert f"-{OLD}" in done.stdout
    assert all(f"+{line}" in done.stdout for line in NEW.splitlines())
    trial, end = done.stderr.splitlines()
    assert trial.startswith("hpcjobs: trial: a second slurmctld was up after ")
    assert end == "hpcjobs: it would be applied, in 1 file; nothing was written"
    assert controller.files() == before


def test_it_is_applied_once_and_then_there_is_nothing_to_do(controller, site):
    done = apply(controller, site, "--yes", "--form", "conf")
    assert done.exit_code == 0, done.stderr
    kept, end = done.stderr.splitlines()[-2:]
    assert end.startswith("hpcjobs: applied: slurmctld shows it after ")
    assert Path(kept.removeprefix("hpcjobs: the old file is ")).read_text() == OLD
    assert controller.read("topology.conf").endswith(NEW)
    assert "SwitchName=leaf04 Level=0 LinkSpeed=1 Nodes=n[0013-0016]\n" in controller.shown
    again = apply(controller, site, "--yes", "--form", "conf")
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "hpcjobs: nothing to do: slurmctld has this topology\n"


@pytest.mark.thorough
@pytest.mark.parametrize(("release", "form"), [("24.11", "topology.conf"), ("26.05", "topology.yaml")])
def test_which_file_is_written_follows_from_the_release_of_the_controller(tmp_path, site, monkeypatch, release, form):
    controller = StandIn(tmp_path.resolve(), "n[0001-0016]", OLD, release)
    monkeypatch.setenv("PATH", controller.path)
    done = apply(controller, site, "--yes", "--no-trial")
    assert done.exit_code == 0, done.stderr
    assert "hpcjobs" in controller.read(form)
    assert ("topology.yaml" in controller.files()) == (form == "topology.yaml")


@pytest.mark.thorough
def test_the_nodes_are_those_of_slurm_conf_there(tmp_path, site, monkeypatch):
    controller = StandIn(tmp_path.resolve(), "n[0001-0008]", "SwitchName=old Nodes=n[0001-0008]\n")
    monkeypatch.setenv("PATH", controller.path)
    source = f"ibnetdiscover:{tmp_path / 'fabric.txt'}"
    for what, words in ((site, []), (source, ["--shape", "physical"])):
        done = apply(controller, what, "--yes", "--form", "conf", "--no-trial", *words)
        assert done.exit_code == 0, done.stderr
        assert "n[0005-0008]" in controller.read("topology.conf")
        assert "n0009" not in controller.read("topology.conf")


@pytest.mark.thorough
def test_slurm_conf_of_the_environment_says_where_the_files_are_but_not_on_another_machine(
    controller, site, monkeypatch
):
    monkeypatch.setenv("SLURM_CONF", f"{controller.etc}/slurm.conf")
    assert run("apply", site, "--yes", "--no-trial").exit_code == 0
    assert "leaf01" in controller.shown
    fails(run("apply", site, "--yes", "--runner", "env"), "/etc/slurm/slurm.conf: the file is not there")


@pytest.mark.thorough
def test_a_finding_is_refused_until_somebody_says_that_it_is_meant_so(controller, site):
    controller.write("slurm.conf", controller.read("slurm.conf").replace("0016", "0018"))
    before = controller.files()
    done = apply(controller, site, "--yes", "--form", "conf")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "SLURM\tCODE\tSUBJECT\tWHAT",
        "warns\tnode-nowhere\tn0017\tn[0017-0018] of slurm.conf are in no switch",
    ]
    assert done.stderr.splitlines() == [
        "hpcjobs: where it is meant so, say --allow node-nowhere",
        "hpcjobs: refused: nothing was written",
    ]
    assert controller.files() == before
    allowed = apply(controller, site, "--yes", "--form", "conf", "--allow", "node-nowhere")
    assert allowed.exit_code == 0
    assert "node-nowhere" in allowed.stdout
    assert "hpcjobs: trial: warning: n[0017-0018] of slurm.conf are in no switch" in allowed.stderr


@pytest.mark.thorough
def test_what_a_second_slurmctld_dies_of_is_not_written(controller, site):
    (controller.bin / "slurmctld").write_text("#!/bin/sh\necho 'fatal: I do not like it'\nexit 1\n")
    before = controller.files()
    done = apply(controller, site, "--yes")
    assert done.exit_code == 1
    assert "hpcjobs: trial: a second slurmctld did not come up\n" in done.stderr
    assert "hpcjobs: error: in a trial, fatal: I do not like it\n" in done.stderr
    assert done.stderr.endswith("hpcjobs: refused: nothing was written\n")
    assert controller.files() == before
    assert apply(controller, site, "--yes", "--no-trial").exit_code == 0


@pytest.mark.thorough
def test_where_the_controller_refuses_everything_is_as_it_was(controller, site):
    controller.write("topology.mood", "refuse")
    shown = controller.shown
    done = apply(controller, site, "--yes", "--form", "conf")
    assert done.exit_code == 1
    assert "hpcjobs: error: slurm_reconfigure error: Invalid argument\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: rolled back: the old files are in place")
    assert (controller.read("topology.conf"), controller.shown) == (OLD, shown)


@pytest.mark.thorough
def test_a_controller_that_dies_is_started_where_it_is_said_how_and_else_it_is_said_that_it_is_down(controller, site):
    words = [site, "--yes", "--form", "conf", "--no-trial"]
    controller.write("topology.mood", "die")
    started = apply(controller, *words, "--start", f"rm {controller.etc}/topology.dead")
    assert started.exit_code == 1, started.stderr
    assert "rolled back" in started.stderr
    controller.write("topology.mood", "die")
    down = apply(controller, *words, "--load-timeout", "2")
    assert down.exit_code == 2
    assert "does not answer: start it" in down.stderr
    assert down.stderr.endswith("hpcjobs: the controller is down\n")
    assert controller.read("topology.conf") == OLD


@pytest.mark.thorough
def test_it_is_one_document_as_json(controller, site):
    done = apply(controller, site, "--yes", "--json", "--shape", "physical")
    document = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, document["end"]) == (0, "", "applied")
    assert document["trial"]["up"] is True
    assert "spine02" in document["changes"][f"{controller.etc}/topology.yaml"]


@pytest.mark.thorough
def test_a_controller_is_reached_through_other_words_or_over_ssh(controller, site):
    (controller.bin / "ssh").write_text(
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\n[ "$2" = root@ctl1 ] && shift 2 && exec sh -c "$*"\n'
    )
    (controller.bin / "ssh").chmod(0o755)
    there = apply(controller, site, "--dry-run", "--no-trial", "--runner", "env 'A=b c'")
    assert there.exit_code == 0, there.stderr
    over = apply(controller, site, "--yes", "--no-trial", "--ssh", "root@ctl1")
    assert over.exit_code == 0, over.stderr
    assert "leaf01" in controller.shown


@pytest.mark.thorough
@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x03", 130), ("\x04", 130)])
def test_on_a_terminal_it_asks_and_only_a_yes_is_one(controller, site, typed, code):
    words = ["apply", site, "--conf-dir", controller.etc, "--form", "conf", "--no-trial"]
    ended, seen = on_terminal(100, *words, typed=typed, NO_COLOR="1")
    assert ended == code, seen
    assert f"Change {controller.etc}/topology.conf, and let slurmctld read it? [y/N]: " in seen.replace("\n    ", " ")
    assert "+SwitchName=ib0 Switches=leaf[01-04]" in seen
    assert (controller.read("topology.conf") == OLD) == bool(code)
    assert "Traceback" not in seen


def test_where_nobody_can_be_asked_it_is_not_begun(controller, site):
    before = controller.files()
    done = apply(controller, site)
    assert (done.exit_code, "nobody can be asked here: say --yes, or --dry-run" in done.stderr) == (2, True)
    assert controller.files() == before


def begun(controller: StandIn, site: Path):
    """A run that waits for a controller which is slow to read its new files."""
    controller.write("topology.mood", "slow")
    words = ["apply", site, "--conf-dir", controller.etc, "--form", "conf", "--no-trial", "--yes"]
    child = process(*words)
    while not (controller.etc / "topology.slow").exists():
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.05)
    assert controller.read("topology.conf").endswith(NEW)
    return child


@pytest.mark.thorough
def test_ctrl_c_undoes_what_was_begun(controller, site):
    child = begun(controller, site)
    os.kill(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "had not come to its end" in err
    assert "Traceback" not in err
    assert controller.read("topology.conf") == OLD


@pytest.mark.thorough
def test_what_a_killed_run_left_is_undone_by_recover_or_by_the_next_run(controller, site):
    for words in (["--recover"], [site, "--yes", "--form", "conf", "--no-trial"]):
        child = begun(controller, site)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=60)
        (controller.etc / "topology.slow").unlink()
        assert JOURNAL in controller.files()
        done = apply(controller, *words)
        assert done.exit_code == 0, done.stderr
        assert "had not come to its end" in done.stderr
        assert controller.read("topology.conf").endswith(NEW) == (words != ["--recover"])
    assert apply(controller, "--recover").stderr == "hpcjobs: nothing was left half done\n"


def test_two_at_once_cannot_be(controller, site):
    with locked(local(), f"{controller.etc}/.hpcjobs-conf.lock", "x"):
        fails(apply(controller, site, "--yes"), "it is being done already")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--conf-dir", "/nowhere"], "/nowhere/slurm.conf: the file is not there"),
        (["--scontrol", "/nowhere/scontrol"], "scontrol cannot be run"),
        (["--runner", "/nowhere/docker exec x"], "/nowhere/docker cannot be run"),
        (["--shape", "block"], "there are no domains"),
        (["--param", "RouteWest"], "TopologyParam has no option RouteWest"),
    ],
)
def test_what_cannot_be_reached_or_translated_is_one_sentence(controller, site, words, complaint):
    before = controller.files()
    fails(run("apply", site, "--yes", "--conf-dir", controller.etc, *words), complaint)
    assert controller.files() == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["{site}", "--ssh", "a", "--runner", "b"], "say --ssh or --runner"),
        (["{site}", "--start", "'"], "No closing quotation"),
        (["{site}", "--recover"], "name no source with it"),
        (["{site}", "--allow", "node-nowere"], "--allow node-nowere: there is no such code; there is node-nowhere"),
        ([], "say what is to be read"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(controller, site, words, complaint):
    done = apply(controller, "--yes", *(word.replace("{site}", str(site)) for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in done.stderr

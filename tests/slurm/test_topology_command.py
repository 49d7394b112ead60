"""``hpcjobs topology apply`` as somebody types it, against real controllers that nobody else uses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpcjobs_plugins.topology.engines.model import graph
from hpcjobs_plugins.topology.engines.show import read_shown

from ..unit.topology_runs import environment
from .conftest import Stack
from .scratch import ONE, Scratch

HPCJOBS = (sys.executable, "-c", "from hpcjobs.cli.main import main; main(prog_name='hpcjobs')")

HAND = """\
host,switch,above,gbps
c1,leaf1,spine1,100
c2,leaf1,spine1,100
c3,leaf2,spine1,100
c4,leaf2,spine1,100
"""
SHOWN = [
    "SwitchName=leaf1 Level=0 LinkSpeed=1 Nodes=c[1-2]",
    "SwitchName=leaf2 Level=0 LinkSpeed=1 Nodes=c[3-4]",
    "SwitchName=ib0 Level=1 LinkSpeed=1 Nodes=c[1-4] Switches=leaf[1-2]",
]
"""What scontrol shows of it, on both releases."""

FOREGROUND = pytest.mark.parametrize("scratch", [False], indirect=True, ids=["foreground"])
DAEMON = pytest.mark.parametrize("scratch", [True], indirect=True, ids=["daemon"])
ONLY_NEW = pytest.mark.parametrize("stack", ["new"], indirect=True)
ONLY_OLD = pytest.mark.parametrize("stack", ["old"], indirect=True)

RUNNER = """\
#!/bin/sh
# Reaches the container, and kills who asked just before or just after a command of these words.
case "$*" in
*{words}*)
  [ {when} = after ] && docker exec -i {container} "$@"
  kill -KILL $PPID
  exit 1 ;;
esac
exec docker exec -i {container} "$@"
"""


class Desk:
    """Where somebody types, with a fabric written by hand."""

    def __init__(self, scratch: Scratch, folder: Path) -> None:
        self.scratch, self.folder = scratch, folder
        self.container = str(scratch.stack.container("slurmctld").name)
        self.site(HAND)

    def site(self, text: str) -> None:
        (self.folder / "hand.csv").write_text(text)

    def apply(self, *words: str, runner: str = "") -> subprocess.CompletedProcess[str]:
        runner = runner or f"docker exec -i {self.container}"
        there = ["--runner", runner, "--conf-dir", self.scratch.dir]
        return subprocess.run(
            [*HPCJOBS, "topology", "apply", *words, *there], env=environment(), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def killed(self, when: str, words: str) -> None:
        """Apply in a process that is killed, as hard as can be, before or after a command."""
        script = self.folder / "runner"
        script.write_text(RUNNER.format(words=f'"{words}"', when=when, container=self.container))
        done = self.apply("table:hand.csv", *CONF, "--yes", "--no-trial", runner=f"sh {script}")
        assert done.returncode == -9, done.stderr

    @property
    def shown(self) -> list[str]:
        """What the controller shows, a line a switch; it may be about to start again."""
        return [line.rstrip() for line in self.scratch.shown().splitlines()]


CONF = ("--form", "conf")


@pytest.fixture
def desk(scratch: Scratch, tmp_path: Path) -> Desk:
    return Desk(scratch, tmp_path)


@FOREGROUND
def test_a_dry_run_changes_nothing_a_real_one_does_and_then_there_is_nothing_to_do(desk):
    scratch = desk.scratch
    before = scratch.files()
    dry = desk.apply("table:hand.csv", *CONF, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "+SwitchName=ib0 Switches=leaf[1-2]\n" in dry.stdout
    assert "hpcjobs: trial: a second slurmctld was up after " in dry.stderr
    assert dry.stderr.endswith("hpcjobs: it would be applied, in 1 file; nothing was written\n")
    assert scratch.files() == before
    assert read_shown(scratch.shown()) == graph(ONE)

    done = desk.apply("table:hand.csv", *CONF, "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout == dry.stdout
    kept, end = done.stderr.splitlines()[-2:]
    assert re.fullmatch(r"hpcjobs: applied: slurmctld shows it after [0-9.]+ s", end)
    assert desk.shown == SHOWN
    assert scratch.run(f"cat {kept.rpartition(' ')[2]}") == "SwitchName=all Nodes=c[1-4]\n"

    after = scratch.files()
    again = desk.apply("table:hand.csv", *CONF, "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "hpcjobs: nothing to do: slurmctld has this topology\n"
    assert scratch.files() == after


@DAEMON
def test_what_slurmctld_refuses_is_rolled_back_with_its_own_words_and_exit_code_1(desk):
    scratch = desk.scratch
    # A fault of slurm.conf that a trial does not look at: nobody has told the controller of it yet.
    scratch.run(f"echo PriorityType=priority/nope >>{scratch.dir}/slurm.conf")
    before = scratch.texts()
    done = desk.apply("table:hand.csv", *CONF, "--yes", "--shape", "leaf-block")
    assert done.returncode == 1, done.stderr
    assert "hpcjobs: error: slurmctld says: fatal: failed to initialize priority plugin\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: rolled back: the old files are in place")
    assert scratch.texts() == before
    assert read_shown(scratch.shown()) == graph(ONE)


@ONLY_NEW  # the older shows leaves as the file has them
@FOREGROUND
def test_what_slurmctld_shows_otherwise_is_rolled_back_with_what_it_is_without(desk):
    before = desk.scratch.texts()
    desk.site(f"{HAND}c5,leaf2,spine1,100\n")
    words = ["table:hand.csv", *CONF, "--nodes", "c[1-5]", "--allow", "node-unknown", "--load-timeout", "1"]
    done = desk.apply(*words, "--yes", "--no-trial")
    assert done.returncode == 1
    assert "hpcjobs: error: switch leaf2 is without c5\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: rolled back: the old files are in place")
    assert desk.scratch.texts() == before
    assert read_shown(desk.scratch.shown()) == graph(ONE)


@ONLY_OLD
@FOREGROUND
def test_a_run_that_was_killed_before_it_told_the_controller_is_rolled_back_by_recover(desk):
    before = desk.scratch.texts()
    desk.killed("before", "scontrol reconfigure")
    assert "SwitchName=leaf1" in desk.scratch.texts()
    undone = desk.apply("--recover")
    assert undone.returncode == 0, undone.stderr
    assert "had not come to its end" in undone.stderr
    assert desk.scratch.texts() == before
    assert read_shown(desk.scratch.shown()) == graph(ONE)


@ONLY_NEW
@FOREGROUND
def test_a_run_that_was_killed_when_the_controller_had_it_is_undone_and_completed_by_the_next(desk):
    desk.killed("after", "scontrol reconfigure")
    assert desk.shown == SHOWN
    done = desk.apply("table:hand.csv", *CONF, "--yes", "--no-trial")
    assert done.returncode == 0, done.stderr
    assert "had not come to its end" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: applied: ")
    assert desk.shown == SHOWN


def test_a_rank_map_of_a_running_job_is_of_the_nodes_that_squeue_has_it_on(stack: Stack, tmp_path: Path, name: str):
    squeue = tmp_path / "squeue"
    squeue.write_text(f'#!/bin/sh\nexec docker exec {stack.container("slurmctld").name} squeue "$@"\n')
    squeue.chmod(0o755)
    job = stack.as_user("alice", f"sbatch --parsable -J {name} -N2 -t1 -o /dev/null --wrap 'sleep 60'").strip()
    give_up = time.monotonic() + 30
    while not (nodes := stack.run("slurmctld", f"squeue -h -t R -o %N -j {job}").strip()):
        assert time.monotonic() < give_up, stack.run("slurmctld", "squeue")
        time.sleep(0.2)
    wanted = stack.said("slurmctld", f"scontrol show hostnames {nodes}").split()
    rows = "".join(f"{one},leaf1,spine1,100\n" for one in wanted)
    (tmp_path / "hand.csv").write_text(f"host,switch,above,gbps\n{rows}")
    words = ["table:hand.csv", "--parallel", "tp=8,dp=2", "--format", "nodes", "--job", job]
    done = subprocess.run(
        [*HPCJOBS, "topology", "rankmap", *words], env=environment(PATH=f"{tmp_path}:{os.environ['PATH']}"),
        cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    stack.run("slurmctld", f"scancel {job}")
    assert (done.returncode, sorted(done.stdout.split())) == (0, wanted), done.stderr

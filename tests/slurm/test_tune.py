"""``hpcjobs tune`` as somebody types it, against real controllers that nobody else uses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hpcjobs.slurmconf.parameters import parameters_of

from ..unit.topology_runs import environment
from .conftest import Stack
from .scratch import FOUR, Scratch
from .steered import SLEEP, Use, cancel, nodes_of, number_of, report, until, whole
from .test_topology_command import DAEMON, FOREGROUND, HPCJOBS, RUNNER

LINE = "SchedulerParameters=bf_interval=5,bf_window=1440 # of the site\n"
SCRATCH = LINE + FOUR
"""See the fixture ``scratch``."""


class Desk:
    """Where somebody types."""

    def __init__(self, scratch: Scratch, folder: Path) -> None:
        self.scratch, self.folder = scratch, folder
        self.container = str(scratch.stack.container("slurmctld").name)

    def tune(self, *words: str, runner: str = "") -> subprocess.CompletedProcess[str]:
        stack = self.scratch.stack
        there = ["--runner", runner or f"docker exec -i {self.container}", "--conf-dir", self.scratch.dir]
        who = environment(HPCJOBS_URL=stack.url, HPCJOBS_TOKEN=stack.token("operator"))
        return subprocess.run(
            [*HPCJOBS, "tune", *words, *there], env=who, cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def killed(self, when: str, words: str) -> None:
        """Tune in a process that is killed, as hard as can be, before or after a command."""
        script = self.folder / "runner"
        script.write_text(RUNNER.format(words=f'"{words}"', when=when, container=self.container))
        done = self.tune("bf_window=4320", "--yes", "--no-trial", runner=f"sh {script}")
        assert done.returncode == -9, done.stderr

    @property
    def text(self) -> str:
        return self.scratch.stack.said("slurmctld", f"cat {self.scratch.dir}/slurm.conf")

    @property
    def shown(self) -> dict[str, str]:
        """What scontrol show config has, as soon as the controller answers."""
        shows = until(self.scratch.stack, lambda: self.scratch.scontrol("show config"), bool)
        value = re.search(r"^SchedulerParameters\s*=\s*(\S*)$", shows, re.MULTILINE)
        assert value, shows
        return parameters_of(value[1])


@pytest.fixture
def desk(scratch: Scratch, tmp_path: Path) -> Desk:
    return Desk(scratch, tmp_path)


@FOREGROUND
def test_a_dry_run_changes_nothing_a_real_one_does_and_an_undo_gives_the_old_file_back(desk: Desk) -> None:
    before = desk.text
    words = ["bf_window=4320", "bf_resolution=300", "bf_continue"]
    dry = desk.tune(*words, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"-{LINE}" in dry.stdout
    assert (
        "+SchedulerParameters=bf_interval=5,bf_window=4320,bf_resolution=300,bf_continue # of the site\n" in dry.stdout
    )
    assert "hpcjobs: trial: a second slurmctld was up after " in dry.stderr
    assert dry.stderr.splitlines()[-1] == (
        "hpcjobs: would be tuned: bf_window=4320 (was bf_window=1440), bf_resolution=300 (was not set), "
        "bf_continue (was not set); nothing was written"
    )
    assert (desk.text, desk.shown) == (before, parameters_of("bf_interval=5,bf_window=1440"))

    done = desk.tune(*words, "--yes", "--keep", "bf_continue")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: tuned: bf_window=4320 (was bf_window=1440), ")
    assert desk.shown == parameters_of("bf_interval=5,bf_window=4320,bf_resolution=300")
    again = desk.tune("bf_window=4320", "--yes")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "hpcjobs: nothing to do: slurmctld has these parameters\n"

    undone = desk.tune("--undo", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert (desk.text, desk.shown) == (before, parameters_of("bf_interval=5,bf_window=1440"))
    assert desk.tune("--undo", "--yes").stderr == "hpcjobs: nothing to do: nothing was tuned\n"


@DAEMON
def test_a_value_that_slurmctld_refuses_is_not_written_or_rolled_back_with_its_own_words(desk: Desk) -> None:
    before = desk.text
    tried = desk.tune("bf_window=0", "bf_resolution=300", "--yes")
    assert tried.returncode == 1, tried.stderr
    complaint = "error: Invalid SchedulerParameters bf_window: 0"
    assert f"hpcjobs: error: in a trial, {complaint}\n" in tried.stderr
    assert tried.stderr.splitlines()[-1] == "hpcjobs: refused: nothing was written"
    assert (desk.text, desk.shown) == (before, parameters_of("bf_interval=5,bf_window=1440"))

    done = desk.tune("bf_window=0", "bf_resolution=300", "--yes", "--no-trial")
    assert done.returncode == 1, done.stderr
    assert f"hpcjobs: error: slurmctld says: {complaint}\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("hpcjobs: rolled back: the old files are in place")
    assert (desk.text, desk.shown) == (before, parameters_of("bf_interval=5,bf_window=1440"))


@FOREGROUND
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_was_killed_while_it_told_the_controller_is_undone_by_recover(desk: Desk, when: str) -> None:
    before = desk.text
    desk.killed(when, "scontrol reconfigure")
    assert "bf_window=4320" in desk.text
    dry = desk.tune("bf_window=4320", "--dry-run")
    assert (dry.returncode, "recover first" in dry.stderr) == (1, True)
    undone = desk.tune("--recover")
    assert undone.returncode == 0, undone.stderr
    assert "had not come to its end" in undone.stderr
    assert (desk.text, desk.shown) == (before, parameters_of("bf_interval=5,bf_window=1440"))
    assert desk.tune("--recover").stderr == "hpcjobs: nothing was left half done\n"


@DAEMON
def test_what_policy_backfill_says_of_the_live_queue_comes_to_slurm_conf(desk: Desk, use: Use) -> None:
    stack: Stack = desk.scratch.stack
    assert desk.tune("--yes").stderr.startswith("hpcjobs: nothing to do: no policy says how to tune the scheduler")
    use(backfill={"period_s": 1.0})
    jobs = [number_of(stack, stack.submit(SLEEP.format(600), **whole(nodes_of(stack)))) for _ in range(2)]
    (info,) = until(stack, lambda: report(stack).policies, lambda told: any("bf_window" in str(one) for one in told))
    done = desk.tune("--yes")
    assert done.returncode == 0, done.stderr
    wished = next(action.parameters for action in info.actions if hasattr(action, "parameters"))
    assert wished.items() >= {"bf_window": "1440"}.items()
    words = {name: f"{name}={value}" if value else name for name, value in wished.items()}
    assert desk.shown == {**parameters_of("bf_interval=5"), **words}
    assert "# hpcjobs tune: bf_" in desk.text
    use(dry_run=True, backfill={"period_s": 1.0})
    until(stack, lambda: report(stack).policies, lambda told: any("bf_window" in str(one) for one in told))
    assert "backfill is in dry-run mode: what it says is left out" in desk.tune("--yes").stderr
    cancel(stack, *jobs)

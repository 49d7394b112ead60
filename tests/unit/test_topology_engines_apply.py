from __future__ import annotations

import hashlib
import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from hpcjobs.errors import Conflict, Unavailable
from hpcjobs.slurmconf.bring import End, recover
from hpcjobs.slurmconf.controller import Place
from hpcjobs.slurmconf.lines import Unreadable
from hpcjobs.slurmconf.runner import CommandRunner, Ran, local, locked, over_ssh, read_bytes
from hpcjobs.slurmconf.swap import JOURNAL
from hpcjobs_plugins.topology.apply import Applied, Order, apply
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import Kind, Plan, SwitchLine, Topology
from hpcjobs_plugins.topology.engines.topology_conf import write_conf

from .topologies import shown

pytestmark = pytest.mark.thorough

OLD = Topology(switches=(SwitchLine("s1", ("c1", "c2", "c3", "c4")),))
NEW = Topology(
    switches=(SwitchLine("s1", ("c1", "c2")), SwitchLine("s2", ("c3", "c4")), SwitchLine("r", (), ("s1", "s2")))
)

SCONTROL = """#!/bin/sh
# A controller of files: what it shows is what it loaded last; how it takes an order to load is in `mood`.
home=$(dirname "$0")
[ "$SLURM_CONF" = "$home/slurm.conf" ] || [ "$1" = -V ] || exit 9
load() {
  cp "$home/shown/$(sha256sum <"$home/topology.conf" | cut -c 1-64)" "$home/loaded" && echo load >>"$home/loads"
}
[ "$1" = -vvv ] && shift
case $1 in
-V) echo slurm 24.11.5; exit ;;
esac
if [ -e "$home/dead" ]; then
  echo 'scontrol: debug2: Error connecting slurm stream socket at 127.0.0.1:1: Connection refused' >&2
  exit 1
fi
case $1 in
ping) echo 'Slurmctld(primary) at here is UP' ;;
show) [ $# = 2 ] && cat "$home/loaded" ;;
reconfigure)
  mood=$(cat "$home/mood")
  [ -e "$home/once" ] && echo well >"$home/mood"
  case $mood in
  well) load ;;
  refuse) echo 'slurm_reconfigure error: Invalid argument' >&2; exit 1 ;;
  die) touch "$home/dead" ;;
  sleep) ;;
  esac ;;
*) exit 8 ;;
esac
"""


class Controller:
    """A folder with a slurm.conf, and a scontrol that has loaded OLD from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shown").mkdir()
        (folder / "slurm.conf").write_text("ClusterName=x\nTopologyPlugin=topology/tree\nNodeName=c[1-4]\n")
        (folder / "topology.conf").write_text("SwitchName=s1 Nodes=c[1-4] # by hand\n")
        (folder / "topology.conf").chmod(0o640)
        for text, topology in ((self.read("topology.conf"), OLD), (write_conf(NEW), NEW)):
            (folder / "shown" / hashlib.sha256(text.encode()).hexdigest()).write_text(shown(topology))
        (folder / "loaded").write_text(shown(OLD))
        (folder / "scontrol").write_text(SCONTROL)
        (folder / "scontrol").chmod(0o755)
        self.mood("well")
        self.place = Place(conf_dir=str(folder), scontrol=str(folder / "scontrol"))

    def mood(self, mood: str, *, once: bool = False) -> None:
        (self.folder / "mood").write_text(mood)
        if once:
            (self.folder / "once").touch()

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def snapshot(self) -> dict[str, bytes]:
        there = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
        return {str(path): path.read_bytes() for path in there}

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.name.startswith(("topology", ".hpc", "slurm"))}


@pytest.fixture(autouse=True)
def a_dead_controller_is_soon_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpcjobs.slurmconf.bring.DEAD_S", 0.5)


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path.resolve())


def order(plan: Plan | None = None, **more: object) -> Order:
    return Order(**{"plan": plan or Plan((NEW,)), "tried": False, "load_s": 30.0, **more})


def test_a_new_topology_is_written_loaded_and_shown_and_the_old_file_is_kept(controller):
    old = controller.read("topology.conf")
    applied = apply(local(), controller.place, order(), now=lambda: 1_800_000_000.25)
    assert (applied.end, applied.reasons, applied.recovered) == (End.APPLIED, (), "")
    assert controller.read("topology.conf") == write_conf(NEW)
    assert stat.S_IMODE((controller.folder / "topology.conf").stat().st_mode) == 0o640
    assert controller.read("loaded") == shown(NEW)
    backup = f"{controller.folder}/topology.conf.hpcjobs-20270115T080000.250Z"
    assert applied.backups == (backup,)
    assert Path(backup).read_text() == old
    assert "-SwitchName=s1 Nodes=c[1-4] # by hand\n" in applied.changes[f"{controller.folder}/topology.conf"]
    assert not any("new" in name or "journal" in name for name in controller.names())


def test_a_topology_of_any_name_is_the_default_one_of_topology_conf(controller):
    fat = msgspec.structs.replace(NEW, name="fat")
    assert apply(local(), controller.place, order(Plan((fat,)))).end is End.APPLIED


def test_what_is_there_already_is_left_alone(controller):
    apply(local(), controller.place, order())
    before = controller.snapshot()
    assert apply(local(), controller.place, order()).end is End.SAME
    assert controller.snapshot() == before


def test_files_that_are_right_are_loaded_where_the_controller_shows_something_else(controller):
    (controller.folder / "topology.conf").write_text(write_conf(NEW))
    assert apply(local(), controller.place, order()).end is End.APPLIED
    assert controller.read("loaded") == shown(NEW)


def test_a_dry_run_writes_nothing_and_says_what_would_change(controller):
    before = controller.snapshot()
    applied = apply(local(), controller.place, order(dry=True))
    assert applied.end is End.DRY
    assert "+SwitchName=r Switches=s[1-2]" in applied.changes[f"{controller.folder}/topology.conf"]
    assert controller.snapshot() == before


def test_slurm_conf_is_changed_with_it_where_it_must_be(controller):
    (controller.folder / "slurm.conf").write_text("ClusterName=x # mine\nNodeName=c[1-4]\n")
    applied = apply(local(), controller.place, order(params=("RoutePart",)))
    assert applied.end is End.APPLIED
    assert controller.read("slurm.conf") == (
        "ClusterName=x # mine\nNodeName=c[1-4]\nTopologyPlugin=topology/tree\nTopologyParam=RoutePart\n"
    )
    assert len(applied.backups) == 2


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (Plan((Topology(switches=(SwitchLine("s1", ("c1", "c9")),)),)), "node-unknown"),
        (Plan((Topology(switches=(SwitchLine("s1", (), ("s1",)),)),)), "cycle"),
        (Plan((OLD, Topology("b", Kind.FLAT))), "kind-unknown"),
    ],
)
def test_what_slurm_would_not_take_as_it_is_meant_is_refused_before_anything_is_written(controller, plan, code):
    before = controller.snapshot()
    applied = apply(local(), controller.place, order(plan))
    assert applied.end is End.REFUSED
    assert code in {finding.code for finding in applied.findings}
    assert applied.reasons
    assert controller.snapshot() == before


def test_topology_yaml_is_refused_for_a_slurm_that_does_not_read_it(controller):
    applied = apply(local(), controller.place, order(form=Form.YAML))
    assert applied.end is End.REFUSED
    assert applied.reasons == ("Slurm 24.11 does not read topology.yaml",)


@pytest.mark.parametrize(
    ("mood", "reason"), [("refuse", "Invalid argument"), ("sleep", "switch s1 has c[3-4] as well")]
)
def test_where_the_controller_refuses_or_shows_something_else_the_old_files_come_back(controller, mood, reason):
    old = controller.read("topology.conf")
    controller.mood(mood, once=True)
    applied = apply(local(), controller.place, order(load_s=2.0))
    assert applied.end is End.ROLLED_BACK
    assert reason in applied.reasons[0]
    assert controller.read("topology.conf") == old
    assert stat.S_IMODE((controller.folder / "topology.conf").stat().st_mode) == 0o640
    assert controller.read("loaded") == shown(OLD)
    assert controller.read("loads") == "load\n"
    assert JOURNAL not in controller.names()


def test_where_the_controller_dies_it_is_started_again_on_the_old_files(controller):
    old = controller.read("topology.conf")
    controller.mood("die", once=True)
    begin = Place(
        conf_dir=controller.place.conf_dir,
        scontrol=controller.place.scontrol,
        start=("rm", str(controller.folder / "dead")),
    )
    applied = apply(local(), begin, order())
    assert applied.end is End.ROLLED_BACK
    assert applied.reasons == ("the controller has died of it",)
    assert controller.read("topology.conf") == old


def test_where_nothing_starts_it_again_that_is_said_and_the_old_files_are_there(controller):
    old = controller.read("topology.conf")
    controller.mood("die")
    applied = apply(local(), controller.place, order(load_s=1.0))
    assert applied.end is End.DOWN
    assert applied.reasons[-1].endswith("start it")
    assert controller.read("topology.conf") == old


def test_two_at_once_cannot_be(controller):
    with locked(local(), f"{controller.folder}/.hpcjobs-conf.lock", "x"), pytest.raises(Conflict):
        apply(local(), controller.place, order())
    assert apply(local(), controller.place, order()).end is End.APPLIED


def test_a_file_behind_a_link_is_changed_where_it_is(controller):
    real = controller.folder / "elsewhere"
    real.mkdir()
    (controller.folder / "topology.conf").rename(real / "tree.conf")
    (controller.folder / "topology.conf").symlink_to("elsewhere/tree.conf")
    assert apply(local(), controller.place, order()).end is End.APPLIED
    assert (controller.folder / "topology.conf").is_symlink()
    assert (real / "tree.conf").read_text() == write_conf(NEW)


def test_a_folder_that_is_not_there_is_an_error_that_says_so(controller, tmp_path):
    with pytest.raises(Unavailable, match="nowhere is not there"):
        apply(local(), Place(conf_dir=str(tmp_path / "nowhere")), order())


def test_a_slurm_conf_that_cannot_be_read_is_an_error_and_nothing_is_written(controller):
    (controller.folder / "slurm.conf").write_text("Include more.conf\n")
    before = controller.snapshot()
    with pytest.raises(Unreadable, match=r"more.conf: the file is not there"):
        apply(local(), controller.place, order())
    assert controller.snapshot() == before


@pytest.mark.parametrize(("name", "there"), [("topology.conf", True), ("topology.conf", False), ("slurm.conf", True)])
def test_what_somebody_else_writes_while_it_asks_is_not_lost(controller, name, there):
    def while_asked(_: Applied) -> bool:
        with open(controller.folder / name, "a") as file:
            file.write("# by somebody else\n")
        theirs.update(controller.snapshot())
        return True

    if not there:
        (controller.folder / name).unlink()
    theirs: dict[str, bytes] = {}
    applied = apply(local(), controller.place, order(params=("RoutePart",)), agreed=while_asked)
    assert applied.end is End.REFUSED
    (reason,) = applied.reasons
    assert reason.startswith(f"{controller.folder}/{name} was changed by somebody else after it was read")
    assert controller.snapshot() == theirs
    assert controller.read(name).endswith("# by somebody else\n")


class Dying(CommandRunner):
    """Ends this process just before its n-th command: as hard as can be."""

    def __init__(self, commands: int) -> None:
        super().__init__()
        self.left = commands

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout_s: float = 60) -> Ran:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(argv, stdin, timeout_s)


def dies_after(commands: int, controller: Controller) -> bool:
    """Apply in a process that is killed before its next command; whether it was."""
    child = os.fork()
    if not child:
        try:
            apply(Dying(commands), controller.place, order(params=("RoutePart",)))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.thorough
def test_killed_at_any_point_it_leaves_old_or_new_files_and_the_next_run_says_so_and_goes_on(tmp_path):
    found = []
    for commands in range(100):
        folder = tmp_path / str(commands)
        folder.mkdir()
        controller = Controller(folder)
        old = {name: controller.read(name) for name in ("topology.conf", "slurm.conf")}
        new = {"topology.conf": write_conf(NEW), "slurm.conf": old["slurm.conf"] + "TopologyParam=RoutePart\n"}
        if not dies_after(commands, controller):
            break
        for name in old:
            assert controller.read(name) in (old[name], new[name])
        journal = (folder / JOURNAL).exists()
        said = recover(local(), controller.place)
        assert bool(said) == journal
        if journal:
            assert {name: controller.read(name) for name in old} == old
            assert controller.read("loaded") == shown(OLD)
            assert f"{folder}/topology.conf, {folder}/slurm.conf are as they were before it" in said
        assert recover(local(), controller.place) == ""
        found.append(journal)
        assert apply(local(), controller.place, order(params=("RoutePart",))).end in (End.APPLIED, End.SAME)
        assert {name: controller.read(name) for name in old} == new
    else:
        pytest.fail("it never came to its end")
    assert found.count(True) >= 4
    assert found.count(False) >= 10


@pytest.mark.thorough
def test_the_next_run_itself_undoes_what_was_left_and_says_it(controller):
    commands = next(n for n in range(100) if dies_after(n, controller) and (controller.folder / JOURNAL).exists())
    assert commands
    applied = apply(local(), controller.place, order())
    assert applied.end is End.APPLIED
    assert "had not come to its end" in applied.recovered


@pytest.mark.thorough
def test_a_dry_run_does_not_undo_what_was_left_but_says_it(controller):
    assert any(dies_after(n, controller) and (controller.folder / JOURNAL).exists() for n in range(100))
    before = controller.snapshot()
    applied = apply(local(), controller.place, order(dry=True))
    assert applied.end is End.REFUSED
    assert applied.reasons[0].endswith("recover first")
    assert controller.snapshot() == before


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(controller):
    away = controller.folder / "away"
    away.mkdir()
    (away / "common.conf").write_text("TopologyPlugin=topology/flat\n")
    (controller.folder / "slurm.conf").write_text("NodeName=c[1-4]\nInclude away/common.conf\n")
    (away / "common.conf.hpcjobs-new").mkdir()  # in the way of the new file, even for root
    before = controller.snapshot()
    with pytest.raises(Unavailable, match=r"common.conf.hpcjobs-new cannot be written"):
        apply(local(), controller.place, order())
    assert controller.snapshot() == before


def test_a_journal_that_is_none_is_left_and_stops_everything(controller):
    (controller.folder / JOURNAL).write_text("{}")
    with pytest.raises(Unavailable, match="is no journal of ours"):
        apply(local(), controller.place, order())
    assert controller.read("topology.conf") != write_conf(NEW)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_began():
    ran = local().run(["sh", "-c", "sleep 77 & sleep 78"], timeout_s=0.3)
    assert ran.code == 124


def test_a_file_comes_back_byte_by_byte(tmp_path):
    data = bytes(range(256)) * 300
    (tmp_path / "x y'z").write_bytes(data)
    assert read_bytes(local(), str(tmp_path / "x y'z")) == data
    assert read_bytes(local(), str(tmp_path / "not there")) is None
    with pytest.raises(Unavailable, match="cannot be read"):
        read_bytes(local(), str(tmp_path))


def test_what_goes_over_ssh_is_quoted_once_more(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\n[ "$2" = root@ctl ] && shift 2 && exec sh -c "$*"\n'
    )
    ssh.chmod(0o755)
    runner = CommandRunner([str(ssh), "-T", "--", "root@ctl"], quoted=True)
    assert runner.run(["printf", "%s|", "a b", "$HOME", "'"]).out == b"a b|$HOME|'|"
    assert over_ssh("root@ctl")._words(["echo", "a b"])[-2:] == ["root@ctl", "echo 'a b'"]


def test_a_program_that_is_not_there_is_an_error():
    with pytest.raises(Unavailable, match="cannot be run"):
        CommandRunner(["/nowhere/ssh"]).run(["true"])

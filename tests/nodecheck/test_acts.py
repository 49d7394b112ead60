"""What follows from what is found: pure, and as the program tells Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpcjobs.nodecheck.checks import KINDS
from hpcjobs.nodecheck.decide import DRAIN, NOTHING, RESUME, Memory, Resume, is_ours, named, order, reason_of, weigh
from hpcjobs.nodecheck.slurm import Seen, read

from .recorded import FOLDER, IDLE, Recorded

XID = "3,3,9000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=4, name=a, GPU has fallen off the bus.\n"
OURS = "hpcjobs: disk: / has 1.0 % left"
ONCE = dict.fromkeys(KINDS, 1)


def as_slurm_has_it(*state: str, reason: str = "", by: str = "root") -> Seen:
    return Seen(frozenset(state), reason, by, "")


@pytest.mark.parametrize(
    ("seen", "words", "drained"),
    [
        (as_slurm_has_it("IDLE"), True, True),
        (as_slurm_has_it("ALLOCATED", reason="an old remark"), True, True),
        (as_slurm_has_it("IDLE", "DRAIN", reason="bad fan", by="admin"), False, False),
        (as_slurm_has_it("IDLE", "DRAIN", reason="bad fan"), False, False),
        (as_slurm_has_it("IDLE", "DRAIN", reason=OURS, by="alice"), False, False),
        (as_slurm_has_it("IDLE", "DRAIN", reason="hpcjobs: lemon: fails often"), False, False),
        (as_slurm_has_it("DOWN", reason="Not responding", by="slurm"), False, False),
        (as_slurm_has_it("IDLE", "DRAIN", reason=OURS), False, True),
        (as_slurm_has_it("IDLE", "DRAIN", reason="hpcjobs: edac: mc0"), True, True),
    ],
)
def test_a_node_is_drained_unless_it_is_away_for_somebody_else(seen: Seen, words: bool, drained: bool) -> None:
    told = order(DRAIN, OURS.replace("1.0", "0.9"), seen, "root", KINDS)
    assert told.words == (("State=DRAIN", "Reason=hpcjobs: disk: / has 0.9 % left") if words else ())
    assert told.drained == drained


@pytest.mark.parametrize(
    ("seen", "words", "drained"),
    [
        (as_slurm_has_it("IDLE", "DRAIN", reason=OURS), True, False),
        (as_slurm_has_it("MIXED", "DRAIN", reason=OURS), True, False),
        (as_slurm_has_it("DOWN", "DRAIN", reason=OURS), False, True),
        (as_slurm_has_it("IDLE", "DRAIN", reason="bad fan"), False, False),
        (as_slurm_has_it("IDLE", "DRAIN", reason=OURS, by="admin"), False, False),
        (as_slurm_has_it("IDLE"), False, False),
    ],
)
def test_only_a_drain_of_ours_is_resumed(seen: Seen, words: bool, drained: bool) -> None:
    assert order(RESUME, "", seen, "root", KINDS) == ((("State=UNDRAIN",) if words else ()), drained)


def test_a_node_is_drained_when_a_check_finds_something_so_often_and_resumed_when_all_is_well_so_often() -> None:
    resume, memory, wants = Resume(True, 2, 3), Memory({}, drained=False), []
    for faults in ({"clock": ["x"]}, {}, {"clock": ["x"]}, {"clock": ["x"]}, {}, {"disk": ["y"]}, {}, {}, {}):
        memory, want, _ = weigh(memory, faults, ONCE | {"clock": 2}, "periodic", resume, 100.0)
        memory = memory._replace(drained={DRAIN: True, RESUME: False}.get(want, memory.drained))
        wants.append(want)
    assert wants == [NOTHING, NOTHING, NOTHING, DRAIN, NOTHING, DRAIN, NOTHING, RESUME, NOTHING]


@pytest.mark.parametrize(
    ("memory", "resume"),
    [
        (Memory({}, 9, True), Resume(False, 2, 3)),
        (Memory({}, 9, False), Resume(True, 2, 3)),
        (Memory({}, 0, True), Resume(True, 2, 3)),
        (Memory({}, 9, True, (100.0, 200.0, 300.0)), Resume(True, 2, 3)),
    ],
)
def test_a_node_stays_drained(memory: Memory, resume: Resume) -> None:
    assert weigh(memory, {}, ONCE, "periodic", resume, 86000.0)[1] == NOTHING


def test_a_node_that_came_and_went_is_resumed_the_day_after_and_one_of_which_nothing_is_remembered_is_asked() -> None:
    memory = Memory({}, 9, True, (100.0, 200.0, 300.0))
    assert weigh(memory, {}, ONCE, "periodic", Resume(True, 2, 3), 86501.0)[1] == RESUME
    assert weigh(Memory({}, 9, None), {}, ONCE, "periodic", Resume(True, 2, 3), 0.0)[1] == RESUME


def test_a_prolog_does_not_wait_for_a_second_time_and_never_resumes() -> None:
    twice = ONCE | {"mounts": 2}
    memory, want, because = weigh(Memory({}, 5, False), {"mounts": ["x"]}, twice, "prolog", Resume(True, 2, 3), 0.0)
    assert (want, because, memory.good) == (DRAIN, ["mounts"], 0)
    assert weigh(Memory({}, 9, True), {}, ONCE, "epilog", Resume(True, 2, 3), 0.0)[1] == NOTHING


def test_a_reason_says_which_checks_and_cannot_be_taken_for_another() -> None:
    reason = reason_of({"disk": ["/ has 1 % left", "/tmp; [full]"], "kernel": ["x" * 500], "edac": ["y" * 500]})
    assert reason.startswith("hpcjobs: disk: / has 1 % left, /tmp, (full); kernel: xxx")
    assert named(reason_of({"disk": ["a: b"], "edac": ["c"]})) == {"disk", "edac"}
    assert len(reason) <= 300
    assert is_ours(reason, KINDS)
    shown = read(f"{IDLE}   Reason={reason} [root@2026-11-28T14:07:26]\n")
    assert (shown.reason, shown.by) == (reason, "root")


@pytest.mark.parametrize(
    ("text", "state", "reason", "by"),
    [
        (
            "State=IDLE+DRAIN X=1\n   Reason=bad fan [admin@2026-11-28T14:07:26]\n",
            {"IDLE", "DRAIN"},
            "bad fan",
            "admin",
        ),
        (
            "State=DOWN*+DRAIN X=1\n   Reason=a [b] [slurm(64030)@2026-11-28T14:07:26]\n",
            {"DOWN", "DRAIN"},
            "a [b]",
            None,
        ),
        ("State=IDLE* X=1\n   Reason=no user\n   Comment=c\n", {"IDLE"}, "no user", ""),
        (IDLE, {"IDLE"}, "", ""),
    ],
)
def test_what_scontrol_says_is_read(text: str, state: set[str], reason: str, by: str | None) -> None:
    seen = read(text)
    assert (seen.state, seen.reason) == (state, reason)
    assert by is None or seen.by == by


def test_a_node_is_drained_once_and_resumed_where_the_site_says_so(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.site(resume={"do": True, "good": 2})
    node.has("/dev/kmsg", XID)
    node.check("--as", "periodic", code=0)
    assert [one.split(" Reason=")[0] for one in node.told()] == ["State=DRAIN"]
    reason = node.told()[0].partition("Reason=")[2]
    node.says("scontrol", IDLE.replace("IDLE", "IDLE+DRAIN") + f"   Reason={reason} [root@2026-11-28T14:07:26]\n")
    node.check("--as", "periodic", code=0)
    node.check("--forget", code=0)
    node.check("--as", "periodic", code=0)
    assert len(node.told()) == 1
    node.check("--as", "periodic", code=0)
    assert node.told()[1:] == ["State=UNDRAIN"]


def test_a_well_node_asks_the_controller_nothing(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.check("--as", "periodic", code=0)
    (tmp_path / "calls").unlink()
    node.check("--as", "periodic", code=0)
    node.check("--as", "prolog", code=0)
    assert {line.split()[0] for line in (tmp_path / "calls").read_text().splitlines()} == {"slurmd", "nvidia-smi"}


def test_a_prolog_fails_and_drains_and_an_epilog_only_drains(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.has("/dev/kmsg", XID)
    assert "n1: kernel: xid-79" in node.check("--as", "prolog", code=3)
    assert len(node.told()) == 1
    node.site(checks={"kernel": {"as": ["epilog"]}})
    node.check("--as", "epilog", code=0)
    assert len(node.told()) == 2
    node.says("scontrol", "slurm_load_node error: Unable to contact slurm controller\n", then="exit 1")
    assert "the controller does not say" in node.check("--as", "epilog", code=3)


def test_a_check_that_does_not_answer_may_be_one_of_a_busy_node(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.says("nvidia-smi", "", then="exec sleep 50")
    node.site(checks={"accelerators": {"limit_s": 0.5, "strikes": 1, "as": ["periodic", "prolog"]}})
    words = ("--only", "accelerators", "--as")
    assert "accelerators: not looked at: no answer within 0.5 s" in node.check(*words, "prolog", code=0)
    for _ in range(2):
        assert "no answer within 0.5 s" in node.check(*words, "periodic", code=0)
        assert node.told() == []
    node.check(*words, "periodic", code=0)
    assert node.told() == ["State=DRAIN Reason=hpcjobs: accelerators: no answer within 0.5 s"]


def test_a_check_that_breaks_is_no_illness(tmp_path: Path) -> None:
    node = Recorded(tmp_path)
    node.lacks("/usr/bin/slurmd")
    assert "gres: not looked at: there is no program slurmd" in node.check("--as", "prolog", code=0)
    assert node.told() == []


@pytest.mark.parametrize(("ends", "with_"), [(0, 0), (3, 1), (1, 0), (2, 0), (127, 0)])
def test_slurm_hears_of_illness_only(tmp_path: Path, ends: int, with_: int) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\necho "$*"\nexit {ends}\n')
    python.chmod(0o755)
    for name in ("periodic", "prolog", "epilog"):
        ran = subprocess.run(
            [str(FOLDER / name)], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == with_
        assert ran.stdout == f"-I -S {FOLDER} --as {name}\n"

"""What is found on recorded nodes, by the program as nodes have it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .recorded import PORT, WELL, Recorded

OLDEST = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3"))[-1:]
EDAC = "/sys/devices/system/edac/mc/mc0/"
KMSG = WELL["/dev/kmsg"]
AT = "3,3,9000,-;"


@pytest.fixture
def node(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


@pytest.mark.parametrize("python", [sys.executable, *OLDEST], ids=lambda path: Path(path).parts[-3])
def test_nothing_is_found_on_a_node_that_is_well(node: Recorded, python: str) -> None:
    lines = node.check(python=python, code=0).splitlines()
    assert len(lines) == 11
    assert {line.split()[1] for line in lines} == {"well"}
    assert node.told() == []


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("/dev/kmsg", f"{KMSG}{AT}NVRM: Xid (PCI:0000:3b:00): 79, pid=4, name=a, GPU has fallen\n", "xid-79: NVRM"),
        ("/dev/kmsg", f"{KMSG}{AT}nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30\n", "sxid-fatal"),
        ("/dev/kmsg", f"{KMSG}{AT}mce: Uncorrected hardware memory error in user-access at 7f2a\n", "uncorrected"),
        ("/dev/kmsg", f"{KMSG}{AT}blk_update_request: I/O error, dev nvme0n1, sector 8\n", "disk-error"),
        (f"{PORT}state", "2: INIT\n", "mlx5_0/1 is INIT (LinkUp)"),
        (f"{EDAC}ue_count", "2\n", "mc0: 2 errors that could not be corrected"),
        ("/proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 9216 kB\n", "9 MiB available of 1024"),
        ("/etc/slurm/common.conf", "SlurmdSpoolDir=/var/spool/away/%n\n", "/var/spool/away/n1: No such file"),
        ("/etc/hpcjobs/health.json", '{"checks": {"mounts": {"needed": ["/data"]}}}', "/data is not mounted"),
        ("/etc/hpcjobs/health.json", '{"checks": {"mounts": {"needed": ["/"]}}}', ""),
        ("/etc/hpcjobs/health.json", '{"checks": {"fabric": {"ports": ["mlx5_1/1"]}}}', "mlx5_1/1 is DOWN (Disabled)"),
        ("/etc/hpcjobs/health.json", '{"checks": {"fabric": {"ports": ["mlx5_9/1"]}}}', "mlx5_9/1 is not there"),
        ("/etc/hpcjobs/health.json", '{"checks": {"fabric": {"rate_gbps": 400}}}', "mlx5_0/1 has 200 Gb/s, not 400"),
        ("/etc/hpcjobs/health.json", '{"checks": {"disk": {"free_percent": 100}}}', "/ has "),
        ("/etc/hpcjobs/health.json", '{"checks": {"disk": {"folders": ["/data"]}}}', "/data: No such file"),
        ("/etc/hpcjobs/health.json", '{"checks": {"disk": {"write": ["/dev/nvidia0"]}}}', "be written: Not a"),
        ("/etc/hpcjobs/health.json", '{"checks": {"memory": {"total_mib": 256000}}}', "128000 MiB in all, not 256000"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(node: Recorded, path: str, text: str, says: str) -> None:
    node.has(path, text)
    told = node.check(code=3 if says else 0)
    assert says in told
    assert sum("well" not in line for line in told.splitlines()) == bool(says)


def test_slurmd_that_misses_a_device_file_would_wait_and_is_not_waited_for(node: Recorded) -> None:
    node.says("slurmd", "[x] error: Waiting for gres.conf file /dev/nvidia3\n", then="exec sleep 20")
    assert "gres          /dev/nvidia3 is not there" in node.check("--only", "gres", code=3)


def test_fewer_devices_than_the_controller_has_are_told(node: Recorded) -> None:
    node.says("slurmd", "Gres Name=gpu Type=h100 Count=7 Index=0 ID=7696487 File=/dev/nvidia[0-6]\n")
    assert "7 of 8 gpu:h100" in node.check("--only", "gres", code=3)


def test_a_vendors_command_is_asked_and_may_not_answer(node: Recorded) -> None:
    node.says("nvidia-smi", "    Remapping Failure Occurred : Yes\n")
    assert "nvidia: Remapping Failure Occurred : Yes" in node.check("--only", "accelerators", code=3)
    node.says("nvidia-smi", "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.\n", then="exit 15")
    assert "nvidia: nvidia-smi ended with 15" in node.check("--only", "accelerators", code=3)
    node.says("nvidia-smi", "", then="exec sleep 50")
    node.site(checks={"accelerators": {"limit_s": 0.5}})
    assert "no answer within 0.5 s" in node.check("--only", "accelerators", code=3)
    node.lacks("/dev/nvidia0")
    assert "well" in node.check("--only", "accelerators", code=0)


def test_counters_may_grow_a_little(node: Recorded) -> None:
    words = ("--as", "periodic", "--only", "fabric", "--only", "edac")
    node.check(*words, code=0)
    node.has(f"{PORT}counters/link_downed", "4")
    node.has(f"{EDAC}ce_count", "1007")
    node.check(*words, code=0)
    assert node.told() == []
    node.has(f"{PORT}counters/link_downed", "5")
    node.has(f"{EDAC}ce_count", "1008")
    node.check(*words, code=0)
    (told,) = node.told()
    assert "fabric: mlx5_0/1 link_downed grew by 2 within an hour" in told
    assert "edac: mc0: 1001 errors corrected within an hour" in told


def test_a_port_that_was_active_must_stay_so_until_the_node_boots(node: Recorded) -> None:
    node.check("--as", "periodic", "--only", "fabric", code=0)
    node.has(f"{PORT}state", "1: DOWN\n")
    node.has(f"{PORT}phys_state", "2: Polling\n")
    assert "mlx5_0/1 is DOWN (Polling)" in node.check("--only", "fabric", code=3)
    node.has("/proc/sys/kernel/random/boot_id", "two\n")
    node.check("--only", "fabric", code=0)


def test_what_was_mended_is_forgotten_and_what_comes_after_is_not(node: Recorded) -> None:
    node.check("--as", "periodic", code=0)
    gone = KMSG + "3,3,9000,-;NVRM: Xid (PCI:0000:3b:00): 79, pid=4, name=a, GPU has fallen off the bus.\n"
    node.has("/dev/kmsg", gone)
    node.has(f"{EDAC}ue_count", "1\n")
    node.has(f"{EDAC}dimm3/dimm_ue_count", "1\n")
    told = node.check(code=3)
    assert "xid-79" in told
    assert "(CPU0_DIMM_B1)" in told
    node.check("--forget", code=0)
    node.check(code=0)
    node.has("/dev/kmsg", gone + gone.replace("9000", "9999"))
    assert "xid-79" in node.check("--only", "kernel", code=3)


def test_a_line_that_a_site_thinks_nothing_of_is_ignored(node: Recorded) -> None:
    node.has("/dev/kmsg", "3,3,9000,-;NVRM: Xid (PCI:0000:3b:00): 94, pid=4, name=a, Contained memory error\n")
    node.check("--only", "kernel", code=3)
    node.site(checks={"kernel": {"ignore": ["xid-94"]}})
    node.check("--only", "kernel", code=0)


def test_processes_of_a_user_without_a_job_are_told_and_those_below_a_step_are_not(node: Recorded) -> None:
    for pid, name, parent in ((1, "init", 0), (70, "slurmstepd", 1), (71, "python", 70), (80, "left over", 1)):
        node.has(f"/proc/{pid}/status", f"Name:\t{name}\nPPid:\t{parent}\nUid:\t{1001 if pid > 70 else 0}\t0\n")
        node.has(f"/proc/{pid}/stat", f"{pid} ({name}) D {parent} {' '.join(['0'] * 17)} 4242 0\n")
    job = {"SLURM_JOB_ID": "17", "SLURM_JOB_UID": "1001"}
    node.says("squeue", "17\n18\n")
    node.check("--as", "epilog", code=0, **job)
    assert node.told() == []  # they have another job here
    node.says("squeue", "17\n")
    node.check("--as", "epilog", code=0, **job)
    (told,) = node.told()
    assert "leftovers: 1 processes of a job that has ended: 80 left over (D)" in told
    node.check("--only", "leftovers", code=3)  # it is still there
    node.has("/proc/80/stat", f"80 (another) R 1 {' '.join(['0'] * 17)} 5555 0\n")
    node.check("--only", "leftovers", code=0)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"cheks": {}}, "there is no cheks; there are resume, checks"),
        ({"checks": {"disk": {"free": 3}}}, "checks: disk: there is no free"),
        ({"checks": {"disk": {"folders": "/"}}}, "checks: disk: folders: '/' should be a list"),
        ({"checks": {"disk": {"limit_s": True}}}, "should be a number"),
        ({"checks": {"disk": {"as": ["always"]}}}, "there is no always"),
        ({"checks": {"disks": False}}, "there is no check disks"),
        ({"checks": {"disk": 1}}, "should be an object"),
    ],
)
def test_settings_that_cannot_be_are_refused_and_nothing_is_done(node: Recorded, told: object, says: str) -> None:
    node.has("/etc/hpcjobs/health.json", json.dumps(told))
    assert says in node.check("--as", "prolog", code=2)
    assert node.told() == []


def test_a_site_leaves_checks_out_and_has_counters_of_its_own(node: Recorded) -> None:
    node.site(checks={"gres": False, "fabric": {"per_hour": {"VL15_dropped": 5}}})
    assert "gres" not in node.check(code=0)
    node.has("/etc/hpcjobs/health.json", "{")
    assert "health.json" in node.check(code=2)

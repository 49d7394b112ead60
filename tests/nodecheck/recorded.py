"""A recorded node: files below a root, and programs that print what the real ones printed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "hpcjobs" / "nodecheck"
IDLE = "NodeName=n1 Arch=x86_64\n   Gres=gpu:h100:8(S:0-1)\n   State=IDLE ThreadsPerCore=1\n   Comment=x\n"
SLURMD = "[x] Gres Name=gpu Type=h100 Count=8 Index=0 ID=7696487 File=/dev/nvidia[0-7] Links=(null) Flags=HAS_FILE\n"
PORT = "/sys/class/infiniband/mlx5_0/ports/1/"
WELL = {
    "/etc/slurm/slurm.conf": "ClusterName=x\nInclude common.conf\n",
    "/etc/slurm/common.conf": "SlurmdSpoolDir=/var/spool/slurm/%n # as everywhere\n",
    "/var/spool/slurm/n1/cred_state": "",
    "/tmp/.keep": "",
    "/dev/nvidia0": "",
    "/dev/shm/.keep": "",
    "/dev/kmsg": "6,1,100,-;Linux 6.12\n SUBSYSTEM=pci\n4,2,2000,-;NVRM: Xid (PCI:0000:3b:00): 13, pid=4, name=a, b\n",
    "/proc/meminfo": "MemTotal:       131072000 kB\nMemFree:   9 kB\nMemAvailable:   65536000 kB\n",
    "/proc/mounts": "/dev/sda / ext4 rw 0 0\nserver:/home /home\\0401 nfs4 rw 0 0\n",
    "/proc/sys/kernel/random/boot_id": "one\n",
    "/home 1/.keep": "",
    "/sys/devices/system/edac/mc/mc0/ue_count": "0\n",
    "/sys/devices/system/edac/mc/mc0/ce_count": "7\n",
    "/sys/devices/system/edac/mc/mc0/dimm3/dimm_label": "CPU0_DIMM_B1\n",
    "/sys/devices/system/edac/mc/mc0/dimm3/dimm_ue_count": "0\n",
    f"{PORT}state": "4: ACTIVE\n",
    f"{PORT}phys_state": "5: LinkUp\n",
    f"{PORT}rate": "200 Gb/sec (4X HDR)\n",
    f"{PORT}counters/link_downed": "3\n",
    "/sys/class/infiniband/mlx5_1/ports/1/state": "1: DOWN\n",
    "/sys/class/infiniband/mlx5_1/ports/1/phys_state": "3: Disabled\n",
    "/sys/class/infiniband/mlx5_1/ports/1/rate": "40 Gb/sec (4X QDR)\n",
}


class Recorded:
    """One.

    Args:
        root: Where its files are laid.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for path, text in WELL.items():
            self.has(path, text)
        self.says("slurmd", SLURMD)
        self.says("scontrol", IDLE)
        self.says("nvidia-smi", "GPU 00000000:3B:00.0\n    Remapping Failure Occurred : No\n")

    def has(self, path: str, text: str) -> None:
        """A file with that text."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def lacks(self, path: str) -> None:
        """No such file."""
        (self.root / path.lstrip("/")).unlink()

    def says(self, program: str, text: str, then: str = "exit 0") -> None:
        """A program that prints that, and remembers how it was called."""
        calls = shlex.quote(str(self.root / "calls"))
        self.has(
            f"/usr/bin/{program}", f'#!/bin/sh\necho "{program} $*" >>{calls}\nprintf %s {shlex.quote(text)}\n{then}\n'
        )
        (self.root / "usr/bin" / program).chmod(0o755)

    def site(self, **told: object) -> None:
        """A site's settings."""
        self.has("/etc/hpcjobs/health.json", json.dumps(told))

    def check(self, *words: str, python: str = sys.executable, code: int | None = None, **environ: str) -> str:
        """Look at it; all that is said."""
        ran = subprocess.run(
            [python, "-I", "-S", "-W", "error", str(FOLDER), "--root", str(self.root), "--node", "n1", *words],
            capture_output=True, text=True, check=False, timeout=60, env=environ,
        )  # fmt: skip
        assert "Traceback" not in ran.stderr, ran.stderr
        if code is not None:
            assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def told(self) -> list[str]:
        """What Slurm was told so far."""
        calls = self.root / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.partition("NodeName=n1 ")[2] for line in lines if line.startswith("scontrol update")]

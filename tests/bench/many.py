"""A cluster of very many nodes: a slurmd for each, all in one container, in a compose project of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from tests.bench.lab import ROOT, Bench

PROJECT = "hpcjobs-many"
CONF = ROOT / "containers/.run/many-conf"
HOST = "many"
FIRST_PORT = 20_001
SERVICES = ("mariadb", "slurmdbd", "slurmctld", "slurmrestd", "login", "bench", HOST)
PORTS = {"HPCJOBS_SLURMRESTD_PORT": 6830, "HPCJOBS_SSH_PORT": 2230, "HPCJOBS_BENCH_PORT": 8092}
OWN = {"SlurmdSpoolDir": "/var/spool/slurmd/%n", "SlurmdPidFile": "/run/slurm/slurmd.%n.pid"}
"""What each of several slurmds of a host needs for itself."""
GPUS = 8


def written(nodes: int, folder: Path = CONF) -> Path:
    """The configuration of 26.05 with other nodes.

    Args:
        nodes: How many, of eight GPUs.
        folder: Where it is made; what was there before is removed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "slurm-conf", folder)
    common = folder / "common.conf"
    lines = [line for line in common.read_text().splitlines() if line.partition("=")[0] not in OWN]
    common.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in OWN.items()), ""]))
    slurm = folder / "26.05/slurm.conf"
    lines = [line for line in slurm.read_text().splitlines() if not re.match("(NodeName=c|PartitionName=debug)", line)]
    names, ports = f"g[0001-{nodes:04}]", f"[{FIRST_PORT}-{FIRST_PORT + nodes - 1}]"
    # The role finds its nodes by how this line begins.
    lines.append(f"NodeName={names} NodeHostname={HOST} Port={ports} Gres=gpu:h100:{GPUS} Features=h100")
    slurm.write_text("\n".join([*lines, ""]))
    (folder / "26.05/gres.conf").write_text(f"AutoDetect=off\nName=gpu Type=h100 File=/dev/fakegpu[0-{GPUS - 1}]\n")
    return folder


class Many(Bench):
    """The cluster, from nothing; it is removed in the end.

    Args:
        nodes: How many.
    """

    def __init__(self, nodes: int) -> None:
        super().__init__(PROJECT)
        self.nodes = nodes
        self._environment = os.environ | {name: str(port) for name, port in PORTS.items()}
        self._environment |= {"COMPOSE_PROJECT_NAME": PROJECT, "HPCJOBS_SLURM_CONF": str(written(nodes))}
        began = time.monotonic()
        self._cluster("down")
        self._cluster("up", *SERVICES)
        self.service = self.container("bench")
        self.port_of_slurmrestd = self.port("slurmrestd", 6820)
        self.api_port = self.port("bench", 8080)
        self.wait_idle()
        print(f"  {nodes} nodes are idle after {time.monotonic() - began:.0f} s", flush=True)

    def _cluster(self, *words: str) -> None:
        subprocess.run([ROOT / "scripts/cluster", *words], check=True, env=self._environment)

    def wait_idle(self, within_s: float = 600) -> None:
        """Until every node is."""
        give_up = time.monotonic() + within_s
        while (idle := int(self.said("slurmctld", "sinfo -h -N -t idle -o %n | wc -l"))) < self.nodes:
            if time.monotonic() > give_up:
                raise RuntimeError(f"only {idle} of {self.nodes} nodes are idle after {within_s:g} s")
            time.sleep(2)

    def close(self) -> None:
        """Remove it."""
        self._cluster("down")
        shutil.rmtree(CONF, ignore_errors=True)
        self.engine.close()

    def kill_slurmd(self, node: str) -> None:
        """End the slurmd of one node, and what it runs."""
        self.run(HOST, f"kill -9 $(cat /run/slurm/slurmd.{node}.pid); pkill -9 -f '^slurmstepd: .*{node}' || true")

    def start_slurmd(self, node: str) -> None:
        """Start it again."""
        self.run(HOST, f"slurmd -N {node}")

    def memory_bytes(self, service: str) -> int:
        """What a container has, as the engine counts it."""
        return int(self.container(service).stats(stream=False)["memory_stats"]["usage"])

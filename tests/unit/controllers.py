"""A controller made of files: scontrol and slurmctld as scripts that load a topology with our readers and show it.

What Slurm itself makes of the same files is tested where Slurm is (tests/slurm); here the commands need somebody to
talk to.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCONTROL = """#!/bin/sh
home=$(dirname "$SLURM_CONF")
[ "$1" != -vvv ] || shift
case $1 in
-V) echo slurm @release@.1; exit ;;
esac
if [ ! -e "$home/topology.loaded" ] || [ -e "$home/topology.dead" ]; then
  echo 'scontrol: debug2: connect to 127.0.0.1:6817: Connection refused' >&2
  echo 'slurm_load_topo error: Unable to contact slurm controller (connect failure)' >&2
  exit 1
fi
case $1 in
ping) echo 'Slurmctld(primary) at here is UP' ;;
show) cat "$home/topology.loaded/${3:-default}" ;;
reconfigure)
  mood=$(cat "$home/topology.mood" 2>/dev/null)
  rm -f "$home/topology.mood"
  case $mood in
  refuse) echo 'slurm_reconfigure error: Invalid argument' >&2; exit 1 ;;
  die) touch "$home/topology.dead" ;;
  slow) touch "$home/topology.slow"; sleep 300 ;;
  *) @load@ "$home" >&2 ;;
  esac ;;
esac
"""

SLURMCTLD = """#!/bin/sh
while [ "$1" != -f ]; do shift; done
home=$(dirname "$2")
@load@ "$home" || exit 1
exec sleep 60
"""


class StandIn:
    """Folders ``bin`` and ``etc`` of a controller that runs on the topology.conf or topology.yaml in it.

    Args:
        folder: Where.
        nodes: Of its slurm.conf, as a hostlist.
        topology: Of its topology.conf.
        release: Of its programs.
    """

    def __init__(self, folder: Path, nodes: str, topology: str, release: str = "26.05") -> None:
        self.bin, self.etc = folder / "bin", folder / "etc"
        self.bin.mkdir()
        self.etc.mkdir()
        self.write("slurm.conf", f"ClusterName=x\nTopologyPlugin=topology/tree\nNodeName={nodes}\n")
        self.write("topology.conf", topology)
        load = f"env PYTHONPATH={ROOT} {sys.executable} -m tests.unit.controllers"
        for name, text in (("scontrol", SCONTROL), ("slurmctld", SLURMCTLD)):
            path = self.bin / name
            path.write_text(text.replace("@release@", release).replace("@load@", load))
            path.chmod(0o755)
        load_topology(self.etc)

    @property
    def path(self) -> str:
        """PATH with its programs first."""
        return f"{self.bin}:{os.environ['PATH']}"

    def write(self, name: str, text: str) -> None:
        (self.etc / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.etc / name).read_text()

    @property
    def shown(self) -> str:
        return (self.etc / "topology.loaded" / "default").read_text()

    def files(self) -> dict[str, str]:
        """What is in its folder, by name, but for what it has loaded and locks."""
        return {one.name: one.read_text() for one in self.etc.iterdir() if one.is_file() and one.suffix != ".lock"}


def load_topology(home: Path) -> int:
    """Load what a folder says; an exit code."""
    from hpcjobs.slurmconf.conf import read_slurm_conf
    from hpcjobs_plugins.topology.engines.findings import Fate
    from hpcjobs_plugins.topology.engines.judge import judge_read, read_file

    from .topologies import shown

    name = "topology.yaml" if (home / "topology.yaml").exists() else "topology.conf"
    read = read_file((home / name).read_bytes(), name)
    nodes = read_slurm_conf(lambda one: (home / one).read_text()).nodes
    for finding in judge_read(read, nodes=nodes):
        sys.stdout.write(f"{'fatal' if finding.fate is Fate.DIES else 'warning'}: {finding.text}\n")
        if finding.fate is Fate.DIES:
            return 1
    new = home / "topology.loading"
    new.mkdir()
    for topology in read.plan.topologies:
        (new / topology.name).write_text(shown(topology))
    shutil.rmtree(home / "topology.loaded", ignore_errors=True)
    new.rename(home / "topology.loaded")
    return 0


if __name__ == "__main__":
    sys.exit(load_topology(Path(sys.argv[1])))

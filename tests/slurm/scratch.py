"""A controller of no cluster beside a cluster's own: what happens to it happens to nobody else."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hpcjobs.slurmconf.controller import Place
from hpcjobs.slurmconf.runner import CommandRunner
from hpcjobs_plugins.topology.engines.model import Release, SwitchLine, Topology

if TYPE_CHECKING:
    from .conftest import Stack


RELEASES: Mapping[str, Release] = {"slurm2605": (26, 5), "slurm2411": (24, 11)}


def machine(stack: Stack) -> CommandRunner:
    """The controller's container."""
    return CommandRunner(["docker", "exec", "-i", str(stack.container("slurmctld").name)])


TWO = Topology(
    switches=(SwitchLine("s1", ("c1", "c2")), SwitchLine("s2", ("c3", "c4")), SwitchLine("r", (), ("s1", "s2")))
)
ONE = Topology(switches=(SwitchLine("all", ("c1", "c2", "c3", "c4")),))
LOOP = Topology(
    switches=(SwitchLine("all", ("c1", "c2", "c3", "c4")), SwitchLine("x", (), ("y",)), SwitchLine("y", (), ("x",)))
)

FOUR = """TopologyPlugin=topology/tree # ours
NodeName=c[1-4] NodeAddr=127.0.0.1
PartitionName=p Nodes=ALL"""
"""The end of a slurm.conf."""

ALL = ("topology.conf", "SwitchName=all Nodes=c[1-4]\n")

_SCRATCH = """set -eu
dir=$1 host=$(uname -n)
mkdir -p "$dir/state"
cat >"$dir/slurm.conf" <<EOF
ClusterName=scratch
SlurmctldHost=${host%%.*}(127.0.0.1)
SlurmctldPort=$2
SlurmdPort=1
SlurmdTimeout=0
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=$dir/state
SlurmctldPidFile=$dir/pid
SlurmctldLogFile=$dir/log
SlurmdPidFile=$dir/%n.pid
SlurmdLogFile=$dir/%n.log
SlurmdSpoolDir=$dir/%n
SelectType=select/cons_tres
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MailProg=/bin/true
$3
EOF
echo CgroupPlugin=disabled >"$dir/cgroup.conf"
printf %s "$5" >"$dir/$4"
chmod 640 "$dir/$4"
chown -R slurm:slurm "$dir"
"""


class Scratch:
    """A controller of no cluster, with files that can be written, as a daemon or in the foreground.

    In the foreground it has a supervisor that starts it again, as containers have: a reconfiguration that goes wrong
    ends such a controller, where a daemon goes on with what it had.

    Its nodes are no machines until ``man`` starts slurmds for them.

    Args:
        stack: Where.
        daemon: Whether it is one.
        conf: What its slurm.conf ends with: topology, nodes and partitions.
        topology: Name and text of the file of its topology, or of another file beside slurm.conf.
    """

    def __init__(self, stack: Stack, *, daemon: bool, conf: str = FOUR, topology: tuple[str, str] = ALL) -> None:
        self.stack = stack
        self.dir = f"/tmp/scratch-{uuid.uuid4().hex[:8]}"
        self.place = Place(conf_dir=self.dir)
        self.runner = machine(stack)
        port = str(32_100 + int(uuid.uuid4().hex[:2], 16))
        made = self.runner.run(["sh", "-c", _SCRATCH, "sh", self.dir, port, conf, *topology])
        assert made.code == 0, made
        conf = f"{self.dir}/slurm.conf"
        loop = f"while [ -e {conf} ]; do slurmctld -D -f {conf}; sleep 0.3; done >{self.dir}/out 2>&1"
        start = f"slurmctld -f {conf}" if daemon else f"setsid sh -c {shlex.quote(loop)} </dev/null >/dev/null 2>&1 &"
        self.run(start)
        give_up = time.monotonic() + 120
        while "is UP" not in self.scontrol("ping"):
            assert time.monotonic() < give_up, self.run(f"tail {self.dir}/log", check=False)
            time.sleep(0.1)

    def run(self, command: str, *, check: bool = True) -> str:
        return self.stack.run("slurmctld", command, check=check)

    def scontrol(self, words: str) -> str:
        return self.command(f"scontrol {words}")

    def man(self, *names: str) -> None:
        """Have slurmds for some nodes, beside the controller, and wait until jobs can start there.

        ``conf`` gives each ``NodeHostname=slurmctld NodeAddr=127.0.0.1`` and a port of its own, and says
        ``SlurmdParameters=config_overrides`` where they claim more than the machine has.
        """
        for name in names:
            self.run(f"slurmd -N {name} -f {self.dir}/slurm.conf")
        give_up = time.monotonic() + 120
        while self.command(f"sinfo -h -N -n {','.join(names)} -o %t").split() != ["idle"] * len(names):
            assert time.monotonic() < give_up, self.run(f"tail -n 20 {self.dir}/*.log", check=False)
            time.sleep(0.2)

    def command(self, words: str, *, check: bool = False) -> str:
        """What one of Slurm's commands says that is run as root and talks to this controller."""
        return self.run(f"SLURM_CONF={self.dir}/slurm.conf timeout 20 {words}", check=check)

    def shown(self) -> str:
        """Its topology, as soon as it answers: one in the foreground starts again to read its files."""
        give_up = time.monotonic() + 120
        while not (text := self.scontrol("show topology")):
            assert time.monotonic() < give_up, self.run(f"tail {self.dir}/log", check=False)
            time.sleep(0.1)
        return text

    def texts(self) -> str:
        """What is in its files, whatever lies beside them."""
        return self.stack.said("slurmctld", f"cat {self.dir}/topology.conf {self.dir}/slurm.conf")

    def files(self) -> str:
        return self.stack.said(
            "slurmctld", f"cd {self.dir}; stat -c '%n %a %U' topology.* slurm.conf; cat topology.conf slurm.conf"
        )

    def end(self) -> None:
        """Stop it, its supervisor and its slurmds, by their own numbers, and what runs on their nodes."""
        self.command("scancel --user=root")
        give_up = time.monotonic() + 30
        while self.command("squeue -h") and time.monotonic() < give_up:
            time.sleep(0.2)
        self.run(
            f"cd {self.dir} && mv slurm.conf gone.conf && kill $(cat pid *.pid 2>/dev/null); "
            f"for try in $(seq 60); do pgrep -f '[s]lurm[cd].*{self.dir}/' >/dev/null || break; sleep 0.1; done; "
            f"rm -rf {self.dir}",
            check=False,
        )

"""A whole little cluster in a container of its own: a controller and its nodes, used by nobody else.

It is of the image of a dockerized cluster and schedules as slurm-conf/common.conf says, but has no accounting, so that
fair share and QOS count nothing, and no service beside it. What happens on the other clusters does not disturb it.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import docker

NODES: Final = 8
IDLE_S: Final = 12
"""So long nothing happens before the first job: then backfill looks each second whether there is one, and its beat
begins with the first job, not with the nodes' coming.
"""
_COMMON: Final = Path(__file__).parents[2] / "slurm-conf" / "common.conf"
_ALIKE: Final = re.compile(r"(?m)^(?:Scheduler|Priority)\w+=.*$")

_CONF: Final = """ClusterName=twin
SlurmctldHost=twin(127.0.0.1)
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=/var/lib/slurm/twin
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmctldLogFile=/tmp/slurmctld.log
SlurmdSpoolDir=/var/spool/slurmd-%n
SlurmdPidFile=/run/slurm/slurmd-%n.pid
SlurmdLogFile=/tmp/slurmd-%n.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
MinJobAge=3600
ReturnToService=2
{alike}
NodeName=n[1-{nodes}] NodeHostname=twin NodeAddr=127.0.0.1 Port=[17001-{last}] CPUs=1 RealMemory=1000
PartitionName=p Nodes=ALL Default=YES MaxTime=60 State=UP
"""

_BEGIN: Final = """set -eu
rm -rf /etc/slurm; mkdir -p /etc/slurm /run/slurm /var/lib/slurm/twin /run/munge /var/lib/munge /var/log/munge
printf %s "$CONF" >/etc/slurm/slurm.conf
chown -R slurm:slurm /run/slurm /var/lib/slurm/twin
head -c 128 /dev/urandom >/tmp/munge.key; chown munge:munge /tmp/munge.key; chmod 400 /tmp/munge.key
chown munge:munge /run/munge /var/lib/munge /var/log/munge
chmod 755 /run/munge; chmod 700 /var/lib/munge /var/log/munge
setpriv --reuid munge --regid munge --init-groups /usr/sbin/munged --key-file /tmp/munge.key
slurmctld
for node in $(seq "$NODES"); do mkdir -p "/var/spool/slurmd-n$node"; slurmd -N "n$node"; done
exec sleep 3600
"""


class Asked(NamedTuple):
    """A job to be submitted.

    Attributes:
        at_s: When, in seconds from the beginning.
        nodes: Number of nodes, whole ones.
        limit_min: Its limit in minutes.
        sleep_s: How long it sleeps.
    """

    at_s: float
    nodes: int
    limit_min: int
    sleep_s: int


class Seen(NamedTuple):
    """What Slurm says of a job that has ended: Unix seconds, and the names of its nodes as a hostlist."""

    submit_s: float
    start_s: float
    end_s: float
    nodes: str


class Twin:
    """The cluster; it goes with its container.

    Args:
        engine: Where.
        image: Of which image.
    """

    def __init__(self, engine: docker.DockerClient, image: str) -> None:
        alike = "\n".join(_ALIKE.findall(_COMMON.read_text()))
        conf = _CONF.format(alike=alike, nodes=NODES, last=17000 + NODES)
        self.container = engine.containers.run(
            image, ["-c", _BEGIN], entrypoint="bash", hostname="twin", init=True, detach=True,
            environment={"CONF": conf, "NODES": str(NODES)},
        )  # fmt: skip
        try:
            self._wait(f"test $(sinfo -hN -t idle -o %N | wc -l) = {NODES}", 120)
            time.sleep(IDLE_S)
        except BaseException:
            self.end()
            raise

    def run(self, command: str, user: str = "root") -> tuple[int, str]:
        """Exit code and all that a command says."""
        code, said = self.container.exec_run(["bash", "-c", command], user=user, workdir="/tmp")
        return code, said.decode()

    def _wait(self, command: str, timeout_s: float) -> None:
        give_up = time.monotonic() + timeout_s
        while self.run(command)[0]:
            if time.monotonic() > give_up:
                raise RuntimeError(f"{command}: not in {timeout_s} s: {self.container.logs()[-2000:]!r}")
            time.sleep(1)

    def replay(self, jobs: list[Asked], timeout_s: float) -> list[Seen]:
        """Submit jobs at their times, wait for the end of the last, and see how it was, in their order."""
        lines = ["began=$(date +%s%N)"]
        for job in jobs:
            lines.append(
                f"left=$(( began + {int(job.at_s * 1e9)} - $(date +%s%N) )); "
                '[ $left -le 0 ] || sleep "$(( left / 1000000000 )).$(printf %09d $(( left % 1000000000 )))"'
            )
            lines.append(f"sbatch -Q -o /dev/null -N{job.nodes} -t{job.limit_min} --wrap 'sleep {job.sleep_s}'")
        code, said = self.run("\n".join(["set -e", *lines]), user="alice")
        if code:
            raise RuntimeError(said)
        self._wait('test -z "$(squeue -h)"', timeout_s)
        seen = []
        for line in self._told(len(jobs)):
            facts = dict(word.partition("=")[::2] for word in line.split())
            if facts["JobState"] != "COMPLETED":
                raise RuntimeError(f"a job did not end as it was to: {line}")
            times = (_unix(facts[name]) for name in ("SubmitTime", "StartTime", "EndTime"))
            seen.append((int(facts["JobId"]), Seen(*times, facts["NodeList"])))
        return [one for _, one in sorted(seen)][-len(jobs) :]

    def _told(self, jobs: int) -> list[str]:
        """A line for each job: on a busy machine an exec's output is lost now and then, or a part of it."""
        for _ in range(5):
            lines = [line for line in self.run("scontrol -o show jobs")[1].splitlines() if line]
            if len(lines) >= jobs and all(" JobState=" in line and " NodeList=" in line for line in lines):
                return lines
            time.sleep(1)
        raise RuntimeError(f"scontrol does not tell {jobs} jobs: {lines[:2]}")

    def end(self) -> None:
        """Take it away."""
        self.container.remove(force=True, v=True)


def _unix(text: str) -> float:
    """Of a time that the container tells: its clock goes by UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()

"""Plugin timeslice on real clusters: with the lines that it writes, two jobs take turns on one CPU."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from hpcjobs.model.partition import Partition
from hpcjobs.plugin import Inventory
from hpcjobs.slurmconf.conf import amended
from hpcjobs_plugins.policies import timeslice

from .conftest import Stack
from .scratch import Scratch

SLICE_S = 5
NODE = """SelectTypeParameters=CR_Core
SlurmdSpoolDir={dir}/spool
SlurmdPidFile={dir}/slurmd.pid
SlurmdLogFile={dir}/slurmd.log
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=100
PartitionName=turns Nodes=ALL Default=YES MaxTime=10
"""
"""The end of a slurm.conf with one node, on the machine of the controller."""

JOB = "#!/bin/bash\nwhile :; do date +%s.%N; sleep 0.5; done\n"
"""Says when it runs."""


class Alone(Scratch):
    """A controller of its own with a node of its own, which runs jobs."""

    def __init__(self, stack: Stack) -> None:
        host = stack.said("slurmctld", "uname -n").strip()
        self.home = f"/tmp/turns-{uuid.uuid4().hex[:8]}"
        stack.run("slurmctld", f"mkdir -m 777 {self.home}")
        port = 32_500 + int(uuid.uuid4().hex[:2], 16)
        conf = NODE.format(dir=self.home, host=host, port=port)
        super().__init__(stack, daemon=True, conf=conf, topology=("none", ""))
        self.run(f"slurmd -f {self.dir}/slurm.conf")
        self.until(lambda: "idle" in self.asked("sinfo -hN -o %T"))

    def asked(self, command: str, user: str = "root") -> str:
        return self.stack.run("slurmctld", f"SLURM_CONF={self.dir}/slurm.conf {command}", user=user, check=False)

    def until(self, holds: Callable[[], bool], within_s: float = 90) -> None:
        give_up = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < give_up, self.asked(f"squeue; sinfo; tail {self.dir}/log {self.home}/slurmd.log")
            time.sleep(0.3)

    def submit(self, name: str) -> int:
        script = f"{self.home}/{name}.sh"
        self.run(f"cat >{script} <<'EOF'\n{JOB}EOF")
        return int(self.asked(f"sbatch --parsable -J {name} -o {self.home}/{name}.out {script}", "alice"))

    def states(self) -> dict[str, str]:
        return dict(line.split() for line in self.asked("squeue -h -o '%j %T'").splitlines())

    def written(self, name: str) -> list[float]:
        """When a job ran, Unix seconds."""
        return [float(word) for word in self.run(f"cat {self.home}/{name}.out").split()]

    def end(self) -> None:
        self.asked("scancel --user=alice")
        self.run(f"sleep 1; kill $(cat {self.home}/slurmd.pid)", check=False)
        super().end()
        self.run(f"rm -rf {self.home}")


@pytest.fixture
def alone(stack: Stack) -> Iterator[Alone]:
    made = Alone(stack)
    yield made
    made.end()


def configured(text: str) -> str:
    """A slurm.conf with what the plugin writes: its keys, and those of its partition."""
    settings = timeslice.Settings(partitions=("turns",), slice_s=SLICE_S)
    partition = Partition(name="turns")
    (part,) = timeslice.configure(settings, Inventory("scratch", {}, {"turns": partition})).values()
    said = dict(line.split("=", 1) for line in part.splitlines() if not line.startswith("#"))
    (shared,) = [line.split(" ... ")[1] for line in part.splitlines() if " ... " in line]
    new = amended({"slurm.conf": text}, said)["slurm.conf"]
    return new.replace("PartitionName=turns ", f"PartitionName=turns {shared} ")


def test_two_jobs_on_one_cpu_take_turns_with_the_configuration_and_wait_for_each_other_without(alone: Alone) -> None:
    before = [alone.submit("before")]
    alone.until(lambda: alone.states() == {"before": "RUNNING"})
    before.append(alone.submit("waits"))
    time.sleep(2 * SLICE_S)
    assert alone.states() == {"before": "RUNNING", "waits": "PENDING"}
    alone.asked(f"scancel {' '.join(map(str, before))}")

    text = configured(alone.stack.said("slurmctld", f"cat {alone.dir}/slurm.conf"))
    alone.run(f"cat >{alone.dir}/slurm.conf <<'EOF'\n{text}EOF")
    alone.scontrol("reconfigure")
    alone.until(lambda: "GANG" in alone.scontrol("show config") and not alone.states())
    for name in ("one", "two"):
        alone.submit(name)
    seen: list[dict[str, str]] = []

    def turns() -> bool:
        """Both have run, stood still and run again."""
        if (now := alone.states()) not in seen[-1:]:
            seen.append(now)
        running = [name for one in seen for name, state in one.items() if state == "RUNNING" and len(one) == 2]
        return all(running.count(name) >= 2 for name in ("one", "two"))

    alone.until(turns, 120)
    assert {"one": "SUSPENDED", "two": "RUNNING"} in seen
    assert {"one": "RUNNING", "two": "SUSPENDED"} in seen
    one, two = alone.written("one"), alone.written("two")
    begun = two[0]
    both = [at for at in one if at > begun and any(abs(at - other) < 0.3 for other in two)]
    assert len(both) < len([at for at in one if at > begun]) / 2, "they ran at the same time"
    pauses = [later - earlier for earlier, later in pairwise(two) if later - earlier > SLICE_S / 2]
    assert pauses, "the second never stood still"

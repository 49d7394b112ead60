"""Node checks on real Slurm 26.05, which runs them as HealthCheckProgram, Prolog and Epilog."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import hpcjobs.nodecheck

from .conftest import Stack
from .steered import in_use, until

T = TypeVar("T")
FOLDER, CONF, FULL = "/opt/health-test", "/run/health-test", "/run/health-test-disk"
NODES = ("c3", "c4")
EVERY_S = 2
BEGIN_DELAY_S = 121
"""So long Slurm lets a job wait that it requeues itself."""
LINES = f"""
HealthCheckProgram={FOLDER}/nodecheck/periodic
HealthCheckInterval={EVERY_S}
HealthCheckNodeState=ANY
Prolog={FOLDER}/nodecheck/prolog
Epilog={FOLDER}/nodecheck/epilog
PrologFlags=Alloc
"""
SITE: dict[str, Any] = {
    "resume": {"do": True, "good": 2, "per_day": 9},
    "checks": {"disk": {"folders": [FULL], "write": [FULL]}},
}


def archive() -> bytes:
    """The folder as nodes get it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        source = Path(hpcjobs.nodecheck.__file__).parent
        tar.add(source, "nodecheck", filter=lambda one: None if "__pycache__" in one.name else one)
    return made.getvalue()


@pytest.fixture(scope="module")
def watched(new: Stack) -> Iterator[Stack]:
    """Slurm looks at two nodes every two seconds. After it all is as it was."""
    conf = new.said("slurmctld", "readlink /etc/slurm").strip()
    there = f"{CONF}/{conf.rpartition('/')[2]}"
    for name in NODES:
        new.run(name, f"mkdir -p {FOLDER} {FULL} && mount -t tmpfs -o size=1m none {FULL}")
        new.container(name).put_archive(FOLDER, archive())
    for name in ("slurmctld", *NODES):
        new.run(name, f"rm -rf {CONF} && cp -r /etc/slurm-conf {CONF} && ln -sfn {there} /etc/slurm")
        new.run(name, f"cat >>{there}/slurm.conf <<'END'\n{LINES}END")
        new.run(name, f"sed -i 's/^SchedulerParameters=.*/&,nohold_on_prolog_fail/' {CONF}/common.conf")
    new.run("slurmctld", "scontrol reconfigure")
    try:
        yield new
    finally:
        for name in ("slurmctld", *NODES):
            new.run(name, f"ln -sfn {conf} /etc/slurm && rm -rf {CONF}")
        new.run("slurmctld", "scontrol reconfigure")
        for name in NODES:
            new.run(name, f"umount -l {FULL}; rm -rf {FULL} {FOLDER} /etc/hpcjobs /var/lib/hpcjobs")
        new.wait_ready()


@pytest.fixture
def node(watched: Stack) -> Iterator[Stack]:
    """Both are well, and nothing is remembered; so it is after the test."""
    for name in NODES:
        settle(watched, name, SITE)
    yield watched
    for name in NODES:
        watched.run(name, f"rm -f {FULL}/*; [ -e /dev/fakegpu3 ] || cp -a /dev/fakegpu2 /dev/fakegpu3")
        settle(watched, name, SITE)
    for name in NODES:  # a look that was under way drains nothing any more
        soon(watched, lambda name=name: remembered(watched, name), lambda told: told["good"] >= 1)
        watched.run("slurmctld", f"scontrol update nodename={name} state=undrain", check=False)
    for name in NODES:
        soon(watched, lambda name=name: shown(watched, name)["state"], lambda state: state == "IDLE")


def soon(stack: Stack, ask: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """Ask until it is so. Slurm looks at no node that it has not heard of since it was resumed, and may ask it late."""
    return until(stack, ask, holds, within_s=240)


def settle(stack: Stack, name: str, site: dict[str, Any]) -> None:
    """A site's settings, and no memory."""
    stack.run(name, f"mkdir -p /etc/hpcjobs && cat >/etc/hpcjobs/health.json <<'END'\n{json.dumps(site)}\nEND")
    stack.run(name, "rm -f /var/lib/hpcjobs/health.json")


def shown(stack: Stack, name: str) -> dict[str, str]:
    """A node's state and reason, as Slurm has them."""
    told = stack.said("slurmctld", f"scontrol show node {name}")
    state, reason = told.partition(" State=")[2].split()[0], told.partition(" Reason=")[2].splitlines()
    return {"state": state, "reason": reason[0].rpartition(" [")[0] if reason else ""}


def remembered(stack: Stack, name: str) -> dict[str, Any]:
    """What the node remembers of its last looks."""
    told = stack.run(name, "cat /var/lib/hpcjobs/health.json", check=False)
    return json.loads(told)["memory"] if told else {"strikes": {}, "good": 0}


def drained(stack: Stack, name: str) -> dict[str, str]:
    return soon(stack, lambda: shown(stack, name), lambda told: "DRAIN" in told["state"])


def resumed(stack: Stack, name: str) -> dict[str, str]:
    return soon(stack, lambda: shown(stack, name), lambda told: "DRAIN" not in told["state"])


def fill(stack: Stack, name: str) -> None:
    stack.run(name, f"head -c 2m /dev/zero >{FULL}/file", check=False)


def test_nodes_that_are_ill_are_drained_and_mended_they_are_resumed(node: Stack) -> None:
    fill(node, "c4")
    node.run("c3", "rm /dev/fakegpu3")
    reason = drained(node, "c4")["reason"]
    assert reason == f"hpcjobs: disk: {FULL} has 0.0 % left, {FULL} cannot be written: No space left on device"
    assert drained(node, "c3")["reason"] == "hpcjobs: gres: /dev/fakegpu3 is not there"
    with node.api() as api:
        nodes = f"/v1/clusters/{node.cluster}/nodes"
        soon(node, lambda: {one["name"]: one["reason"] for one in api.get(nodes).json()["items"]}["c4"],
            lambda told: told == reason)  # fmt: skip
    node.run("c4", f"rm {FULL}/file")
    node.run("c3", "cp -a /dev/fakegpu2 /dev/fakegpu3")
    assert resumed(node, "c4")["reason"] == ""
    resumed(node, "c3")


def test_what_somebody_else_drained_or_took_over_stays_as_it_is_ill_and_well(node: Stack) -> None:
    node.run("slurmctld", "scontrol update nodename=c3 state=drain reason='bad fan'")
    for name in NODES:
        fill(node, name)
    drained(node, "c4")
    node.run("slurmctld", "scontrol update nodename=c4 reason='disk is exchanged on Monday'")
    soon(node, lambda: remembered(node, "c3"), lambda told: told["strikes"].get("disk", 0) >= 2)
    assert shown(node, "c3") == {"state": "IDLE+DRAIN", "reason": "bad fan"}
    for name in NODES:
        node.run(name, f"rm {FULL}/file")
    for name, reason in (("c3", "bad fan"), ("c4", "disk is exchanged on Monday")):
        soon(node, lambda name=name: remembered(node, name), lambda told: told["good"] >= 3)
        assert shown(node, name) == {"state": "IDLE+DRAIN", "reason": reason}


def test_a_file_system_that_does_not_answer_drains_the_node_and_holds_nothing_up(node: Stack) -> None:
    mount = (
        f"mkdir -p {FULL}/a /mnt/hangs && mksquashfs {FULL}/a {FULL}/image -quiet && squashfuse {FULL}/image /mnt/hangs"
    )
    node.run("c4", mount)
    daemon = node.said("c4", "pgrep -x squashfuse").strip()
    checks = SITE["checks"] | {"mounts": {"needed": ["/mnt/hangs"], "answer_s": 0.5}}
    settle(node, "c4", SITE | {"checks": checks})
    try:
        soon(node, lambda: remembered(node, "c4"), lambda told: told["good"] >= 2)
        node.run("c4", f"kill -STOP {daemon}")
        assert drained(node, "c4")["reason"] == "hpcjobs: mounts: /mnt/hangs does not answer within 0.5 s"
        node.run("c4", f"kill -CONT {daemon}")
        resumed(node, "c4")
    finally:
        node.run("c4", f"kill -CONT {daemon}; umount /mnt/hangs")


def test_a_job_that_a_nodes_prolog_refuses_runs_elsewhere_at_once_and_the_node_is_drained(node: Stack) -> None:
    for name in NODES:  # else the periodic look is quicker
        checks = {"disk": SITE["checks"]["disk"] | {"as": ["prolog"]}}
        settle(node, name, {"resume": SITE["resume"] | {"do": False}, "checks": checks})
    fill(node, "c3")
    with in_use(node) as use:
        use(checkpoint={})
        began = time.time()
        job = node.submit("#!/bin/sh\nsleep 2\n", resources={"nodes": 1, "gpus_per_node": "h100:8", "wall_s": 60})
        last = node.finished(job["id"])
    assert (last["fate"], last["node_list"], last["restarts"]) == ("COMPLETED", "c4", 1)
    assert time.time() - began < BEGIN_DELAY_S / 2
    assert shown(node, "c3")["reason"].startswith(f"hpcjobs: disk: {FULL} has 0.0 % left")
    assert "DRAIN" not in shown(node, "c4")["state"]


@pytest.fixture
def holding(node: Stack) -> Iterator[Stack]:
    """Slurm holds jobs that a prolog refuses, as it does where nothing else is said."""
    node.run("slurmctld", f"sed -i 's/,nohold_on_prolog_fail//' {CONF}/common.conf && scontrol reconfigure")
    yield node
    said = f"sed -i 's/^SchedulerParameters=.*/&,nohold_on_prolog_fail/' {CONF}/common.conf && scontrol reconfigure"
    node.run("slurmctld", said)


def test_a_job_that_slurm_holds_for_a_prolog_is_released_where_it_asks_to_be_recovered(holding: Stack) -> None:
    for name in NODES:
        checks = {"disk": SITE["checks"]["disk"] | {"as": ["prolog"]}}
        settle(holding, name, {"resume": SITE["resume"] | {"do": False}, "checks": checks})
    fill(holding, "c3")
    resources = {"nodes": 1, "gpus_per_node": "h100:8", "wall_s": 60}
    with in_use(holding) as use:
        use(checkpoint={})
        job = holding.submit("#!/bin/sh\nsleep 2\n", resources=resources, hints={"recover": True})
        last = holding.finished(job["id"])
        assert (last["fate"], last["node_list"], last["restarts"]) == ("COMPLETED", "c4", 1)
        fill(holding, "c4")
        holding.run("slurmctld", "scontrol update nodename=c3 state=undrain")
        other = holding.submit("#!/bin/sh\nsleep 2\n", resources=resources)  # it does not
        held = holding.wait(other["id"], lambda now: now["state"] == "HELD")
        time.sleep(5)
        assert holding.job(other["id"])["state"] == "HELD"
    assert held["restarts"] == 1


LEAVES = (
    "#!/bin/sh\necho x >/dev/shm/health-test-$SLURM_JOB_ID\n(setsid setsid sleep 4242 >/dev/null 2>&1 &)\nsleep 1\n"
)


def left(stack: Stack) -> tuple[int, int]:
    """So many processes and files of alice's are left on the node."""
    told = stack.said("c4", "pgrep -cu alice -x sleep; ls /dev/shm | grep -c health-test-; true").split()
    return int(told[0]), int(told[1])


def test_what_a_job_leaves_behind_goes_with_the_last_job_of_its_user(node: Stack) -> None:
    resources = {"nodes": 1, "gpus_per_node": "h100:1", "wall_s": 300, "nodelist": "c4"}
    other = node.submit(
        "#!/bin/sh\nwhile [ ! -e /tmp/health-test-over ]; do read -t 1 x </dev/zero; done\n", resources=resources
    )
    node.running(other["id"])
    job = node.submit(LEAVES, resources=resources)
    node.finished(job["id"])
    soon(node, lambda: node.run("slurmctld", "squeue -h -w c4 -t CG"), lambda jobs: not jobs)
    assert left(node) == (1, 1)  # it may be the other's
    node.run("c4", "touch /tmp/health-test-over")
    node.finished(other["id"])
    soon(node, lambda: left(node), lambda now: now == (0, 0))
    node.run("c4", "rm /tmp/health-test-over")
    assert "DRAIN" not in shown(node, "c4")["state"]

"""Jobs end in many ways at the same time, on real Slurm: each goes on where that helps, from what it had saved.

For one release: how runs end is the same in both.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.faults import (
    BEGIN_DELAY_S,
    asked,
    began_from,
    counting,
    decisions,
    folder_of,
    published,
    ran_again,
    usable,
)
from tests.slurm.inside import agent_on
from tests.slurm.steered import in_use, until

SMALL = "/mnt/small"
"""A file system of a megabyte on one node."""
TEARS = "[ -z $SLURM_RESTART_COUNT ] || echo more >>{}/saved/step-5.attempt-1.*/step"
FILLS = f"""
export HPCJOBS_CHECKPOINTS={SMALL}/saved
[ -n "$SLURM_RESTART_COUNT" ] || head -c 700000 /dev/zero >{SMALL}/other
[ -z "$SLURM_RESTART_COUNT" ] || rm -f {SMALL}/other
"""
PAUSE_S = 3
"""Between a failure of unknown cause and the next run."""
RULES = {
    "unknown": {"do": "restart", "budget": 3, "pause_s": PAUSE_S},
    "storage": {"do": "restart", "budget": 4, "pause_s": 1},
}
# Slurm may warn half a minute too early, which must not be before it has begun.
MINUTE: dict[str, Any] = {"nodes": 1, "wall_s": 60}
SLOW_AT_FIRST = "$((SLURM_RESTART_COUNT ? 0 : 5))"
"""Seconds of a step: no first run comes to its end."""
Jobs = Mapping[str, dict[str, Any]]


@pytest.fixture(scope="module")
def jobs(new: Stack) -> Iterator[Jobs]:
    """One for each kind of end, begun at the same time."""
    usable(new)
    agent, mark = agent_on(new), uuid.uuid4().hex[:8]

    def folder(what: str) -> str:
        return folder_of(f"{what}-{mark}")

    slow = counting(agent, 60, pause_s=SLOW_AT_FIRST)
    torn = counting(agent, 8, pause_s=0.1, fails_at=6, before=TEARS.format(folder("torn")))
    full = counting(agent, 9, pause_s=0.1, before=FILLS)
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "limit": (slow, asked(folder("limit"), resources=MINUTE)),
        "warned": (slow, asked(folder("warned"), resources=MINUTE, signal="B:USR1@10")),
        "torn": (torn, asked(folder("torn"))),
        "full": (full, asked(resources={"nodelist": "c4"})),
        "later": ("#!/bin/sh\ntest $SLURM_RESTART_COUNT || exit 75\n", asked()),
    }
    new.run("c4", f"mkdir -p {SMALL} && mount -t tmpfs -o size=1m,mode=1777 small {SMALL}")
    with in_use(new) as put:
        put(checkpoint={"rules": RULES})
        yield {what: new.submit(script, **request) for what, (script, request) in requests.items()}
    new.run("c4", f"umount {SMALL}")


@pytest.fixture
def stack(new: Stack, jobs: Jobs) -> Stack:
    """One cluster, where these jobs go on beside what each test does."""
    usable(new)
    return new


def completed(stack: Stack, job: dict[str, Any]) -> int:
    """How often a job had been restarted when it was done."""
    return int(stack.wait(job["id"], lambda now: now["fate"] == "COMPLETED")["restarts"])


def test_a_job_that_asks_to_go_on_later_does_so_and_what_is_done_is_not_run_again(stack: Stack, jobs: Jobs) -> None:
    assert completed(stack, jobs["later"]) == 1
    assert decisions(stack, jobs["later"]) == [("time_limit", "retry", "")]


def test_a_torn_checkpoint_is_not_gone_on_from(stack: Stack, jobs: Jobs) -> None:
    assert completed(stack, jobs["torn"]) == 1
    assert decisions(stack, jobs["torn"]) == [("unknown", "retry", "")]
    assert began_from(stack, jobs["torn"], 2) == 4, "the fifth was torn"


def test_a_full_file_system_costs_no_checkpoint_that_was_whole(stack: Stack, jobs: Jobs) -> None:
    assert completed(stack, jobs["full"]) == 1
    assert decisions(stack, jobs["full"]) == [("storage", "retry", "")]
    assert began_from(stack, jobs["full"], 2) > 0


PREEMPTS = "PreemptType=preempt/qos\\nPreemptMode=REQUEUE\\n"


@pytest.fixture
def preempting(stack: Stack, writable: str) -> Iterator[str]:
    """A QOS whose jobs take the place of others, which are requeued."""
    stack.run("slurmctld", f"printf '{PREEMPTS}' >>{writable}/common.conf && scontrol reconfigure")
    stack.run("slurmctld", "sacctmgr -i add qos faults preempt=normal && sacctmgr -i modify user bob set qos+=faults")
    until(stack, lambda: stack.run("slurmctld", "scontrol show assoc_mgr flags=qos"), lambda told: "=faults" in told)
    yield "faults"
    stack.run("slurmctld", "scancel -u bob; sacctmgr -i modify user bob set qos-=faults", check=False)
    stack.run("slurmctld", "sacctmgr -i delete qos faults")


def test_a_job_that_had_to_make_room_goes_on_when_there_is_room_again(stack: Stack, preempting: str) -> None:
    agent, folder = agent_on(stack), folder_of(f"preempted-{uuid.uuid4().hex[:8]}")
    job = stack.submit(counting(agent, 2000), **asked(folder, resources={"nodes": 2, "gpus_per_node": "h100:8"}))
    stack.running(job["id"])
    until(stack, lambda: published(stack, folder), bool)
    urgent = {"nodes": 1, "gpus_per_node": "h100:8", "wall_s": 60}
    first = stack.finished(stack.submit("#!/bin/sh\nsleep 2\n", "bob", qos=preempting, resources=urgent)["id"], "bob")
    again = ran_again(stack, job)
    assert first["fate"] == "COMPLETED"
    assert decisions(stack, job) == [("preempted", "retry", "")]
    assert again["start_time"] - first["end_time"] < BEGIN_DELAY_S / 2
    until(stack, lambda: stack.output(job["id"]), lambda said: "attempt 2 from" in said)
    assert began_from(stack, job, 2) > 0


ONCE = "#!/bin/sh\ntest $SLURM_RESTART_COUNT || exit 1\nsleep 1\n"


def test_a_controller_killed_between_a_decision_and_what_follows_it_changes_nothing(stack: Stack) -> None:
    job = stack.submit(ONCE, **asked())
    until(stack, lambda: decisions(stack, job), bool)
    stack.run("slurmctld", "kill -9 $(pidof slurmctld)", check=False)
    last = stack.wait(job["id"], lambda now: now["fate"] == "COMPLETED")
    assert last["restarts"] == 1
    assert decisions(stack, job) == [("unknown", "retry", "")]
    numbers = stack.run("slurmctld", f"sacct -n -X -D -P -j {job['slurm_job_id']} -o State").split()
    assert len(numbers) == 2


def test_a_node_that_is_drained_keeps_its_job_until_that_has_ended(stack: Stack) -> None:
    job = stack.running(stack.submit("#!/bin/sh\nsleep 5\n", **asked())["id"])
    node = job["node_list"]
    stack.run("slurmctld", f"scontrol update nodename={node} state=drain reason=test")
    try:
        last = stack.finished(job["id"])
        told = stack.run("slurmctld", f"sinfo -hN -n {node} -p gpu -o %T").strip()
    finally:
        stack.run("slurmctld", f"scontrol update nodename={node} state=resume")
    assert (last["fate"], last["restarts"], last["node_list"]) == ("COMPLETED", 0, node)
    assert told.startswith("drain")
    assert decisions(stack, job) == []


def test_a_job_that_wants_more_memory_than_it_may_have_is_told_so_and_not_started_again(stack: Stack) -> None:
    script = "#!/bin/sh\nulimit -v 500000\nexec python3 -c 'bytearray(10**9)'\n"  # there are no cgroups
    job = stack.submit(script, **asked())
    until(stack, lambda: decisions(stack, job), bool)
    assert decisions(stack, job) == [("host_oom", "stop", "")]
    assert stack.job(job["id"])["restarts"] == 0


@pytest.mark.parametrize("what", ["warned", "limit"])
def test_a_job_whose_time_is_up_goes_on_from_its_checkpoint_until_it_is_done(
    stack: Stack, jobs: Jobs, what: str
) -> None:
    assert completed(stack, jobs[what]) == 1
    assert decisions(stack, jobs[what]) == [("time_limit", "retry", "")]
    assert 0 < began_from(stack, jobs[what], 2) < 60
    assert "came to 60\n" in stack.output(jobs[what]["id"])

"""Gangs on real clusters: one heterogeneous job where the shapes allow it, else held members; all are kept, or none."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import httpx
import pytest

from tests.slurm.conftest import Stack
from tests.slurm.steered import QUICK, SLEEP, Use, details, nodes_of, number_of, soon, until, whole

MEMBER = """#!/bin/bash
echo "$WHO $* nodes=$SLURM_JOB_NUM_NODES gpus=$(tr , '\\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c .) name=$SLURM_JOB_NAME"
srun -l hostname | sort
date +%s
trap 'echo told' USR1
for second in $(seq "${NAP:-0}"); do sleep 1; done
exit "${CODE:-0}"
"""


def member(who: str, nodes: int, name: str, **variables: str) -> dict[str, Any]:
    more = {"name": who, "workdir": "/scratch", "stdout": f"{name}-{who}-%j.out", "args": ["one", "two words"]}
    return {"script": MEMBER, "environment": {"WHO": who, **variables}} | more | whole(nodes)


def submitted(stack: Stack, jobs: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    with stack.api() as api:
        answer = api.post("/v1/gangs", json={"jobs": jobs} | more)
    assert answer.status_code == 201, answer.text
    gang: dict[str, Any] = answer.json()
    return gang


def written(stack: Stack, name: str, who: str, number: int) -> list[str]:
    return stack.said("login", f"cat /scratch/{name}-{who}-{number}.out").splitlines()


@pytest.fixture
def emptied(stack: Stack, name: str) -> Any:
    """The files of the members go."""
    yield
    stack.run("login", f"rm -f /scratch/{name}-*")


def test_members_of_one_heterogeneous_job_start_together_and_write_to_their_own_files(
    stack: Stack, name: str, emptied: None
) -> None:
    nodes = nodes_of(stack)
    blocking = stack.submit(SLEEP.format(8), **whole(1))
    stack.running(blocking["id"])
    jobs = [member("a", 1, name), member("b", nodes - 1, name, CODE="3")]
    gang = submitted(stack, jobs, name=name)
    assert gang["way"] == "het"
    (job,) = gang["jobs"]
    ended = stack.finished(job["id"])
    number = ended["slurm_job_id"]
    assert (ended["fate"], ended["exit_code"]) == ("FAILED", 3), "the worst of the members"
    first, second = written(stack, name, "a", number), written(stack, name, "b", number + 1)
    assert first[0] == "a one two words nodes=1 gpus=8 name=a"
    assert second[0] == f"b one two words nodes={nodes - 1} gpus=8 name=b"
    hosts = [line.split()[-1] for line in first[1:-1] + second[1:-1]]
    assert len(set(hosts)) == nodes, "each member's srun ran on its own nodes"
    assert abs(int(first[-1]) - int(second[-1])) <= 5
    assert ended["start_time"] >= stack.finished(blocking["id"])["end_time"] - 1
    with stack.api() as api:
        said = api.get(f"/v1/jobs/{job['id']}/output").text
        shown = api.get(f"/v1/jobs/{job['id']}/detail").json()["members"]
    assert f"member 0 (a), job {number} on {hosts[0]}: exit code 0\n" in said
    assert f"member 1 (b), job {number + 1} on " in said
    assert [one["name"] for one in shown] == ["a", "b"]


def test_a_heterogeneous_gang_hears_signals_and_is_cancelled_as_one_job(stack: Stack, name: str, emptied: None) -> None:
    gang = submitted(stack, [member(who, 1, name, NAP="300") for who in "ab"])
    (job,) = gang["jobs"]
    number = stack.running(job["id"])["slurm_job_id"]
    both = lambda: [written(stack, name, who, number + at) for at, who in enumerate("ab")]  # noqa: E731
    until(stack, lambda: stack.run("login", f"ls /scratch | grep -c {name} || true"), lambda count: int(count) == 2)
    until(stack, both, lambda all_lines: all(lines and lines[-1].isdigit() for lines in all_lines))
    stack.run("slurmctld", f"scancel --batch --signal=USR1 {number}")
    until(stack, both, lambda all_lines: all("told" in lines for lines in all_lines))
    with stack.api() as api:
        assert api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    assert stack.finished(job["id"])["fate"] == "CANCELLED"
    until(stack, lambda: stack.run("slurmctld", f"squeue -h -j {number},{number + 1} 2>/dev/null || true"),
          lambda left: not left)  # fmt: skip


def test_jobs_that_cannot_be_one_wait_for_each_other_and_start_together(stack: Stack, use: Use, name: str) -> None:
    use(gang=QUICK)
    unlike = [{"script": SLEEP.format(15), "account": "vision", **whole(1)} for _ in range(2)]
    unlike[1]["resources"] = unlike[1]["resources"] | {"wall_s": 300}
    gang = submitted(stack, unlike, name=name)
    assert (gang["way"], len(gang["jobs"])) == ("held", 2)
    assert "longer time limit" in gang["why"]
    numbers = [number_of(stack, job) for job in gang["jobs"]]
    running = [soon(stack, number, lambda job: job["JobState"] == "RUNNING", 120) for number in numbers]
    starts = [time.mktime(time.strptime(job["StartTime"], "%Y-%m-%dT%H:%M:%S")) for job in running]
    assert abs(starts[0] - starts[1]) <= 15


def test_gpus_of_whole_members_come_evenly_so_that_all_members_start(stack: Stack, use: Use, name: str) -> None:
    """Beside a member that has 7 and 1 GPUs of two nodes Slurm starts no other that asks for GPUs of the whole job."""
    use(gang=QUICK)
    many = nodes_of(stack) - 1
    unlike = [
        {"script": SLEEP.format(15), "account": "vision", "resources": {"nodes": many, "gpus": 2 * many}},
        {"script": SLEEP.format(15), "account": "vision", "resources": {"gpus": 8, "wall_s": 300}},
    ]
    gang = submitted(stack, unlike, name=name)
    numbers = [number_of(stack, job) for job in gang["jobs"]]
    running = [soon(stack, number, lambda job: job["JobState"] == "RUNNING", 120) for number in numbers]
    assert [job["TresPerNode"] for job in running] == ["gres/gpu:2", "gres/gpu:8"]
    starts = [time.mktime(time.strptime(job["StartTime"], "%Y-%m-%dT%H:%M:%S")) for job in running]
    assert abs(starts[0] - starts[1]) <= 15


def test_a_held_gang_that_is_late_gives_its_nodes_back_and_says_so(stack: Stack, use: Use, name: str) -> None:
    use(gang=QUICK | {"deadline_s": 15.0})
    nodes = nodes_of(stack)
    blocking = stack.submit(SLEEP.format(600), **whole(1))
    stack.running(blocking["id"])
    unlike = [{"script": SLEEP.format(5), **whole(nodes - 1)}, {"script": SLEEP.format(5), **whole(1)}]
    unlike[1]["resources"] = unlike[1]["resources"] | {"wall_s": 300}
    numbers = [number_of(stack, job) for job in submitted(stack, unlike, name=name)["jobs"]]
    first = soon(stack, numbers[0], lambda job: job.get("Reservation", "").startswith("hpcjobs_gang_"))["Reservation"]
    soon(stack, numbers[0], lambda job: job.get("Reservation", "(null)") not in ("(null)", first), 120)
    assert details(stack, numbers[0])["Nice"] == "1", "it waits on, a point behind"
    until(stack, lambda: stack.run("slurmctld", "scontrol show reservation -o"), lambda said: f"={first} " not in said)
    stack.run("slurmctld", f"scancel {number_of(stack, blocking)}")
    for number in numbers:
        soon(stack, number, lambda job: job["JobState"] in ("RUNNING", "COMPLETED"), 120)


@pytest.mark.parametrize("way", ["het", "held"])
def test_a_service_that_is_killed_in_the_middle_leaves_all_of_a_gang_or_none(
    stack: Stack, use: Use, name: str, way: str
) -> None:
    use(gang={})
    dice = random.Random(name)
    jobs = [{"script": SLEEP.format(1), "name": name, "resources": {"wall_s": 120}} for _ in range(6)]
    if way == "held":
        jobs[-1]["resources"] = {"wall_s": 300}
    else:
        jobs = [job | {"hold": True} for job in jobs]
    body, kept = {"jobs": jobs, "name": name}, []
    for turn in range(3):
        key = {"Idempotency-Key": f"{name}-{turn}", "Authorization": f"Bearer {stack.token('alice')}"}

        def post(key: dict[str, str] = key) -> None:
            try:
                httpx.post(f"{stack.url}/v1/gangs", json=body, headers=key, timeout=60)
            except httpx.HTTPError:
                return  # that is what is tried

        sending = threading.Thread(target=post)
        with stack.restarted():
            sending.start()
            time.sleep(dice.uniform(0.0, 0.4))
            stack.container("hpcjobs").kill()
            stack.container("hpcjobs").start()
        sending.join(60)
        with stack.api() as api:
            found = api.get("/v1/jobs", params={"name": name, "max_age_s": 600, "limit": 100}).json()["items"]
            size = 1 if way == "het" else len(jobs)
            kept.append(len(found) - sum(kept))
            assert kept[-1] in (0, size), f"turn {turn}: {kept}"
            again = api.post("/v1/gangs", json=body, headers=key)
            assert again.status_code in (201, 202), again.text
            assert len(again.json()["jobs"]) == size
            kept[-1] = size
    size = len(jobs)
    until(stack, lambda: stack.slurm_jobs_named(name), lambda numbers: len(numbers) == 3 * size, 150)

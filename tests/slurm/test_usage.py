"""What the service says was used is what sacct says, to the second: jobs of every shape, on both releases."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections import defaultdict
from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.steered import until

FINAL = (
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "REQUEUED", "RESIZING", "PREEMPTED", "OUT_OF_MEMORY",
)  # fmt: skip
FIELDS = "JobIDRaw,User,Account,State,Start,End,Suspended,NCPUS,AllocTRES,Submit,Eligible"
WITHIN_S = 120
BUSY_S = 400
"""How long others may keep the nodes."""
ACCOUNT = "quota-usage"
"""An account of these jobs alone: others run jobs all the time, some of which have always just ended. Tests of tenants
look away from accounts of such a name."""
SBATCH = f"cd /scratch && sbatch --parsable -A {ACCOUNT} -o /dev/null -t 5 --mem-per-cpu=50"


def sbatch(stack: Stack, options: str, script: str = "sleep 6", user: str = "alice") -> int:
    line = f"{SBATCH} {options} --wrap '{script}'"
    return int(stack.as_user(user, line).split()[0].split(";")[0])


def seconds(clock: str) -> int:
    days, _, rest = clock.rpartition("-")
    hours, minutes, rest = rest.split(":")
    return int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(float(rest))


def printed(stack: Stack) -> list[dict[str, str]]:
    """Every run of the account that sacct prints."""
    told = stack.run(
        "slurmctld", f"SLURM_TIME_FORMAT=%s sacct -a -D -X -n -P -S uts1000000000 -E uts4000000000 -o {FIELDS}"
    )
    runs = [dict(zip(FIELDS.split(","), line.split("|"), strict=True)) for line in told.splitlines()]
    return [run for run in runs if run["Account"] == ACCOUNT]


def spread(run: dict[str, str], since: int, until_: int) -> int:
    """Seconds of a run that has ended inside a time, those without suspension spread evenly: counted one by one."""
    start, end = int(run["Start"]), int(run["End"])
    works = end - start - seconds(run["Suspended"])
    first, last = max(start, since), min(end, until_)
    if first >= last:
        return 0
    return (last - start) * works // (end - start) - (first - start) * works // (end - start)


def counted(runs: list[dict[str, str]], since: int, until_: int) -> dict[tuple[str, str], list[int]]:
    """GPU-seconds and CPU-seconds by user and kind of GPU."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for run in runs:
        if run["State"].split()[0] not in FINAL or not run["Start"].isdigit() or not run["End"].isdigit():
            continue
        used = spread(run, since, until_)
        kinds = {kind: int(n) for kind, n in re.findall(r"gres/gpu:(\w+)=(\d+)", run["AllocTRES"])}
        if used:
            main = max(kinds, key=lambda kind: (kinds[kind], kind), default="none")
            for kind in {*kinds, main}:
                found[run["User"], kind][0] += used * kinds.get(kind, 0)
            found[run["User"], main][1] += used * int(run["NCPUS"])
    return dict(found)


def reported(stack: Stack, since: int, until_: int, **query: Any) -> dict[str, Any]:
    with stack.api("operator") as api:
        answer = api.get("/v1/reports/usage", params={"period": f"{since}..{until_}", "project": ACCOUNT} | query)
    assert answer.status_code == 200, answer.text
    table: dict[str, Any] = answer.json()
    return table


def by_kind(table: dict[str, Any]) -> dict[tuple[str, str], list[int]]:
    rows = {(row[0], row[1]): [round(3600 * row[2]), round(3600 * row[3])] for row in table["rows"]}
    return {key: told for key, told in rows.items() if any(told)}


MADE: dict[str, dict[str, int]] = {}


@pytest.fixture
def shapes(stack: Stack) -> dict[str, int]:
    """Jobs of every shape that have ended, by what they are; run once for all tests of a cluster."""
    if stack.cluster not in MADE:
        MADE[stack.cluster] = shaped(stack)
    return MADE[stack.cluster]


def shaped(stack: Stack) -> dict[str, int]:
    since = int(time.time())
    for what in (f"account {ACCOUNT}", f"user alice,bob account={ACCOUNT}"):
        stack.run("login", f"sacctmgr -i add {what}", check=False)  # or it is there
    jobs = {
        "typed": sbatch(stack, "--gres=gpu:a100:2 -n 3"),
        "untyped": sbatch(stack, "--gpus=1"),
        "no gpus": sbatch(stack, "-n 4"),
        "nodes": sbatch(stack, "-N 2 --gpus-per-node=1"),
        "array": sbatch(stack, "--array=1-3%2 --gres=gpu:1"),
        "never": sbatch(stack, "--gpus=1 --begin=now+1day"),
        "crashed": sbatch(stack, "--gpus=1", "sleep 3; exit 7"),
        "bobs": sbatch(stack, "--gpus=1", user="bob"),
    }
    het = stack.as_user("alice", f"{SBATCH} -n1 --gres=gpu:1 : -n2 -A {ACCOUNT} --mem-per-cpu=50 --wrap 'sleep 5'")
    jobs["het"] = int(het.split()[0].split(";")[0])

    def started(name: str, options: str, script: str = "sleep 12") -> int:
        jobs[name] = number = sbatch(stack, options, script)
        ask = f"squeue -h -j {number} -o %T"
        until(stack, lambda: stack.run("slurmctld", ask).strip(), lambda told: told == "RUNNING", BUSY_S)
        time.sleep(2)
        return number

    def scontrol(words: str) -> None:
        stack.run("slurmctld", f"scontrol {words}")

    scontrol(f"suspend {started('suspended', '--gpus=1 -n 2')}")
    time.sleep(4)
    scontrol(f"resume {jobs['suspended']}")
    scontrol(f"update JobId={started('shrunk', '-N 2 -n 2 --gpus-per-node=1')} NumNodes=1")
    scontrol(f"requeue {started('requeued', '--gpus=1 --requeue')}")
    until(stack, lambda: stack.run("slurmctld", f"squeue -h -j {jobs['requeued']} -o %T").strip(),
          lambda told: told == "PENDING")  # fmt: skip
    scontrol(f"update JobId={jobs['requeued']} StartTime=now")
    stack.run("slurmctld", f"scancel {jobs['never']}")
    numbers = ",".join(map(str, jobs.values()))
    until(stack, lambda: stack.run("slurmctld", f"squeue -h -j {numbers} 2>/dev/null || true"), lambda left: not left,
          BUSY_S)  # fmt: skip
    return jobs | {"since": since}


def test_what_is_reported_is_what_sacct_says_to_the_second(stack: Stack, shapes: dict[str, int]) -> None:
    """For each user and kind of GPU, over jobs of every shape."""
    query = {"by": "user,gpu", "measures": "gpu_hours,cpu_hours", "state": ",".join(FINAL)}
    since = shapes["since"] - 7200
    give_up = time.monotonic() + WITHIN_S
    while True:
        border = int(time.time())
        theirs = counted(printed(stack), since, border)
        ours = by_kind(reported(stack, since, border, **query))
        if ours == theirs or time.monotonic() > give_up:
            break
        time.sleep(2)
    assert ours == theirs
    assert {kind for _, kind in ours} >= {"a100", "none"}
    assert ours["bob", next(kind for user, kind in ours if user == "bob" and kind != "none")][0] > 0


def test_parts_of_a_time_are_the_whole(stack: Stack, shapes: dict[str, int]) -> None:
    since, end = shapes["since"], int(time.time())
    query = {"measures": "gpu_hours,cpu_hours,gpu_hours_held", "state": ",".join(FINAL), "user": "alice"}
    whole = reported(stack, since, end, **query)["total"][1:]
    borders = [since, since + 5, since + 6, since + 13, end]
    parts = [reported(stack, a, b, **query)["total"][1:] for a, b in itertools.pairwise(borders)]
    assert all(math.isclose(sum(column), total, abs_tol=1e-9) for total, *column in zip(whole, *parts, strict=True))


def test_each_run_is_there_once_with_its_ends(stack: Stack, shapes: dict[str, int]) -> None:
    def told() -> dict[str, list[Any]]:
        query = {"by": "state", "measures": "runs,started,failed,gpu_hours_suspended"}
        return {row[0]: row[1:] for row in reported(stack, shapes["since"], int(time.time()), **query)["rows"]}

    mine = [run for run in printed(stack) if run["User"] == "alice" and int(run["Submit"]) >= shapes["since"]]
    numbers = {str(number) for number in shapes.values()}
    tries = [run["State"].split()[0] for run in mine if run["JobIDRaw"] == str(shapes["requeued"])]
    assert len(tries) == 2, "a requeued job has two runs"
    assert len([run for run in mine if run["JobIDRaw"] in numbers]) >= 11
    found = until(stack, told, lambda rows: "FAILED" in rows and "CANCELLED" in rows)
    assert found["FAILED"][2] >= 1
    assert found["CANCELLED"][0] >= 1
    assert sum(row[3] for row in found.values()) > 0, "a suspended job keeps its GPU"


def test_a_job_that_had_its_node_to_itself_held_all_of_its_gpus(stack: Stack) -> None:
    number = sbatch(stack, "--exclusive -N1 -n1 --gpus=1 -p debug", "sleep 4")
    node = "slurmctld", f"scontrol show node $(squeue -h -j {number} -o %N) | grep -o 'Gres=.*'"
    until(stack, lambda: stack.run("slurmctld", f"squeue -h -t R -j {number}"), bool, BUSY_S)
    there = sum(map(int, re.findall(r"gpu:\w+:(\d+)", stack.said(*node))))
    assert there > 1

    def told() -> list[list[Any]]:
        query = {
            "by": "state",
            "measures": "node_hours,gpu_hours_held",
            "state": "COMPLETED",
            "partition": "debug",
        }
        return list(reported(stack, 1_700_000_000, int(time.time()), **query)["rows"])

    ((_, node_hours, held),) = until(stack, told, bool, WITHIN_S)
    assert held == pytest.approx(node_hours * there)

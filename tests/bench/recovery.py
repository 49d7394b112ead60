"""Jobs that end badly: how long until it is decided and until they run again, beside Slurm without hpcjobs' recovery.

Faults on the cluster: a node is set down under a job, and a program fails again and again (a crash loop). When Slurm
knows of a fault, and when it starts a job, is what slurmctld's log says, to the millisecond; when it was decided is the
service's event. Faults on this machine, in checkpoint folders: processes that write checkpoints are killed with
SIGKILL, and stopped and woken beside their successor.
"""

from __future__ import annotations

import random
import re
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import docker

from hpcjobs.injob.checkpoints import Checkpoints
from tests.bench.verdict import Verdict
from tests.injob.test_killed import Counter, look
from tests.slurm.conftest import PROJECT, Stack
from tests.slurm.steered import in_use

NODES = ("c1", "c2", "c3", "c4")
NODE_ROUNDS = 10
LOOPS = 6
AT_ONCE = 3
BUDGET = 3
KILLED, STOPPED = 160, 40
MOST_S = 2.0
LEAST_RATIO = 30.0
TRIED_S = 90.0
SLURM_S = 180.0
"""Slurm lets a job that it has requeued wait for 121 s."""
SLEEPS = "#!/bin/sh\ndate +%s.%N\nsleep 600\n"
FAILS = "#!/bin/sh\nsleep 1\ndate +%s.%N >&2\nexit 1\n"
STARTED = "sched: Allocate"
STAMP = r"^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\] "


class Took(NamedTuple):
    """One fault, in seconds: from when Slurm knew of it to the decision, and from the decision to the next start."""

    decision_s: float
    start_s: float | None = None


class Said:
    """What slurmctld's log says, with times."""

    def __init__(self, stack: Stack, since: float) -> None:
        text = stack.container("slurmctld").logs(since=int(since)).decode(errors="replace")
        self._lines = [(_moment(found[1]), line[found.end() :]) for line in text.splitlines()
                       if (found := re.match(STAMP, line))]  # fmt: skip

    def of(self, *patterns: str, after: float = 0.0) -> list[float]:
        """When lines came that match all of the patterns, not before a moment."""
        return [at for at, line in self._lines if at >= after and all(re.search(one, line) for one in patterns)]


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC).timestamp()


def _decided(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """All decisions, by job, with their times."""
    found: dict[str, list[dict[str, Any]]] = {}
    after = 0
    with stack.api("operator") as api:
        while True:
            params: dict[str, str | int] = {"kind": "job.recovery", "after": after}
            items = api.get("/v1/events", params=params, headers={"Accept": "application/json"}).json()["items"]
            for event in items:
                found.setdefault(event["job_id"], []).append(event["data"] | {"at": event["at"]})
            if not items:
                return found
            after = items[-1]["seq"]


def _fail_nodes(stack: Stack, count: int, job_of: dict[str, float]) -> None:
    """Jobs of one node each run, and their nodes are set down at once: ids, and when it was ordered."""
    jobs = [stack.submit(SLEEPS, resources={"nodes": 1, "wall_s": 1200, "exclusive": True}) for _ in range(count)]
    nodes = [stack.running(job["id"])["node_list"] for job in jobs]
    for job in jobs:
        job_of[job["id"]] = time.time()
    stack.run("slurmctld", f"scontrol update nodename={','.join(nodes)} state=down reason=bench")
    stack.run("slurmctld", f"scontrol update nodename={','.join(nodes)} state=resume", check=False)


def _again(stack: Stack, job_id: str, timeout_s: float) -> None:
    stack.wait(job_id, lambda job: job["restarts"] > 0 and job["state"] == "RUNNING", timeout_s=timeout_s)


def _slurms_own(stack: Stack) -> list[float]:
    """Without recovery: seconds from Slurm's knowing of a failed node to the job's next start."""
    began = time.time()
    jobs: dict[str, float] = {}
    _fail_nodes(stack, 2, jobs)
    for job_id in jobs:
        _again(stack, job_id, SLURM_S)
    said = Said(stack, began - 1)
    took = [start - known for job_id in jobs for known, start in [_known_and_start(stack, said, job_id)]]
    for job_id in jobs:
        _cancel(stack, job_id)
    return took


def _known_and_start(stack: Stack, said: Said, job_id: str) -> tuple[float, float]:
    """When Slurm knew that a job's node had failed, and when it started the job again.

    Backfill starts jobs without a line in the log: then it is the end of the second that Slurm tells.
    """
    job = stack.wait(job_id, bool)
    number = f"JobId={job['slurm_job_id']}\\b"
    known = said.of(number, "requeue job .* due to failure of node")[0]
    return known, min([*said.of(number, STARTED, after=known), job["start_time"] + 1.0])


def _cancel(stack: Stack, job_id: str) -> None:
    with stack.api() as api:
        api.delete(f"/v1/jobs/{job_id}")


def _node_faults(stack: Stack, began: float) -> tuple[list[Took], list[float]]:
    """With recovery; beside them: seconds from the order to set the node down to the decision."""
    found, ordered = [], []
    for _ in range(NODE_ROUNDS):
        jobs: dict[str, float] = {}
        _fail_nodes(stack, 1, jobs)
        ((job_id, at),) = jobs.items()
        _again(stack, job_id, TRIED_S)
        known, start = _known_and_start(stack, Said(stack, began), job_id)
        decided = _decided(stack)[job_id][0]["at"]
        found.append(Took(decided - known, start - max(decided, known)))
        ordered.append(decided - at)
        _cancel(stack, job_id)
    return found, ordered


def _crash_loops(stack: Stack, began: float) -> tuple[list[Took], list[float], list[int]]:
    """Programs that always fail: how long it took, the same from their last words, and how many restarts there were."""
    found, ordered, restarts = [], [], []
    for _ in range(LOOPS // AT_ONCE):
        jobs = [stack.submit(FAILS, hints={"recover": True}, resources={"nodes": 1, "wall_s": 600}, open_mode="append")
                for _ in range(AT_ONCE)]  # fmt: skip
        for job in jobs:
            stack.wait(
                job["id"], lambda one: one["restarts"] >= BUDGET and one["state"] == "FINISHED", timeout_s=TRIED_S
            )
        time.sleep(5)  # time for one that is too many
        said, decided = Said(stack, began), _decided(stack)
        for job in jobs:
            last = stack.wait(job["id"], bool)
            number = f"JobId={last['slurm_job_id']}\\b"
            restarts.append(last["restarts"])
            ends = said.of(number, "WEXITSTATUS")
            starts = said.of(number, STARTED)
            written = [float(line) for line in stack.as_user("alice", f"cat {last['stderr']}").split()]
            for place, (end, one) in enumerate(zip(ends, decided[job["id"]], strict=False)):
                until = ends[place + 1] if place + 1 < len(ends) else 0.0
                start = next((at - one["at"] for at in starts if end < at < until), None)
                found.append(Took(one["at"] - end, start))
                if len(written) == len(ends):
                    ordered.append(one["at"] - written[place])
    return found, ordered, restarts


class Folders(threading.Thread):
    """Faults of processes that write checkpoints, on this machine.

    Attributes:
        lost: Checkpoints that a process was told of, and that its successor did not find.
        doubled: Checkpoints of an attempt after a later one had begun.
        made: Faults.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lost = self.doubled = self.made = 0

    def run(self) -> None:
        dice = random.Random(8)
        with tempfile.TemporaryDirectory() as folder:
            self._killed(Checkpoints(Path(folder) / "killed"), dice)
            self._stopped(Checkpoints(Path(folder) / "stopped"), dice)

    def _killed(self, folder: Checkpoints, dice: random.Random) -> None:
        last = 0
        for _ in range(KILLED):
            counter = Counter(folder.root, 1_000_000).hear(60, b"resumed")
            resumed = counter.told("resumed")[0]
            counter.hear(dice.uniform(0.0, 0.1)).end()
            self.lost += resumed < last
            last = max([resumed, *counter.told("saved")])
            self.made += 1
        look(folder)

    def _stopped(self, folder: Checkpoints, dice: random.Random) -> None:
        orphan = Counter(folder.root, 1_000_000, 1_000_000).hear(60, b"saved")
        for _ in range(STOPPED):
            orphan.hear(dice.uniform(0.0, 0.05)).process.send_signal(signal.SIGSTOP)
            successor = Counter(folder.root, 1_000_000, 1_000_000).hear(60, b"begun")
            orphan.process.send_signal(signal.SIGCONT)
            successor.hear(60, b"saved")
            orphan.process.wait(60)
            orphan.hear(5).end()
            saved = folder.state().saved
            (number,) = orphan.told("begun")
            self.doubled += any(one.attempt == number for one in saved[_first_of(saved, number + 1) :])
            self.lost += [one.step for one in saved if one.attempt == number] != orphan.told("saved")
            self.made += 1
            orphan = successor
        orphan.end()
        look(folder)


def _first_of(saved: Sequence[Any], attempt: int) -> int:
    return next((place for place, one in enumerate(saved) if one.attempt >= attempt), len(saved))


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def _shown(what: str, took: Sequence[Took], ordered: Sequence[float]) -> None:
    decisions, starts = [one.decision_s for one in took], [one.start_s for one in took if one.start_s is not None]
    print(f"  {what}: {len(took)} faults; Slurm's knowing to decision median {statistics.median(decisions):.2f} s,"
          f" at most {max(decisions):.2f} s; decision to start median {statistics.median(starts):.2f} s,"
          f" at most {max(starts):.2f} s; injection to decision median {statistics.median(ordered):.2f} s,"
          f" at most {max(ordered):.2f} s", flush=True)  # fmt: skip


def run() -> list[Verdict]:
    """All of it; some five minutes."""
    stack = Stack(docker.from_env(timeout=120), "slurm2605", "", "pyslurm", PROJECT)
    folders = Folders()
    folders.start()
    alone = _slurms_own(stack)
    folders.join(300)
    print(f"  without recovery: {', '.join(f'{one:.0f} s' for one in alone)} from Slurm's knowing to the next start")
    print(f"  {folders.made} faults of processes that write checkpoints: {KILLED} killed, {STOPPED} stopped and woken")
    began = time.time() - 1
    with in_use(stack) as use:
        use(checkpoint={"rules": {"unknown": {"do": "restart", "budget": BUDGET}}})  # without pauses
        nodes, ordered = _node_faults(stack, began)
        _shown("nodes set down", nodes, ordered)
        loops, written, restarts = _crash_loops(stack, began)
        _shown("crash loops", loops, written)
    ours = statistics.median(one.decision_s + (one.start_s or 0.0) for one in nodes)
    starts = [one.start_s for one in (*nodes, *loops) if one.start_s is not None]
    return [
        Verdict(
            "recovery, event to decision, p95 in s", _p95([one.decision_s for one in (*nodes, *loops)]), MOST_S, True
        ),
        Verdict("recovery, decision to running, p95 in s", _p95(starts), MOST_S, True),
        Verdict(
            "recovery, a failed node to running, Slurm alone against hpcjobs",
            statistics.median(alone) / ours,
            LEAST_RATIO,
        ),
        Verdict(
            "recovery, crash loops that were not stopped at the budget", sum(one != BUDGET for one in restarts), 0, True
        ),
        Verdict("recovery, faults of processes that write checkpoints", folders.made, KILLED + STOPPED),
        Verdict("recovery, double writers", folders.doubled, 0, True),
        Verdict("recovery, lost checkpoints", folders.lost, 0, True),
    ]

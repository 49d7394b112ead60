"""Every part is killed at random while jobs stream in: 0 lost, 0 doubled.

`make kills` does it 200 times on the two clusters, `make test` 40 times.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import httpx
import msgspec
from docker.errors import APIError
from docker.models.containers import Container

from tests.slurm.conftest import Stack

log = logging.getLogger(__name__)

SCRIPT: Final = "#!/bin/bash\nhostname\n"
USERS: Final = ("alice", "bob", "carol", "alice")
"""Whose jobs each thread submits."""

ALL_KILLS: Final = {
    "new": {"agents": 46, "slurmctld": 20, "api": 22, "spawner": 12},
    "old": {"connections": 36, "slurmrestd": 22, "slurmctld": 16, "api": 14, "spawner": 8, "postgres": 4},
}
SHARE: Final = 1 if os.environ.get("HPCJOBS_ALL_KILLS") else 5
KILLS: Final = {side: {what: -(-count // SHARE) for what, count in kills.items()} for side, kills in ALL_KILLS.items()}
SETTLE_S: Final = 150.0
"""What Slurm lost goes out again after a minute."""

MOST_S: Final = 420.0
"""No kill begins later than this after the first."""

AGENTS: Final = """
pids=$(for p in /proc/[0-9]*; do
  who=$(stat -c %U $p 2>/dev/null) || continue
  case $who in
    alice|bob|carol) echo ${p#/proc/} ;;
    hpcjobs) tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q hpcjobs.spawner && echo ${p#/proc/} ;;
  esac
done | shuf -n 3)
[ -n "$pids" ] && kill -9 $pids && echo killed
"""
"""Agents carry the command line of the spawner that they are forked from."""

SPAWNER: Final = """
for p in /proc/[0-9]*; do
  [ "$(stat -c %U $p 2>/dev/null)" = root ] &&
    tr '\\0' ' ' <$p/cmdline | grep -q '^[^ ]*python[^ ]* -m hpcjobs.spawner' &&
    kill -9 ${p#/proc/} && echo killed
done; true
"""
CONNECTIONS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hpcjobs'"


def side_of(stack: Stack) -> str:
    """What of KILLS this stack is for."""
    return "old" if stack.prefix else "new"


class Stream(threading.Thread):
    """A client that submits held jobs one after the other, each with its key until it is taken.

    Attributes:
        answers: By key: the document that the key was last answered with.
    """

    def __init__(self, stack: Stack, user: str, name: str, over: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.stack = stack
        self.user = user
        self.job_name = name
        self.over = over
        self.dice = random.Random(seed)
        self.answers: dict[str, dict[str, Any]] = {}
        self.open: str | None = None
        self.wrong: list[str] = []

    def run(self) -> None:
        with self.stack.api(self.user) as api:
            api.timeout = 30
            while not self.over.is_set():
                self.open = uuid.uuid4().hex
                self._submit(api, self.open)
                self.open = None
                self.over.wait(self.dice.uniform(0.3, 1.0))

    def _submit(self, api: httpx.Client, key: str) -> None:
        give_up = time.monotonic() + MOST_S
        while time.monotonic() < give_up:
            try:
                request = {"script": SCRIPT, "name": self.job_name, "hold": True}
                answer = api.post("/v1/jobs", json=request, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.3)
                continue
            if answer.status_code in (201, 202):
                self.answers[key] = answer.json()
                return
            if answer.status_code not in (429, 503):
                self.wrong.append(f"{key}: {answer.status_code} {answer.text}")
            time.sleep(float(answer.headers.get("Retry-After", 0.3)))


class Killer:
    """Kills what it is told, as hard as can be, and has it started again."""

    def __init__(self, stack: Stack, dice: random.Random) -> None:
        self.stack = stack
        self.dice = dice
        self.made: Counter[str] = Counter()
        self.postgres = Stack(stack.engine, "", "", "")  # it serves the older cluster, and is called without a prefix

    def kill(self, what: str) -> None:
        ways: dict[str, Callable[[], bool]] = {
            "agents": self._agents,
            "api": lambda: self._container(self.stack.container("hpcjobs")),
            "spawner": self._spawner,
            "slurmctld": lambda: self._container(self.stack.container("slurmctld")),
            "slurmrestd": lambda: self._container(self.stack.container("slurmrestd")),
            "connections": self._connections,
            "postgres": lambda: self._container(self.postgres.container("postgres")),
        }
        self.made[what] += ways[what]()

    def _inside(self, container: Container, command: list[str], user: str) -> str:
        try:
            return str(container.exec_run(command, user=user).output.decode())
        except APIError:  # it is not running
            return ""

    def _agents(self) -> bool:
        return "killed" in self._inside(self.stack.container("hpcjobs"), ["bash", "-c", AGENTS], "root")

    def _spawner(self) -> bool:
        container = self.stack.container("hpcjobs")
        killed = "killed" in self._inside(container, ["bash", "-c", SPAWNER], "root")
        if killed:
            time.sleep(self.dice.uniform(0.0, 0.5))  # its container notices and ends
            self._container(container)
        return killed

    def _connections(self) -> bool:
        told = self._inside(self.postgres.container("postgres"), ["psql", "-tAc", CONNECTIONS, "hpcjobs"], "postgres")
        return "t" in told.split()

    def _container(self, container: Container) -> bool:
        """Kill and start: a container that dies by itself is started later and later by the engine."""
        try:
            container.kill()
            killed = True
        except APIError:  # it is down already
            killed = False
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            container.reload()
            if container.status == "exited":
                time.sleep(self.dice.uniform(0.0, 0.5))
                break
            time.sleep(0.05)
        container.start()
        return killed


def jobs_named(stack: Stack, name: str) -> dict[str, dict[str, Any]]:
    """Every job of ours of this name, by id; nothing while the service cannot tell."""
    found = {}
    for user in sorted(set(USERS)):
        try:
            with stack.api(user) as api:
                answer = api.get("/v1/jobs", params={"name": name}, headers={"Accept": "application/x-ndjson"})
        except httpx.HTTPError:
            return {}
        if answer.status_code != httpx.codes.OK:
            return {}
        found.update({job["id"]: job for job in map(msgspec.json.decode, answer.text.splitlines())})
    return found


def in_slurm(stack: Stack, name: str) -> list[int]:
    return sorted(int(number) for number in stack.slurm_jobs_named(name))


def whole_again(stack: Stack, killer: Killer) -> None:
    """Whatever is down is up again, and the service ready."""
    containers = [stack.container(service) for service in ("slurmctld", "slurmrestd", "hpcjobs")]
    if "postgres" in KILLS[side_of(stack)]:
        containers.append(killer.postgres.container("postgres"))
    for container in containers:
        container.start()  # changes nothing where it runs
    stack.wait_ready(120)


def test_whatever_is_killed_in_a_stream_of_submissions_and_whenever_each_is_in_slurm_exactly_once(
    stack: Stack, name: str
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    log.warning("%s: seed %d", stack.cluster, seed)
    began_at = int(time.time())
    for user in set(USERS):
        stack.token(user)
    plan = list(Counter(KILLS[side_of(stack)]).elements())
    dice.shuffle(plan)
    killer, over = Killer(stack, dice), threading.Event()
    streams = [Stream(stack, user, name, over, seed + place) for place, user in enumerate(USERS)]
    try:
        for stream in streams:
            stream.start()
        began = time.monotonic()
        while plan and time.monotonic() - began < MOST_S:
            what = plan.pop(0)
            before = killer.made.total()
            killer.kill(what)
            if killer.made.total() == before:
                plan.insert(dice.randint(0, len(plan)), what)  # there was nothing to kill: later
            time.sleep(dice.uniform(0.2, 1.5))
        took = time.monotonic() - began
        whole_again(stack, killer)
        over.set()
        for stream in streams:
            stream.join(timeout=120)
        answers = {key: answer for stream in streams for key, answer in stream.answers.items()}
        log.warning(
            "%s: %d kills in %.0f s: %s; %d keys",
            stack.cluster, killer.made.total(), took, dict(killer.made), len(answers),
        )  # fmt: skip
        assert not plan, f"not killed: {Counter(plan)}"
        assert [stream.wrong for stream in streams if stream.wrong] == []
        assert [stream.open for stream in streams if stream.open] == [], "a key was not answered"

        give_up = time.monotonic() + SETTLE_S
        jobs: dict[str, dict[str, Any]] = {}
        while time.monotonic() < give_up:
            jobs = jobs_named(stack, name)
            numbers = sorted(job["slurm_job_id"] or 0 for job in jobs.values())
            if {job["state"] for job in jobs.values()} == {"HELD"} and numbers == in_slurm(stack, name):
                break
            time.sleep(1)
        said = stack.container("hpcjobs").logs(since=began_at).decode()
        again = said.count("waits to be sent again")
        settled_s = time.monotonic() - give_up + SETTLE_S
        log.warning("%s: settled after %.0f s; %d lost jobs were sent again", stack.cluster, settled_s, again)

        assert sorted(answer["id"] for answer in answers.values()) == sorted(jobs), "each key has one job, and no more"
        unsettled = {job["id"]: (job["state"], job["slurm_job_id"], job["detail"]) for job in jobs.values()
                     if job["state"] != "HELD" or job["slurm_job_id"] is None}  # fmt: skip
        assert unsettled == {}
        numbers = sorted(job["slurm_job_id"] for job in jobs.values())
        assert numbers == sorted(set(numbers)), "two jobs have one number"
        assert numbers == in_slurm(stack, name), "Slurm has these jobs and no others"
        verified = stack.run("hpcjobs", "hpcjobs audit verify", user="hpcjobs")
        log.warning("%s: %s", stack.cluster, verified.strip())
    finally:
        over.set()
        whole_again(stack, killer)
        stack.run("slurmctld", f"scancel --name={name}", check=False)
        # A number given again meets its old job on a node: Slurm drains the node for it ("Duplicate jobid").
        stack.run("slurmctld", "scontrol update nodename=ALL state=resume", check=False)

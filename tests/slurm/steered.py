"""What the tests of policies on real clusters share: policies put in use, and what Slurm says then."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from hpcjobs.client import Client
from hpcjobs.model.plugin import PluginSet
from hpcjobs.model.policy import PolicyReport
from hpcjobs.settings import PluginSettings

if TYPE_CHECKING:
    from .conftest import Stack

SLEEP = "#!/bin/bash\nsleep {}\n"
QUICK = {"period_s": 1.0}
"""Settings of a policy that looks each second."""
Use = Callable[..., None]
Told = dict[str, str]
T = TypeVar("T")


def report(stack: Stack) -> PolicyReport:
    """What policies want, and what they have changed."""
    with Client(stack.url, stack.token("operator")) as client:
        return client.policies(stack.cluster)


def until(stack: Stack, ask: Callable[[], T], holds: Callable[[T], bool], within_s: float = 90) -> T:
    """Ask until it is so."""
    give_up = time.monotonic() + within_s
    while not holds(found := ask()):
        if time.monotonic() > give_up:
            pytest.fail(f"it did not come so far in {within_s} s: {found}; {report(stack)}")
        time.sleep(0.3)
    return found


@contextmanager
def in_use(stack: Stack) -> Iterator[Use]:
    """Puts policies in use. After it none is, no job is left, and nothing is otherwise than without policies."""
    with Client(stack.url, stack.token("admin")) as admin:
        before = [
            PluginSettings(one.name, one.required, one.timeout_s, one.dry_run, one.settings or {})
            for one in admin.plugins().plugins
        ]

        def put(dry_run: bool = False, **plugins: dict[str, Any]) -> None:
            own = [
                PluginSettings(name, timeout_s=10.0, dry_run=dry_run, settings=settings)
                for name, settings in plugins.items()
            ]
            admin.change_plugins(PluginSet((*before, *own)))

        try:
            yield put
        finally:
            put()
    stack.run("slurmctld", "for user in alice bob carol dave; do scancel --user=$user; done")
    until(stack, lambda: stack.run("slurmctld", "squeue -h"), lambda jobs: not jobs)
    until(stack, lambda: report(stack), lambda now: not (now.steered_jobs or now.steered_nodes or now.reservations))


@contextmanager
def administrator(stack: Stack) -> Iterator[None]:
    """Inside, Slurm lets the service change nodes."""
    before = stack.service_level
    try:
        _set_level(stack, "Administrator")
        yield
    finally:
        _set_level(stack, before)


def _set_level(stack: Stack, level: str) -> None:
    stack.run("slurmctld", f"sacctmgr -i modify user hpcjobs set adminlevel={level}", check=False)
    told = "scontrol show assoc_mgr users=hpcjobs flags=users"
    until(stack, lambda: stack.run("slurmctld", told), lambda text: f"AdminLevel={level}" in text)


def _shown(stack: Stack, what: str) -> Told:
    return dict(re.findall(r"(\w+)=(\S*)", stack.said("slurmctld", f"scontrol show {what} -o")))


def details(stack: Stack, number: int) -> Told:
    """A job as scontrol shows it."""
    return _shown(stack, f"job {number}")


def node(stack: Stack, name: str) -> Told:
    """A node as scontrol shows it."""
    return _shown(stack, f"node {name}")


def soon(stack: Stack, number: int, holds: Callable[[Told], bool], within_s: float = 90) -> Told:
    """Ask Slurm about a job until it is so."""
    return until(stack, lambda: details(stack, number), holds, within_s)


def weights(stack: Stack) -> dict[str, int]:
    """Weight by name of node."""
    lines = stack.said("slurmctld", "sinfo -hN -p gpu -o '%n %w'").splitlines()
    return {name: int(weight) for name, weight in map(str.split, lines)}


def names_of(stack: Stack) -> list[str]:
    """Names of the nodes, sorted."""
    return sorted(weights(stack))


def nodes_of(stack: Stack) -> int:
    """How many nodes there are."""
    return len(names_of(stack))


def asking(nodes: int, gpus: int, wall_s: int = 600, **resources: Any) -> dict[str, Any]:
    """A request for so many GPUs of each of so many nodes."""
    return {"resources": {"nodes": nodes, "gpus_per_node": gpus, "wall_s": wall_s, **resources}}


def whole(nodes: int) -> dict[str, Any]:
    """A request for all GPUs of so many nodes."""
    return asking(nodes, 8, 120)


def number_of(stack: Stack, job: dict[str, Any], user: str = "alice") -> int:
    """Slurm's number of a job."""
    return int(stack.wait(job["id"], lambda one: bool(one["slurm_job_id"]), user)["slurm_job_id"])


def submitted(stack: Stack, user: str = "alice", **request: Any) -> int:
    """Slurm's number of a new job that goes on until it is cancelled."""
    return number_of(stack, stack.submit(SLEEP.format(600), user, **request), user)


def begun(stack: Stack, user: str = "alice", **request: Any) -> int:
    """Slurm's number of one that runs."""
    number = submitted(stack, user, **request)
    soon(stack, number, lambda job: job["JobState"] == "RUNNING")
    return number


def cancel(stack: Stack, *numbers: int) -> None:
    """Have Slurm end jobs."""
    stack.run("slurmctld", f"scancel {shlex.join(map(str, numbers))}")

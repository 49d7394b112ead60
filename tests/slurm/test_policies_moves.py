"""Policies that move, resize and keep nodes for jobs, on real clusters."""

from __future__ import annotations

from typing import Any

from hpcjobs.sbatch.hostlists import expand_hostlist
from tests.slurm.conftest import Stack
from tests.slurm.steered import (
    QUICK,
    Told,
    Use,
    asking,
    begun,
    cancel,
    details,
    names_of,
    nodes_of,
    soon,
    submitted,
    until,
)

MOVABLE: dict[str, Any] = {"requeue": True, "hints": {"preemptible": True}}


def runs(job: Told) -> bool:
    return job["JobState"] == "RUNNING"


def again(job: Told) -> bool:
    """Whether a job was requeued and runs."""
    return runs(job) and job["Restarts"] == "1"


def reservations(stack: Stack) -> str:
    return stack.run("slurmctld", "scontrol show reservations -o")


def scattered(stack: Stack) -> tuple[int, int]:
    """Two nodes are half free, the others in use: a job that may be moved, and one that may not."""
    filling = 5
    movable = begun(stack, **MOVABLE, **asking(1, 3))
    place = details(stack, movable)["NodeList"]
    filler = begun(stack, **asking(1, filling, nodelist=place))
    fixed = begun(stack, **asking(1, 3))
    for _ in range(nodes_of(stack) - 2):
        begun(stack, **asking(1, 8))
    cancel(stack, filler)
    return movable, fixed


def test_defrag_moves_a_job_so_that_a_large_one_has_a_whole_node(stack: Stack, use: Use) -> None:
    movable, fixed = scattered(stack)
    before, beside = (details(stack, number)["NodeList"] for number in (movable, fixed))
    large = submitted(stack, **asking(1, 8))
    use(defrag={**QUICK, "wait_s": 0.0, "ran_s": 0.0, "soon_s": 0.0})
    assert soon(stack, large, runs)["NodeList"] == before
    assert soon(stack, movable, again)["NodeList"] == beside
    assert details(stack, fixed)["Restarts"] == "0"
    cancel(stack, large)  # while it runs Slurm keeps its reservation
    use()
    until(stack, lambda: reservations(stack), lambda kept: "hpcjobs_defrag" not in kept)


def test_fair_gives_an_account_back_what_it_has_lent(stack: Stack, use: Use) -> None:
    nodes = nodes_of(stack)
    lent = [begun(stack, **MOVABLE, **asking(1, 8)) for _ in range(nodes)]
    use(fair={**QUICK, "quotas": {"vision": 8 * (nodes - 1), "climate": 8}, "wait_s": 0.0, "ran_s": 0.0})
    back = submitted(stack, "carol", **asking(1, 8))
    assert soon(stack, back, runs)["Nice"] == "-500000"
    first = soon(stack, lent[-1], lambda job: job["Restarts"] == "1" and job["JobState"] == "PENDING")
    assert first["Nice"] == "0"
    assert [details(stack, number)["Restarts"] for number in lent[:-1]] == ["0"] * (nodes - 1)
    assert {*expand_hostlist(details(stack, back)["NodeList"])} <= {*names_of(stack)}
    cancel(stack, back)
    soon(stack, lent[-1], again)

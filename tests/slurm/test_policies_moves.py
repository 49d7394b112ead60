"""Policies that move, resize and keep nodes for jobs, on real clusters."""

from __future__ import annotations

from typing import Any

from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
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


def test_an_elastic_job_starts_with_fewer_nodes_grows_and_gives_one_back(stack: Stack, use: Use) -> None:
    nodes = nodes_of(stack)
    blocking = begun(stack, **asking(1, 8))
    elastic = submitted(
        stack, requeue=True, hints={"nodes_min": 1, "nodes_max": nodes, "preemptible": True}, **asking(nodes, 8)
    )
    use(elastic={**QUICK, "cooldown_s": 3.0, "left_s": 0.0, "gain": 1.1})
    assert soon(stack, elastic, runs)["NumNodes"] == str(nodes - 1)
    cancel(stack, blocking)
    soon(stack, elastic, lambda job: again(job) and job["NumNodes"] == str(nodes))
    other = submitted(stack, **asking(1, 8))
    soon(stack, elastic, lambda job: runs(job) and (job["Restarts"], job["NumNodes"]) == ("2", str(nodes - 1)))
    soon(stack, other, runs)


def test_an_elastic_job_that_waits_asks_for_as_many_nodes_as_are_free_and_for_more_again(
    stack: Stack, use: Use
) -> None:
    names = names_of(stack)
    begun(stack, **asking(1, 4, 1800, nodelist=names[-1]))
    submitted(stack, **asking(len(names), 8, nodelist=fold_hostlist(names)))  # it comes first, and waits for that node
    range_of = {"nodes_min": 1, "nodes_max": len(names)}
    elastic = submitted(stack, nice=5000, hints=range_of, **asking(len(names), 8, 36_000))  # it would delay the first

    def asks_for(nodes: int) -> None:
        soon(stack, elastic, lambda job: job["JobState"] == "PENDING" and job["NumNodes"].split("-")[0] == str(nodes))

    use(elastic=QUICK)
    asks_for(len(names) - 1)
    short = begun(stack, **asking(1, 8, 60, nodelist=names[0]))
    asks_for(max(1, len(names) - 2))
    cancel(stack, short)
    asks_for(len(names) - 1)


def test_backfill_shortens_what_like_jobs_show_to_be_short_and_keeps_nodes_for_one_that_starves(
    stack: Stack, use: Use, name: str
) -> None:
    nodes = nodes_of(stack)
    for short in [stack.submit("#!/bin/bash\nsleep 2\n", name=name, **asking(1, 1)) for _ in range(2)]:
        stack.finished(short["id"])
    blocking = begun(stack, **asking(1, 8))
    starving = submitted(stack, **asking(nodes, 8))
    like = submitted(stack, name=name, hints={"preemptible": True}, nice=5000, **asking(1, 1, 7200))
    assert details(stack, like)["JobState"] == "PENDING", "with its limit it would delay the one that starves"
    use(backfill={**QUICK, "least_runs": 2, "starving_s": 15.0})
    assert soon(stack, like, runs)["TimeLimit"] < "02:00:00"
    kept = soon(stack, starving, lambda job: "Reservation" in job)["Reservation"]
    assert f"ReservationName={kept}" in reservations(stack)
    first = submitted(stack, "carol", **asking(1, 8, 7200))
    cancel(stack, blocking, like)
    soon(stack, starving, runs)
    assert details(stack, first)["JobState"] == "PENDING", "it does not come in between"


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
